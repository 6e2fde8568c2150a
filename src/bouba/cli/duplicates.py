"""bouba duplicates: rows that show the same."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.doubts import groups_table
from bouba.cli.printing import to_stderr

COLUMNS = ("group", "row", "id", "by")


@options.names_columns
def command(
    table: Annotated[
        list[str], typer.Argument(help=f"A run folder, for the table that it was made of; or {options.TABLE}")
    ],
    *,
    columns: options.Columns,
    k: Annotated[int, typer.Option("-k", help="How many groups to show.")] = 20,
    page: options.Page = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Rows of which a picture, text, sound, clip or numbers are nearly those of another, in groups."""
    from bouba.runs.duplicate_groups import counted, described, groups_in, write_page
    from bouba.runs.inspecting import run_or_table
    from bouba.runs.record_files import refuse, write

    refuse(out, overwrite=overwrite, what="rows")
    _, views = run_or_table(table, columns)
    groups = groups_in(views)
    found = described(views, groups)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        shown = [groups_table(found, k)] if found else []
        more = [f"the first {k} groups are shown, -k shows more"] if len(groups) > k else []
        typer.echo("\n".join([*shown, counted(groups, len(views)), *more]))
    if out is not None:
        write(found, COLUMNS, out)
        to_stderr(f"{len(found):,} rows: {out}")
    if page is not None:
        to_stderr(f"page: {write_page(views, groups, page)}")
