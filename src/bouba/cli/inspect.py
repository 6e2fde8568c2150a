"""bouba inspect: what a table holds."""

from __future__ import annotations

import json
from typing import Any

import typer

from bouba.cli import options
from bouba.cli.printing import bad_row_lines, text_columns

FEW = 4  # names that are listed for example
OVERRULE = (
    "A guess is wrong? Say --text COLUMN, --image COLUMN, --video COLUMN, --table COLUMN, --label COLUMN, "
    "--domain COLUMN, --ignore COLUMN."
)


@options.names_columns
def command(
    table: options.Table,
    *,
    columns: options.Columns,
    as_json: options.Json = False,
) -> None:
    """What a table holds, as bouba understands it."""
    from bouba.runs.inspecting import understood
    from bouba.runs.reading import read_table

    facts = understood(read_table(table, columns))
    typer.echo(json.dumps(facts, ensure_ascii=False, indent=1) if as_json else _page(facts))


def _page(facts: dict[str, Any]) -> str:
    lines = [f"{facts['rows']:,} rows", "", text_columns(_rows(facts))]
    if facts["other columns"]:
        lines += ["", f"kept for filters: {', '.join(facts['other columns'])}"]
    bad = bad_row_lines(facts["bad_rows"])
    lines += ["", *bad] if bad else []
    if facts["hint"]:
        lines += ["", facts["hint"]]
    return "\n".join([*lines, "", OVERRULE])


def _rows(facts: dict[str, Any]) -> list[list[str]]:
    """A line a column: its name, what it is, how many cells are there and missing, an example."""
    rows = [["column", "is", "there", "missing", "for example"]]
    for name, view in facts["views"].items():
        rows.append([name, view["kind"], f"{view['present']:,}", f"{view['missing']:,}", view["example"] or ""])
    for name, label in facts["labels"].items():
        rows.append([name, "label", f"{label['classes']} classes", "", ", ".join(list(label["most"])[:FEW])])
    if facts["domains"]:
        names = list(facts["domains"])
        rows.append([facts["roles"]["domain"], "domain", f"{len(names)} domains", "", ", ".join(names[:FEW])])
    if facts["keys"] is not None:
        rows.append([facts["roles"]["key"], "key", f"{facts['keys']:,} things", "", ""])
    return rows
