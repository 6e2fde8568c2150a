"""bouba embed: the rows of tables as vectors, in a file of Parquet or a table of Lance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import bad_row_lines, to_stderr
from bouba.errors import UsageError


@options.takes_device
def command(
    run: options.Run,
    table: Annotated[
        list[str],
        typer.Argument(help=f"{options.TABLE} Or several files, or a folder of Parquet files, of rows of their own."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where the vectors go: NAME.parquet, or a Lance table NAME.lance."),
    ] = None,
    engine: options.Engine = "local",
    workers: options.Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file or table of that name.")] = False,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Write the vectors of a table's rows. The same command goes on where one was cut off."""
    from bouba.runs.processes import process_number
    from bouba.runs.run import Run

    if out is None:
        raise UsageError("say where the vectors go: -o NAME.parquet, or -o NAME.lance")
    say = (lambda line: None) if as_json else to_stderr
    opened = Run.open(run)
    done = opened.embed(
        table, out=out, engine=engine, workers=workers, overwrite=overwrite, strict=strict or None, say=say
    )
    if process_number() > 0:  # the first process answers
        return
    if as_json:
        facts = {"out": str(out), "rows": done.rows, "bad_rows": done.bad_rows}
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for line in bad_row_lines(done.bad_rows):
        to_stderr(line)
    typer.echo(f"{done.rows:,} rows: {out}")
