"""bouba mine: hard negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr
from bouba.errors import UsageError


@options.takes_device
@options.names_columns
def command(
    run: options.Run,
    table: Annotated[
        list[str] | None, typer.Argument(help="Without: the table that the run was made of.", show_default=False)
    ] = None,
    *,
    columns: options.Columns,
    ask: Annotated[str | None, typer.Option(help="The view that asks, as a picture.", show_default=False)] = None,
    answer: Annotated[str | None, typer.Option(help="The view of negatives; texts by default.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many of each row.")] = 1,
    margin: Annotated[
        float, typer.Option(help="How much less similar than a row's own partner a negative is at least.")
    ] = 0.05,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the table with columns of negatives: .csv, .parquet or .jsonl."),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """The table of a run with a column of hard negatives: what the run takes for a row's partner, and is not. Train on
    it with the term ExplicitNegatives; see docs/recipes.md."""
    from bouba.runs.record_files import refuse, write
    from bouba.runs.run import Run
    from bouba.runs.suspicion import views_of

    if out is None:
        raise UsageError("say where the table with negatives goes: -o FILE.csv")
    refuse(out, overwrite=overwrite, what="rows")
    opened = Run.open(run)
    mined = opened.mine(ask=ask, answer=answer, k=k, margin=margin)
    named = {name: value for name, value in columns.items() if value}
    records = mined.records(views_of(opened, table or None, named))
    write(records, list(dict.fromkeys(name for record in records for name in record)), out)
    to_stderr(f"{len(mined):,} of {len(records):,} rows have a {mined.columns[0]!r}: {out}")
