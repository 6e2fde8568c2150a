"""bouba inspect: what a table holds, and which of its pairs may be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.doubts import pairs_table
from bouba.cli.printing import bad_row_lines, text_columns
from bouba.errors import UsageError

FEW = 4  # names that are listed for example
OVERRULE = (
    "A guess is wrong? Say --text COLUMN, --image COLUMN, --video COLUMN, --table COLUMN, --label COLUMN, "
    "--domain COLUMN, --ignore COLUMN."
)


@options.takes_device
@options.names_columns
def command(
    table: options.Table,
    *,
    columns: options.Columns,
    pairs: Annotated[bool, typer.Option("--pairs", help="List the pairs that may be wrong; also of a run.")] = False,
    page: Annotated[Path | None, typer.Option(help="With --pairs: show them with pictures in this HTML file.")] = None,
    k: Annotated[int, typer.Option("-k", help="With --pairs: how many to list.")] = 20,
    as_json: options.Json = False,
) -> None:
    """What a table holds, as bouba understands it; or which pairs of a table or a run may be wrong."""
    from bouba.runs.inspecting import pairs_that_may_be_wrong, understood
    from bouba.runs.reading import read_table

    if page is not None and not pairs:
        raise UsageError("--page FILE shows pairs; say --pairs too")
    if pairs:
        found = pairs_that_may_be_wrong(table, columns, page)
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else pairs_table(found, k))
        return
    facts = understood(read_table(table, columns))
    typer.echo(json.dumps(facts, ensure_ascii=False, indent=1) if as_json else _page(facts))


def _page(facts: dict[str, Any]) -> str:
    lines = [f"{facts['rows']:,} rows", "", text_columns(_rows(facts))]
    if facts["other columns"]:
        lines += ["", f"kept for filters: {', '.join(facts['other columns'])}"]
    bad = bad_row_lines(facts["bad_rows"])
    lines += ["", *bad] if bad else []
    if facts["duplicates"]:
        lines += ["", *_duplicates(facts["duplicates"])]
    if facts["hint"]:
        lines += ["", facts["hint"]]
    return "\n".join([*lines, "", OVERRULE])


def _duplicates(facts: dict[str, Any]) -> list[str]:
    """A line a view, with a pair for example."""
    rows = [["near-duplicates by", "rows", "for example"]]
    for view, found in facts.items():
        example = found["example"]
        places = " and ".join(f"{row:,}" for row in example["rows"])
        cells = " | ".join(example["cells"])
        rows.append([view, f"{found['rows']:,}", f"rows {places}, {example['why']}: {cells}"])
    return [text_columns(rows), "fit keeps them on one side when rows are held out; --allow-duplicates leaves them"]


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
