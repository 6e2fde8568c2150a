"""Any table -> Views: what each column is, which cells can be read, and a list of those that cannot."""

from __future__ import annotations

import fnmatch
import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.guess import guess
from bouba.data.readable import check
from bouba.data.tables import Table, open_table
from bouba.data.views import KINDS, Column, Views, as_array, is_missing
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
    table: Names = None,
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
        source: path of a CSV, TSV, JSONL or Parquet file, a .npy array, a folder of pictures, sounds or clips (or
            one with metadata.csv), a DataFrame, a `datasets.Dataset`, a mapping of columns, or a list of arrays.
            Relative paths in cells are relative to the table. In a folder, files of different kinds that differ only
            in their ending, cat.png and cat.wav, are one row, and cat.txt is its text.
        image, text, audio, video, vector: names of the columns of that kind. Columns of single numbers are put
            side by side as one view, "numbers"; a pattern like "left_*" makes its columns a view of their own, "left".
            Pictures are clips when the first of them moves.
        table: columns of numbers or of text with few values, put side by side as one view, "table", in which a row may
            lack some of them; patterns as above. A column whose cells are mappings is a view of its own. Numbers
            nobody named are such a view, "numbers", where some row lacks some of them, and vectors where none does.
        label: label columns. domain: the source a row comes from. key: what the row shows. group: what must
            not be split. ignore: columns to leave out.
        strict: raise on the first cell that cannot be read instead of listing it in `views.bad_rows`.

    Returns:
        Views. A cell that cannot be read counts as missing and is listed; a row with no cell left is dropped.

    Raises:
        DataError: no such file or column, one column named twice, an empty table, no modality, an unreadable cell
            when strict.

    >>> read({"photo": np.zeros((3, 4)), "title": ["a cat", "a dog", None]})
    Views(3 rows, {photo: vector, title: text (1 missing)})
    """
    opened = open_table(source)
    named = {"image": image, "text": text, "audio": audio, "video": video, "vector": vector, "table": table}
    named |= {"label": label, "domain": domain, "key": key, "group": group, "ignore": ignore}
    said = {kind: _listed(names) for kind, names in named.items()}
    blocks: dict[str, str] = {}
    for kind in ("vector", "table"):
        found = _blocks(opened, said[kind])
        said[kind] = [name for name in said[kind] if name not in set(found.values())] + list(found)
        blocks |= found
    what = _understand(opened, said)
    log.info("understood: %s", ", ".join(f"{name} = {kind}" for name, kind in what.items()))
    views = _assemble(opened, what, blocks, told=bool(said["vector"]))
    if strict and views.bad_rows:
        bad = views.bad_rows[0]
        where = f"row {bad['row']}" + (f", column {bad['column']!r}" if bad["column"] else "")
        raise DataError(f"{len(views.bad_rows)} cells or rows cannot be read, the first is {where}: {bad['reason']}")
    return views


def _listed(names: Names) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _blocks(table: Table, vectors: list[str]) -> dict[str, str]:
    """column -> the pattern that it fits, for names of vectors with a * in them."""
    found: dict[str, str] = {}
    for pattern in vectors:
        if "*" in pattern and pattern not in table.columns:
            fitting = fnmatch.filter(table.columns, pattern)
            if not fitting:
                raise DataError(f"no column like {pattern!r}{nearest(pattern, table.columns)}")
            found |= dict.fromkeys(fitting, pattern)
    return found


def _understand(table: Table, named: dict[str, list[str]]) -> dict[str, str]:
    """column -> kind or role: what the caller says, and guesses for the rest."""
    what: dict[str, str] = {}
    for kind, names in named.items():
        for name in names:
            if name not in table.columns:
                raise DataError(f"no column {name!r}{nearest(name, table.columns)}")
            if name in what and what[name] in KINDS and kind not in (*KINDS, "ignore"):
                table.columns[f"{name} ({kind})"] = table.columns[name]  # a caption may be its own key
                what[f"{name} ({kind})"] = kind
                continue
            if name in what:
                raise DataError(f"column {name!r} is named as {what[name]} and as {kind}; give it one of them")
            what[name] = kind
    for name, values in table.columns.items():
        if name not in what:
            kind = guess(name, values, table.kinds, table.base)
            single = kind in ("domain", "key") and kind in what.values()
            what[name] = "meta" if single or named.get(kind) else kind
    return {name: what[name] for name in table.columns if what[name] != "ignore"}


def _assemble(table: Table, what: dict[str, str], blocks: dict[str, str], *, told: bool) -> Views:
    """Columns by what they are; single numbers and columns of tables side by side. `told`: vectors were asked for."""
    of = lambda kind: [name for name, k in what.items() if k == kind]  # noqa: E731
    bad = list(table.bad_rows)
    n = len(next(iter(table.columns.values())))
    rows = np.arange(n) if table.rows is None else table.rows
    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    beside = {name: values for name in of("vector") if (values := _singles(table.columns[name])) is not None}
    beside |= {name: values for name in of("table") if not _holds_mappings(values := table.columns[name])}
    for name, kind in what.items():
        if kind in KINDS and name not in beside:
            columns[name], kinds[name] = _column(kind, name, table, rows, bad), kind
    for kind, pattern in dict.fromkeys((what[name], blocks.get(name, "")) for name in beside):
        view = pattern.replace("*", "").strip("_-. ") or {"vector": "numbers", "table": "table"}[kind]
        view = f"all {view}" if view in columns else view
        block = {name: v for name, v in beside.items() if (what[name], blocks.get(name, "")) == (kind, pattern)}
        kinds[view] = "table" if kind == "vector" and not told and _has_gaps(block) else kind
        columns[view] = _numbers(view, block, rows, bad) if kinds[view] == "vector" else _records(block, n)
    if not columns:
        raise DataError(f"no column of a modality among {list(what)}; name one, for example text=...")
    cells = {name: _names(table.columns[name], n) for name, k in what.items() if k not in KINDS}
    role = lambda kind: next((cells[name] for name in of(kind)), None)  # noqa: E731
    views = Views(
        columns,
        kinds=kinds,
        y={name: cells[name] for name in of("label")},
        domain=role("domain"),
        key=role("key"),
        group=role("group"),
        meta={name: cells[name] for name in of("meta")},
        rows=rows,
    )
    some = np.asarray(np.any(list(views.present.values()), axis=0))
    listed = {entry["row"] for entry in bad}
    empty = [int(row) for row in rows[~some] if row not in listed]
    bad += [{"row": row, "column": None, "value": None, "reason": "every cell is empty"} for row in empty]
    bad.sort(key=lambda entry: entry["row"])
    if not some.any():
        raise DataError(f"no row has a cell that can be read; first: {bad[0]['reason']}")
    return (views if some.all() else views[some]).replace(bad_rows=bad)


def _names(values, n: int) -> np.ndarray:
    """Cells about rows. Whole numbers with gaps stay whole: 3 is class "3" in every table, not "3.0" in some."""
    cells = as_array([values[i] for i in range(n)])
    if cells.dtype.kind != "f":
        return cells
    gone = np.isnan(cells)
    whole = bool((cells[~gone] == np.round(cells[~gone])).all()) and bool(np.isfinite(cells[~gone]).all())
    return as_array([None if is_missing(c) else int(c) for c in cells]) if whole else cells


def _singles(values) -> np.ndarray | None:
    """Float (n,), NaN where missing, of a column with one number a row; None when its cells are vectors."""
    if getattr(values, "ndim", 1) > 1:
        return None
    cells = [values[i] for i in range(len(values))]
    if not all(is_missing(c) or isinstance(c, int | float | np.number | np.bool_) for c in cells):
        return None
    return np.array([np.nan if is_missing(c) else float(c) for c in cells])


def _column(kind: str, name: str, table: Table, rows: np.ndarray, bad: list[dict]) -> Any:
    values = table.columns[name]
    if kind in ("vector", "table"):
        return values if getattr(values, "ndim", 0) == 2 else [values[i] for i in range(len(values))]
    if kind == "text":
        return Column.of(values, "text")
    base = table.base
    if base is not None:
        values = [decode.resolved(values[i], base) for i in range(len(values))]
    column = Column.of(values, kind)
    there = np.flatnonzero(column.present)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reasons = list(pool.map(lambda i: check(kind, values[i]), there))
    broken = np.zeros(len(column), bool)
    for i, reason in zip(there, reasons, strict=True):
        if reason is not None:
            broken[i] = True
            where = decode.path_of(values[i])
            bad.append({"row": int(rows[i]), "column": name, "value": where, "reason": reason})
    return column.without(broken) if broken.any() else column


def _holds_mappings(values) -> bool:
    """Whether the cells of a column are rows of a table themselves."""
    cells = (values[i] for i in range(len(values)))
    return isinstance(next((cell for cell in cells if not is_missing(cell)), None), Mapping)


def _has_gaps(columns: dict[str, np.ndarray]) -> bool:
    """Whether a row lacks some of these numbers, but not all."""
    blank = np.isnan(np.stack(list(columns.values())))
    return bool((blank.any(0) & ~blank.all(0)).any())


def _records(columns: dict[str, Any], n: int) -> list[dict]:
    """Columns side by side as cells of a table, missing values as None."""
    return [{name: None if is_missing(v := values[i]) else v for name, values in columns.items()} for i in range(n)]


def _numbers(view: str, columns: dict[str, np.ndarray], rows: np.ndarray, bad: list[dict]) -> list:
    """Single numbers side by side, (n,) of (d,) or None where a row lacks some of them."""
    block = np.stack(list(columns.values()), axis=1)
    blank = np.isnan(block)
    for i in np.flatnonzero(blank.any(axis=1) & ~blank.all(axis=1)):
        lacking = [name for name, gone in zip(columns, blank[i], strict=True) if gone]
        reason = f"blank: {', '.join(lacking)}"
        bad.append({"row": int(rows[i]), "column": view, "value": None, "reason": reason})
    gaps = np.asarray(blank.any(axis=1))
    return [None if gone else row for row, gone in zip(block, gaps, strict=True)]
