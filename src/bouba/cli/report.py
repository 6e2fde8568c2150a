"""bouba report: make the report of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options


@options.takes_device
@options.names_columns
def command(
    run: options.Run,
    table: Annotated[
        list[str] | None,
        typer.Argument(help="Where the rows of the run are now; or other rows, to report on.", show_default=False),
    ] = None,
    *,
    columns: options.Columns,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file to write; that of the run if not said.")
    ] = None,
) -> None:
    """Make the report of a run again, with its rows where they can be read, else of what the run keeps."""
    from bouba.runs.reading import given_options
    from bouba.runs.run import Run

    named = given_options(columns) if table else {}
    typer.echo(f"report: {Run.open(run).report(table or None, out=out, again=True, **named)}")
