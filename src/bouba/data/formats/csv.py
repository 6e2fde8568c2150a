"""CSV and TSV: a header, and a row a line."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.formats import spreadsheet
from bouba.data.formats.records import Record, records
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
    try:
        header_record, *body = records(text, separator) if text.strip() else [Record(1, [])]
    except csv.Error as error:
        raise DataError(f"{path.name} cannot be cut into cells: {error}") from error
    header = [name.strip() for name in header_record.cells]
    restored = spreadsheet.plain if spreadsheet.is_written(header) else str
    header = [restored(name) for name in header]
    if _is_a_row(header):
        body = [header_record, *body]
        header = [f"column{i}" for i in range(len(header))]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"{path.name} has two columns or more named {sorted(twice)[0]!r}; rename one")
    cells_of_rows, rows, bad = [], [], []
    for number, record in enumerate(body):
        fault = record.fault
        if fault is None and len(record.cells) > len(header):
            fault = f"{len(record.cells)} cells where the header has {len(header)} (line {record.line})"
        if fault is not None:
            value = separator.join(record.cells)[:200]
            bad.append({"row": number, "column": None, "value": value, "reason": fault})
            continue
        cells_of_rows.append([*map(restored, record.cells), *[""] * (len(header) - len(record.cells))])
        rows.append(number)
    columns = {name: _parsed_numbers(list(cells)) for name, cells in zip(header, zip(*cells_of_rows, strict=True))}
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
    best, chosen = (0.0, 1), default
    for separator in sorted(",;\t|", key=lambda s: s != default):
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        with contextlib.suppress(csv.Error):
            widths = [len(record) for record in itertools.islice(reader, 20) if record]
            score = (sum(w == widths[0] for w in widths) / len(widths), widths[0]) if widths else best
            if score > best and score[1] > 1:
                best, chosen = score, separator
    return chosen


def _parsed_numbers(cells: list[str]) -> Any:
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
