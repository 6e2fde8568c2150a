"""CSV and TSV: a header, and a row a line."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.formats.utf8 import text_of
from bouba.data.table import Table
from bouba.errors import DataError

log = logging.getLogger("bouba")
WHOLE = re.compile(r"-?(0|[1-9]\d{0,14})")
CODE = re.compile(r"-?(0\d+|\d{16,})")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
SHORT = re.compile(r"\d{1,6}(\.\d{1,2})?")


def read(path: Path) -> Table:
    """Separator sniffed among , ; TAB |. A row with too many cells is listed; one with too few is filled with gaps."""
    text = text_of(path)
    separator = _separator(text[: 1 << 16], "\t" if path.suffix.lower() == ".tsv" else ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    lines = _records(reader, path)
    header = [name.strip() for name in next(lines, [])]
    if _is_a_row(header):
        lines = itertools.chain([header], lines)
        header = [f"column{i}" for i in range(len(header))]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"{path.name} has two columns or more named {sorted(twice)[0]!r}; rename one")
    records, rows, bad = [], [], []
    for number, record in enumerate(lines):
        if len(record) > len(header):
            reason = f"{len(record)} cells where the header has {len(header)} (line {reader.line_num})"
            bad.append({"row": number, "column": None, "value": separator.join(record)[:200], "reason": reason})
            continue
        records.append(record + [""] * (len(header) - len(record)))
        rows.append(number)
    columns = {name: _numbers(list(cells)) for name, cells in zip(header, zip(*records, strict=True))}
    index = columns.get("")
    if isinstance(index, np.ndarray) and len(columns) > 1 and np.array_equal(index, np.arange(len(index))):
        del columns[""]  # the row numbers that pandas writes unasked
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)


def _is_a_row(header: list[str]) -> bool:
    """Whether a first line is no header: numbers only, unless they are short and rise, as 0, 1, 2 and 400, 402.5."""
    if len(header) < 2 or not all(NUMBER.fullmatch(name) for name in header):
        return False
    rise = all(float(a) < float(b) for a, b in itertools.pairwise(header))
    names = rise and all(SHORT.fullmatch(name) for name in header)
    log.info("the first line holds numbers and is taken for %s", "the header" if names else "a row: there is no header")
    return not names


def _separator(text: str, default: str) -> str:
    """The one that cuts most of the first 20 rows into as many cells as the header, two or more."""
    best, found = (0.0, 1), default
    for separator in sorted(",;\t|", key=lambda s: s != default):
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        with contextlib.suppress(csv.Error):
            widths = [len(record) for record in itertools.islice(reader, 20) if record]
            score = (sum(w == widths[0] for w in widths) / len(widths), widths[0]) if widths else best
            if score > best and score[1] > 1:
                best, found = score, separator
    return found


def _records(reader, path: Path) -> Iterator[list[str]]:
    """Rows that are not blank."""
    try:
        yield from (record for record in reader if record)
    except csv.Error as error:
        raise DataError(f"{path.name} breaks off in line {reader.line_num}: {error}; a quote may be open") from error


def _numbers(cells: list[str]) -> Any:
    """Text cells -> numbers (blank = NaN) when every cell that is not blank is one; codes like 007 stay text."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    try:
        values = np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return cells
    if not filled or any(CODE.fullmatch(cell) for cell in filled):
        return cells
    whole = len(filled) == len(cells) and all(WHOLE.fullmatch(cell) for cell in filled)
    return values.astype(np.int64) if whole else values
