"""Any table -> Views: what each column is, which cells can be read, and a list of those that cannot."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.guess import guess
from bouba.data.tables import Table, open_table
from bouba.data.views import KINDS, Column, Views, as_array
from bouba.errors import DataError, nearest

log = logging.getLogger("bouba")
Names = str | Iterable[str] | None


def as_views(data) -> Views:
    """Views as they are; anything else through `read`."""
    return data if isinstance(data, Views) else read(data)


def read(
    source,
    *,
    image: Names = None,
    text: Names = None,
    audio: Names = None,
    video: Names = None,
    vector: Names = None,
    label: Names = None,
    domain: str | None = None,
    key: str | None = None,
    group: str | None = None,
    ignore: Names = None,
    strict: bool = False,
) -> Views:
    """Read a table whose rows are things and whose columns are views of them.

    Kinds and roles are guessed from the cells and the column names and logged at INFO; `bouba inspect` shows them.
    Naming a column overrules the guess; once a kind or role is named, nothing else is guessed to be of it.

    Args:
        source: path of a CSV, TSV, JSONL or Parquet file, a .npy array, a folder of pictures (or one with
            metadata.csv), a DataFrame, a `datasets.Dataset`, a mapping of columns, or a list of arrays.
            Relative paths in cells are relative to the table.
        image, text, audio, video, vector: names of the columns of that kind. Columns of single numbers are put
            side by side as one view, "numbers".
        label: label columns. domain: the source a row comes from. key: what the row shows. group: what must
            not be split. ignore: columns to leave out.
        strict: raise on the first cell that cannot be read instead of listing it in `views.bad_rows`.

    Returns:
        Views. A cell that cannot be read counts as missing and is listed; a row with no cell left is dropped.

    Raises:
        DataError: no such file or column, an empty table, no modality, an unreadable cell when strict.

    >>> read({"photo": np.zeros((3, 4)), "title": ["a cat", "a dog", None]})
    Views(3 rows, {photo: vector, title: text (1 missing)})
    """
    table = open_table(source)
    named = {"image": image, "text": text, "audio": audio, "video": video, "vector": vector}
    named |= {"label": label, "domain": domain, "key": key, "group": group, "ignore": ignore}
    what = _understand(table, {kind: _listed(names) for kind, names in named.items()})
    log.info("understood: %s", ", ".join(f"{name} = {kind}" for name, kind in what.items()))
    views = _assemble(table, what)
    if strict and views.bad_rows:
        bad = views.bad_rows[0]
        raise DataError(f"{len(views.bad_rows)} cells cannot be read, first row {bad['row']}: {bad['reason']}")
    return views


def _listed(names: Names) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _understand(table: Table, named: dict[str, list[str]]) -> dict[str, str]:
    """column -> kind or role: what the caller says, and guesses for the rest."""
    what = {}
    for kind, names in named.items():
        for name in names:
            if name not in table.columns:
                raise DataError(f"no column {name!r}{nearest(name, table.columns)}")
            what[name] = kind
    for name, values in table.columns.items():
        if name not in what:
            kind = guess(name, values, table.kinds)
            single = kind in ("domain", "key") and kind in what.values()
            what[name] = "meta" if single or named.get(kind) else kind
    return {name: what[name] for name in table.columns if what[name] != "ignore"}


def _assemble(table: Table, what: dict[str, str]) -> Views:
    """Columns by what they are; single numbers side by side as one vector view."""
    of = lambda kind: [name for name, k in what.items() if k == kind]  # noqa: E731
    bad = list(table.bad_rows)
    n = len(next(iter(table.columns.values())))
    rows = np.arange(n) if table.rows is None else table.rows
    columns: dict[str, Any] = {}
    numbers = [name for name in of("vector") if getattr(table.columns[name], "ndim", 0) == 1]
    numbers = [name for name in numbers if table.columns[name].dtype.kind in "fiub"]
    for name, kind in what.items():
        if kind in KINDS and name not in numbers:
            columns[name] = _column(kind, name, table, rows, bad)
    if numbers:
        columns["numbers"] = _numbers(table, numbers, rows, bad)
    if not columns:
        raise DataError(f"no column of a modality among {list(what)}; name one, for example text=...")
    cells = {name: as_array([table.columns[name][i] for i in range(n)]) for name, k in what.items() if k not in KINDS}
    role = lambda kind: next((cells[name] for name in of(kind)), None)  # noqa: E731
    views = Views(
        columns,
        kinds={name: what.get(name, "vector") for name in columns},
        y={name: cells[name] for name in of("label")},
        domain=role("domain"),
        key=role("key"),
        group=role("group"),
        meta={name: cells[name] for name in of("meta")},
        rows=rows,
        bad_rows=bad,
    )
    some = np.any(list(views.present.values()), axis=0)
    if not some.any():
        raise DataError(
            f"no row has a cell that can be read; first: {bad[0]['reason'] if bad else 'all cells are empty'}"
        )
    return views if some.all() else views[some]


def _column(kind: str, name: str, table: Table, rows: np.ndarray, bad: list[dict]) -> Any:
    values = table.columns[name]
    if kind == "vector":
        return values if getattr(values, "ndim", 0) == 2 else [values[i] for i in range(len(values))]
    if kind == "text":
        return Column.of(values, "text")
    if table.base is not None:
        values = [_resolve(values[i], table.base) for i in range(len(values))]
    column = Column.of(values, kind)
    there = np.flatnonzero(column.present)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reasons = list(pool.map(lambda i: decode.check(kind, values[i]), there))
    broken = np.zeros(len(column), bool)
    for i, reason in zip(there, reasons, strict=True):
        if reason is not None:
            broken[i] = True
            where = decode.path_of(values[i])
            bad.append({"row": int(rows[i]), "column": name, "value": where, "reason": reason})
    return column.without(broken) if broken.any() else column


def _resolve(cell, base: Path):
    if isinstance(cell, str) and cell.strip():
        return str(base / cell)
    return cell


def _numbers(table: Table, names: list[str], rows: np.ndarray, bad: list[dict]) -> list:
    """Single numbers side by side, (n,) of (d,) or None where a row lacks some of them."""
    block = np.stack([np.asarray(table.columns[name], np.float64) for name in names], axis=1)
    blank = np.isnan(block)
    for i in np.flatnonzero(blank.any(axis=1) & ~blank.all(axis=1)):
        lacking = [name for name, gone in zip(names, blank[i], strict=True) if gone]
        bad.append(
            {
                "row": int(rows[i]),
                "column": "numbers",
                "value": None,
                "reason": f"blank: {', '.join(lacking)}",
            }
        )
    return [None if gone else row for row, gone in zip(block, blank.any(axis=1), strict=True)]
