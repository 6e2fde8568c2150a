"""The application: the API, the page, the reports, behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from socket import socket
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from bouba import __version__
from bouba.errors import BoubaError
from bouba.serve.api import Api
from bouba.serve.doing import refusal_of
from bouba.serve.guard import LOOPBACK, Guard
from bouba.serve.limits import Limits, Refusal
from bouba.serve.metrics import Metrics
from bouba.serve.opened import Opened
from bouba.serve.working import Work

STATIC = Path(__file__).parent / "static"
PATIENCE = 10  # seconds for answers under way when the server ends


def application(
    runs: Mapping[str, Opened],
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: tuple[str, ...] | None = LOOPBACK,
    origins: tuple[str, ...] = (),
    read_only: bool = False,
) -> Guard:
    """An ASGI application over some runs.

    Args:
        runs: by name, the first of which is meant where none is named. limits: the defaults when None.
        token: that the API wants; None for none. hosts: names under which it may be called, None for any.
        origins: from which other pages may read the API. read_only: nothing is written into run folders.
    """
    limits = limits or Limits()
    work, metrics = Work(limits), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()

    app = FastAPI(title="bouba", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    api = Api(runs, limits, work, metrics, read_only=read_only)
    app.include_router(api.router)
    _handle_errors(app, limits)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/report/{name}", include_in_schema=False)
    async def report(name: str) -> Response:
        file = api.opened(name).run()._place.folder / "report.html"
        if not file.is_file():
            raise Refusal(404, f"{name} has no report")
        return FileResponse(file, media_type="text/html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return Guard(app, limits=limits, metrics=metrics, token=token, hosts=hosts, origins=origins)


def _handle_errors(app: FastAPI, limits: Limits) -> None:
    """Every error as one sentence."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Any) -> Response:
        headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        return JSONResponse({"error": refusal.sentence}, refusal.status, headers)

    @app.exception_handler(BoubaError)
    async def mistaken(request: Request, error: Any) -> Response:
        return await refused(request, refusal_of(error, limits))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return JSONResponse({"error": f"{name}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: Any) -> Response:
        text = {404: f"nothing is at {request.url.path}", 405: f"{request.method} is not for {request.url.path}"}
        return JSONResponse({"error": text.get(error.status_code, str(error.detail))}, error.status_code, error.headers)


def serve(app: Any, held: socket, *, ready: Callable[[], None] | None = None) -> None:
    """Answer until Ctrl-C or SIGTERM, after which the answers under way are finished.

    Args:
        held: a socket that is bound. ready: called when it listens.
    """
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=PATIENCE
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        task = asyncio.create_task(server.serve(sockets=[held]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        if server.started and ready is not None:
            ready()
        await task

    with suppress(KeyboardInterrupt):  # which uvicorn hands on when it has ended
        asyncio.run(run())
