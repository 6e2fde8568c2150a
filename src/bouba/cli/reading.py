"""Options that say which column is what, shared by the commands that read a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.data.views import Views
from bouba.errors import DataError

Image = Annotated[list[str] | None, typer.Option(help="Column of pictures; repeat for several.")]
Text = Annotated[list[str] | None, typer.Option(help="Column of text.")]
Vector = Annotated[
    list[str] | None, typer.Option(help="Column of numbers; 'left_*' puts all columns of that form into one view.")
]
Label = Annotated[list[str] | None, typer.Option(help="Column of labels.")]
Domain = Annotated[str | None, typer.Option(help="Column that names where a row comes from.")]
Key = Annotated[str | None, typer.Option(help="Column that says what a row shows; equal keys are the same thing.")]
Ignore = Annotated[list[str] | None, typer.Option(help="Column to leave out.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first cell that cannot be read.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def read_table(tables: list[str], said: Mapping[str, Any], *, strict: bool = False) -> Views:
    """One table, or several files of numbers side by side, one a view; options override a recipe's [read]."""
    import numpy as np

    from bouba.data import read

    keywords = {name: value for name, value in said.items() if value not in (None, [])}
    if len(tables) == 1:
        return read(tables[0], **keywords, strict=strict)
    columns: dict[str, Any] = {}
    for table in tables:
        part = read(table)
        _refuse_more_than_numbers(table, part)
        (column,) = part.columns.values()
        name = Path(table).stem
        columns[f"{name}{len(columns)}" if name in columns else name] = np.stack(list(column))
    return read(columns, **keywords, strict=strict)


def _refuse_more_than_numbers(table: str, part: Views) -> None:
    """DataError unless a file is one view of numbers without gaps: files are paired row by row, and nothing else."""
    if list(part.modalities.values()) != ["vector"] or part.bad_rows:
        first = f"; row {part.bad_rows[0]['row']}: {part.bad_rows[0]['reason']}" if part.bad_rows else ""
        raise DataError(f"of several files each is one view of numbers without gaps; {table} holds {part}{first}")
    roles = [*part.y, *part.meta, *(name for name in ("domain", "key", "group") if getattr(part, name) is not None)]
    if roles:
        raise DataError(
            f"several files are paired row by row, but {table} also has {', '.join(roles)}; join them into one table "
            "and say --vector 'a_*' --vector 'b_*'"
        )


def repeated_text(views: Views) -> str | None:
    """A hint when rows share their text and no key says that they are the same thing."""
    for name, column in views.columns.items():
        if column.kind == "text" and views.key is None:
            said = [str(cell) for cell, there in zip(column, column.present) if there]
            shared = len(said) - sum(1 for count in Counter(said).values() if count == 1)
            if shared > len(said) / 20:
                return (
                    f"{shared:,} of {len(said):,} rows share their {name!r} with another row and count as wrong "
                    f"answers to one another; if equal means the same thing, say --text {name} --key {name}"
                )
    return None


def table_lines(rows: list[list[str]]) -> str:
    """Columns padded to line up."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)
