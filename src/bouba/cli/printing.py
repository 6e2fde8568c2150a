"""What commands print."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bouba.data.views import Views


def text_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to line up."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def to_stderr(line: str) -> None:
    """A line beside the answer."""
    sys.stderr.write(f"{line}\n")


def warn_of_bad_rows(views: Views, most: int = 10) -> None:
    """What a person should know of cells that could not be read."""
    bad = views.bad_rows
    if bad:
        to_stderr(f"{len(bad)} cells or rows cannot be read:")
    for entry in bad[:most]:
        column = f", {entry['column']}" if entry["column"] else ""
        to_stderr(f"  row {entry['row']}{column}: {entry['reason']}")
    if len(bad) > most:
        to_stderr(f"  and {len(bad) - most} more")
