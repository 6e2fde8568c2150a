"""bouba evaluate: judge a model on rows it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options


@options.takes_device
@options.names_columns
def command(
    run: options.Run,
    table: options.Table,
    *,
    columns: options.Columns,
    template: Annotated[
        list[str] | None, typer.Option(help="Sentence for zero-shot classes, {} for the name; repeat for several.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the records to this JSON file.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every number, in a wide table.")] = False,
    as_json: options.Json = False,
) -> None:
    """Retrieval in every direction, classes, and what is predicted, with intervals and chance."""
    from bouba.runs.run import Run

    opened = Run.open(run)
    result = opened.evaluate(table, templates=template or ["{}"], **columns)
    if out is not None:
        result.to_json(out)
    if as_json:
        typer.echo(json.dumps([vars(record) for record in result], ensure_ascii=False))
        return
    typer.echo(result.format(rows=("domain", "direction")) if everything else opened.overview(result, rest="--all"))
