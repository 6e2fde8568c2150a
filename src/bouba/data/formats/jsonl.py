"""Records as JSON: one a line, or one array of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.formats.utf8 import text_of
from bouba.data.table import Table
from bouba.errors import DataError


def read(path: Path) -> Table:
    """An object a line. A line that is none is listed among the bad rows."""
    lines = [line for line in text_of(path).split("\n") if line.strip()]
    return _table(path, map(_parsed, lines))


def read_array(path: Path) -> Table:
    """An array of objects, or an object a line after all. What is no object is listed among the bad rows."""
    text = text_of(path)
    try:
        records = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return read(path)
    if isinstance(records, dict):
        return read(path)
    if not isinstance(records, list):
        raise DataError(f"{path.name} holds no array of records; give [{{...}}, ...], or a record a line as .jsonl")
    faults = ((record, None if isinstance(record, dict) else "not an object", repr(record)) for record in records)
    return _table(path, faults)


def _table(path: Path, parsed: Iterable[tuple[Any, str | None, str]]) -> Table:
    """A table of (record, fault or None, how it was written)."""
    records, rows, bad = [], [], []
    for number, (record, fault, text) in enumerate(parsed):
        if fault is not None:
            bad.append({"row": number, "column": None, "value": text[:200], "reason": f"not JSON: {fault}"})
            continue
        records.append(record)
        rows.append(number)
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)


def _parsed(line: str) -> tuple[Any, str | None, str]:
    try:
        record = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return None, "nested too deeply" if isinstance(error, RecursionError) else str(error), line
    return record, None if isinstance(record, dict) else "not an object", line


def _unique(pairs: list[tuple[str, Any]]) -> dict:
    """The object. ValueError where it holds two values of one name, of which JSON would keep the last."""
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"two values of {twice!r}")
    return record
