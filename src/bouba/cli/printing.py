"""What commands print."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from bouba.data.characters import one_line, printable

if TYPE_CHECKING:
    from bouba.data.views import Views


def text_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to line up, each cell in one line."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def to_stderr(line: str) -> None:
    """A line beside the answer."""
    sys.stderr.write(f"{printable(line)}\n")


class Terminal:
    """A stream for people: what would steer a terminal is written as \\u001b, which JSON reads too."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Lines(logging.Formatter):
    """Records of a log as such lines."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


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
