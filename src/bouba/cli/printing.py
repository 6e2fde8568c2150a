"""What commands print."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from bouba.data.characters import one_line, printable

if TYPE_CHECKING:
    from bouba.data.views import Views

_PATH = re.compile(r"\S*/\S*|.*/[^/]*\.\w{1,5}")


def text_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to line up, each cell in one line."""
    rows = [[printable(one_line(cell)) for cell in row] for row in rows]
    widths = [width_of(column) for column in zip(*rows, strict=True)]
    padded = ([cell + " " * (w - width_of([cell])) for cell, w in zip(row, widths)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def width_of(cells: Iterable[str]) -> int:
    """The columns of a terminal that the widest of some cells takes: two for a Chinese character or an emoji."""
    cells = list(cells)
    if all(cell.isascii() for cell in cells):
        return max(map(len, cells))
    from rich.cells import cell_len

    return max(map(cell_len, cells))


def cut(text: str, width: int) -> str:
    """A text in one line of so many columns of a terminal at most; what is left out, the end or of a path the
    beginning, becomes "…"."""
    text = printable(one_line(text))
    if width_of([text]) <= width:
        return text
    step = -1 if _PATH.fullmatch(text) else 1
    shown = text[::step][: width - 1]
    while width_of([shown]) >= width:
        shown = shown[:-1]
    return f"{shown.rstrip()}…" if step == 1 else f"…{shown[::step]}"


def fitted(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The rows of a table, its widest columns cut so that its lines have so many columns of a terminal at most."""
    widths = [width_of(printable(one_line(cell)) for cell in column) for column in zip(*rows, strict=True)]
    most = max(widths)
    while most > 1 and sum(min(w, most) for w in widths) + 2 * (len(widths) - 1) > width:
        most -= 1
    return [[cut(cell, most) for cell in row] for row in rows]


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
