"""bouba compare: two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr


@options.takes_device
@options.names_columns
def command(
    run: options.Run,
    other: Annotated[Path, typer.Argument(help="The run to compare it with.")],
    table: Annotated[
        list[str] | None,
        typer.Argument(help="Rows that neither was trained on. Without: those that both held out.", show_default=False),
    ] = None,
    *,
    columns: options.Columns,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write a page to this HTML file.")] = None,
    as_json: options.Json = False,
) -> None:
    """Numbers of both on the same rows with the interval of each difference, what was set otherwise, time and size."""
    from bouba.runs.run import Run

    compared = Run.open(run).compare(other, table or None, **columns)
    if as_json:
        typer.echo(json.dumps(compared.to_dict(), ensure_ascii=False, default=str))
    else:
        typer.echo(compared.format())
    if out is not None:
        to_stderr(f"page: {compared.write(out)}")
