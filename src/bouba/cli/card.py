"""bouba card: a model card in the hub's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr
from bouba.errors import UsageError


def command(
    run: options.Run,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it here; printed if not said.")] = None,
    license: Annotated[str | None, typer.Option(help="Of the model, as the hub names it: apache-2.0.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="On the hub, that it was made of; may be repeated.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
) -> None:
    """What the model is, how to use it, how well it works beside chance and baselines, and what to know."""
    from bouba.runs.run import Run

    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another -o, or say --overwrite")
    card = Run.open(run).card(license=license, datasets=dataset or [])
    if out is None:
        typer.echo(card)
        return
    from bouba import durable

    durable.write_text(out, card)
    to_stderr(f"card: {out}")
