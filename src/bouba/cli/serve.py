"""bouba serve: runs in a browser, and for other programs."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli.options import takes_device
from bouba.cli.printing import to_stderr
from bouba.errors import UsageError, require

LOCAL = ("127.0.0.1", "localhost", "::1")


@takes_device
def command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the page opens with the first.")],
    port: Annotated[int, typer.Option(help="0 for any that is free.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Another address than this machine's own wants a token.")] = LOCAL[0],
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the token; without, one is made for another address than 127.0.0.1."),
    ] = None,
    cors: Annotated[list[str] | None, typer.Option(help="Another origin that may read the API: https://...")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Write nothing into the run folders.")] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Search, look at and try runs in a browser, or by the API under /api/v1, described at /openapi.json."""
    require("fastapi", "serve")
    require("uvicorn", "serve")
    token = _token(token_file, host)
    one_thread()
    from bouba.serve.app import application, serve
    from bouba.serve.guard import LOOPBACK
    from bouba.serve.opened import opened_runs
    from bouba.serve.sockets import bound

    held = bound(host, port)
    opened = opened_runs(runs, writes=not read_only)
    hosts = LOOPBACK if host in LOCAL else None
    app = application(opened, token=token, hosts=hosts, origins=tuple(cors or ()), read_only=read_only)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{held.getsockname()[1]}/" + (
        "" if token is None or token_file is not None else f"?token={token}"
    )

    def ready() -> None:
        to_stderr(f"{address}  (Ctrl-C ends it)")
        if open_page:
            typer.launch(address)

    serve(app, held, ready=ready)
    to_stderr("The server ended.")


def one_thread() -> None:
    """Have products computed by one thread each. Questions are small: threads that wait for each other would take twice
    the time of the processor for the same answers."""
    from threadpoolctl import threadpool_limits

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of what is imported from here on
    threadpool_limits(1)


def _token(file: Path | None, host: str) -> str | None:
    """The token of a file; a new one where another machine could ask; None where nobody else can."""
    if file is None:
        return None if host in LOCAL else secrets.token_urlsafe(24)
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read: {error}") from None
    if len(token) < 16 or not token.isascii() or any(letter in token for letter in ' ;,"\\\t\n'):
        raise UsageError(f"--token-file {file} holds no token: 16 letters or digits, or more, and nothing else")
    return token
