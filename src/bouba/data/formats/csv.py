"""CSV and TSV: a header, and a row a line."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np

from bouba.data.formats import spreadsheet
from bouba.data.formats.records import Record, records
from bouba.data.formats.utf8 import text_of
from bouba.data.table import Table
from bouba.data.written import Written
from bouba.errors import DataError

log = logging.getLogger("bouba")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
ROW_NAMES = "row_names"
"""What a first column without a name is called, as spreadsheets, R and pandas write the names of rows."""
SHORT = re.compile(r"\d{1,6}(\.\d{1,2})?")


def read(path: Path) -> Table:
    """Separator sniffed among , ; TAB |, or named in a first line, sep=; as Excel writes it. A row with too many cells
    is listed; one with too few is filled with gaps. Cells stay text until a column is used as numbers."""
    text = text_of(path)
    named = re.match(r"sep=(.)\n", text)
    text = text[named.end() :] if named else text
    separator = named[1] if named else _separator(text[: 1 << 16], "\t" if path.suffix.lower() == ".tsv" else ",")
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
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise DataError(f"{path.name} has two columns or more named {twice[0]!r}; rename one")
    if len(body) > 1 and all(len(record.cells) == len(header) + 1 for record in body):
        header = [_free_name(ROW_NAMES, header), *header]  # R's write.table leaves out the name of its row names
    cells_of_rows, rows, bad = [], [], []
    for number, record in enumerate(body):
        fault = record.fault
        if fault is None and len(record.cells) > len(header) and any(map(str.strip, record.cells[len(header) :])):
            fault = f"{len(record.cells)} cells where the header has {len(header)} (line {record.line})"
        if fault is not None:
            value = separator.join(record.cells)[:200]
            bad.append({"row": number, "column": None, "value": value, "reason": fault})
            continue
        row = [*map(restored, record.cells[: len(header)]), *[""] * (len(header) - len(record.cells))]
        cells_of_rows.append(row)
        rows.append(number)
    cells_of_columns = list(zip(*cells_of_rows, strict=True))
    columns = {}
    for place, (name, cells) in enumerate(zip(header, cells_of_columns, strict=False)):
        if name or any(map(str.strip, cells)):
            columns[name or _free_name(ROW_NAMES if place == 0 else f"column{place}", header)] = Written(
                list(cells), separator
            )
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)


def _free_name(name: str, taken: list[str]) -> str:
    """The name for a column without one."""
    return name if name not in taken else _free_name(f"{name}_", taken)


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
