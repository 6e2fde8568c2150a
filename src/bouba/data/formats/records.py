"""The records of delimited text; a quote that swallows lines which are rows themselves is no quote."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

csv.field_size_limit(2**31 - 1)  # a caption may be as long as it likes; Python stops at 131,072 characters
OPEN, STRAY = "open", "stray"


@dataclass(frozen=True)
class Record:
    """Cells that end in a line of the file, counted from 1; `fault` where they could not be made out."""

    line: int
    cells: list[str]
    fault: str | None = None


def records(text: str, separator: str) -> Iterator[Record]:
    """The records of a text that are not blank, its header first.

    Where a quote is never closed, or is closed in the middle of a cell, and each line that it took in has as many cells
    as the header, these lines are records. Else the line of a quote that is never closed is a record with a fault, and
    the next line begins a record again.

    Raises:
        csv.Error: a character that no record may have.
    """
    lines = io.StringIO(text).readlines()
    width, place = 0, 0
    while place < len(lines):
        reader = csv.reader(itertools.islice(lines, place, None), delimiter=separator)
        begin, end, place = place, place, len(lines)
        for cells in reader:
            first, end = end, begin + reader.line_num
            span = lines[first:end]
            fault = _quote_fault(span, separator) if len(span) > 1 or end == len(lines) else None
            if width > 1 and (fault or (separator == "\t" and len(span) > 1)):
                rows = [_row_of(line, separator, width) for line in span]
                if all(rows):
                    yield from (Record(first + i + 1, row) for i, row in enumerate(rows) if row)
                    continue
            if fault == OPEN:
                yield Record(first + 1, [span[0].rstrip("\r\n")], f"a quote opens in line {first + 1} and never closes")
                place = first + 1
                break
            if cells:
                width = width or len(cells)
                yield Record(end, cells)


def _quote_fault(span: list[str], separator: str) -> str | None:
    """OPEN where a quote in these lines is never closed, STRAY where it is closed in the middle of a cell."""
    try:
        list(csv.reader(span, delimiter=separator, strict=True))
    except csv.Error as error:
        return OPEN if "unexpected end" in str(error) else STRAY
    return None


def _row_of(line: str, separator: str, width: int) -> list[str] | None:
    """The cells of one line by itself, quotes that do not close as they are; None where it has not `width` of them."""
    try:
        cells = next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        cells = line.rstrip("\r\n").split(separator)
    return cells if len(cells) == width else None
