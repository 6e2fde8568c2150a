"""bouba suspicious: pairs and labels that may be wrong."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.doubts import labels_table, pairs_table
from bouba.cli.printing import to_stderr


@options.takes_device
@options.names_columns
def command(
    run: options.Run,
    table: Annotated[
        list[str] | None, typer.Argument(help="Without: the table that the run was made of.", show_default=False)
    ] = None,
    *,
    columns: options.Columns,
    k: Annotated[int, typer.Option("-k", help="How many of each to show.")] = 20,
    page: options.Page = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Pairs that do not fit, and for a run that predicts classes the labels that are probably wrong, worst first.
    Nothing is judged by a model that was fitted on it."""
    from bouba.runs.record_files import refuse, write
    from bouba.runs.run import Run
    from bouba.runs.suspects import COLUMNS, labels_judged_by, suspects_in

    refuse(out, overwrite=overwrite, what="rows")
    found = suspects_in(Run.open(run), table or None, columns)
    if as_json:
        typer.echo(json.dumps({"labels": found.label_records, "pairs": found.pair_records}, ensure_ascii=False))
    else:
        parts = []
        if found.labels is not None:
            shown = [labels_table(found.label_records, k)] if found.labels.wrong else []
            parts.append("\n".join([*shown, labels_judged_by(found.labels)]))
        parts += [pairs_table(found.pair_records, k)] if found.pairs else []
        typer.echo("\n\n".join(parts))
    for remark in found.remarks:
        to_stderr(remark)
    if out is not None:
        write(lines := found.lines(), COLUMNS, out)
        to_stderr(f"{len(lines):,} rows: {out}")
    if page is not None:
        to_stderr(f"page: {found.write_page(page)}")
