"""Predictions as CSV that a spreadsheet opens without running what stands in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

BEGINS = "=+\\-@\t\r\n＝＋－＠"
_FORMULA = re.compile(f"'*[{BEGINS}]")
_ESCAPED = re.compile(f"''*[{BEGINS}]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
FIRST, LAST = "row", "views"
"""The columns between which predictions stand, by which their file is recognised."""


def safe(cell: Any) -> Any:
    """A cell as a spreadsheet may have it: an apostrophe before a text that it would take for a formula.

    Reference: OWASP, CSV Injection. Departures: numbers stay as they are; apostrophes before such a text count too, so
    that `plain` is the inverse.

    >>> safe("=1+1"), safe("-3.5"), safe("a=b"), safe(-3.5)
    ("'=1+1", '-3.5', 'a=b', -3.5)
    """
    formula = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell


def plain(cell: str) -> str:
    """The inverse of `safe`."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def as_csv(records: Sequence[Mapping[str, Any]], *, raw: bool = False, header: bool = True) -> str:
    """A header, unless it was written before, and a line a record; every cell and name is `safe`, but for `raw`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    form = (lambda cell: cell) if raw else safe
    for cells in (*([list(records[0])] if header else []), *(record.values() for record in records)):
        writer.writerow([form(cell) for cell in cells])
    return text.getvalue()


def is_written(header: Sequence[str]) -> bool:
    """Whether a file is one of predictions, by its header."""
    return len(header) > 2 and (header[0], header[-1]) == (FIRST, LAST)
