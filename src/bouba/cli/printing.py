"""What commands print."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bouba.data.views import Views


def text_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to line up."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def to_stderr(line: str) -> None:
    """A line beside the answer."""
    sys.stderr.write(f"{line}\n")


def warn_of_bad_rows(views: Views) -> None:
    """What a person should know of cells that could not be read."""
    for line in bad_row_lines(views.bad_rows):
        to_stderr(line)


def bad_row_lines(bad: Sequence[Mapping[str, Any]], most: int = 10) -> list[str]:
    """The cells and rows that could not be read, the first of them with the reason."""
    if not bad:
        return []
    places = [f"row {entry['row']}{', ' if entry.get('column') else ''}{entry.get('column') or ''}" for entry in bad]
    lines = [f"  {place}: {entry['reason']}" for place, entry in zip(places[:most], bad)]
    more = [f"  and {len(bad) - most} more"] if len(bad) > most else []
    return [f"{len(bad)} cells or rows cannot be read:", *lines, *more]
