"""bouba translate: make a view of rows from others: the one a translator has learnt, or any that a vae has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr, warn_of_bad_rows


@options.takes_device
def command(
    run: options.Run,
    table: options.Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder: ROW.png, ROW-DRAW.png of several, ROW.npy.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The view to make, by a vae; the one that the table lacks, if not said.")
    ] = None,
    draws: Annotated[int, typer.Option("-n", help="How many to make for each row.")] = 1,
    random_state: Annotated[int, typer.Option("--seed", help="Seed of what is drawn.")] = 0,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Make pictures or numbers for the rows of a table. Its columns are named as in training."""
    from bouba.data.tables import refuse_absent
    from bouba.runs.run import Run

    opened = Run.open(run)
    refuse_absent(table)  # before the model is loaded
    opened.refuse_unless("translates")
    views = opened.read(table, strict=strict)
    translation = opened.translate(views, to=to, draws=draws, random_state=random_state, out=out)
    if as_json:
        typer.echo(json.dumps({"files": translation.files, "bad_rows": views.bad_rows}, ensure_ascii=False))
        return
    warn_of_bad_rows(views)
    if translation.lacking:
        to_stderr(f"{translation.lacking:,} rows lack {translation.source}: nothing is made for them")
    typer.echo(f"{len(translation.files):,} files: {out}")
