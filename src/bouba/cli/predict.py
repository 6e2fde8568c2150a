"""bouba predict: labels for the rows of a table, from whichever views each row has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import text_columns, warn_of_bad_rows
from bouba.data.formats.spreadsheet import as_csv

ROWS = 20  # in the terminal


@options.takes_device
def command(
    run: options.Run,
    table: options.Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write all rows to this CSV file.")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also the probability of every class.")] = False,
    level: Annotated[float, typer.Option(help="Probability with which an interval of a number holds the truth.")] = 0.9,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write text as it is, also where a spreadsheet would run it as a formula.")
    ] = False,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Predict labels for the rows of a table. Its columns are named as in training; a row may lack any of them."""
    from bouba.data.tables import refuse_absent
    from bouba.runs.run import Run
    from bouba.runs.settings import LEVEL, refuse_outside

    refuse_outside(LEVEL, level, "--level")
    opened = Run.open(run)
    refuse_absent(table)  # before the model is loaded
    opened.refuse_unless("predicts")
    views = opened.read(table, strict=strict)
    records = opened.predict(views, proba=proba, level=level)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(as_csv(records, raw=raw), encoding="utf-8", newline="")
    if as_json:
        typer.echo(json.dumps({"rows": records, "bad_rows": views.bad_rows}, ensure_ascii=False))
        return
    warn_of_bad_rows(views)
    if out is not None:
        typer.echo(f"{len(records):,} rows: {out}")
        return
    typer.echo(text_columns([list(records[0]), *([_text(c) for c in row.values()] for row in records[:ROWS])]))
    if len(records) > ROWS:
        typer.echo(f"and {len(records) - ROWS:,} more; -o FILE.csv writes all of them")


def _text(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
