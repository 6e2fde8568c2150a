"""What the cells of one column give in each use: numbers, vectors, rows of a table, and what is known of rows."""

from __future__ import annotations

import datetime
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.arrays import EXACT, as_array
from bouba.data.missing import is_missing
from bouba.data.written import Numbers, Written, numbers_of, vector_of
from bouba.errors import DataError

log = logging.getLogger("bouba")
NAMING = ("domain", "key", "group")
"""Uses in which cells are names, digits or not."""
CLASSES = 50
"""Different labels up to which 1.10 and 1.1 are two of them, and not one number."""


def single_numbers(name: str, values: Any) -> Numbers | None:
    """One number a row, where a column has that; None where its cells are vectors.

    Raises:
        DataError: there are cells, and none of them is a number.
    """
    if getattr(values, "ndim", 1) > 1:
        return None
    numbers: Numbers | None
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        numbers = _finite(values.astype(float), values)
    else:
        cells = values.cells if isinstance(values, Written) else [values[i] for i in range(len(values))]
        numbers = _written(values) if all(isinstance(c, str) or is_missing(c) for c in cells) else _mixed(cells)
    if numbers is not None and numbers.words and not np.isfinite(numbers.values).any():
        raise DataError(
            f"column {name!r} holds no numbers: {next(iter(numbers.odd.values()))}; name it as something else"
        )
    if numbers is not None and numbers.form:
        level = logging.WARNING if numbers.ambiguous else logging.INFO
        log.log(level, "column %r is read with %s", name, numbers.form)
    return numbers


def _written(values: Any) -> Numbers | None:
    """Text as numbers; None where most cells are vectors."""
    column = values if isinstance(values, Written) else Written([c if isinstance(c, str) else "" for c in values])
    if column.are_vectors:
        return None
    numbers = numbers_of(column.cells, column.separator)
    filled = [cell for cell in column.cells if cell.strip()]
    vectors = [cell for cell in filled if (v := vector_of(cell)) is not None and len(v) > 1] if numbers.words else []
    return None if 2 * len(vectors) > len(filled) else numbers


def _mixed(cells: list) -> Numbers | None:
    """Numbers, and text that may hold one; None where a cell is a vector."""
    if not all(is_missing(c) or isinstance(c, (*decode.NUMBERS, str)) for c in cells):
        return None
    written = {i: cell for i, cell in enumerate(cells) if isinstance(cell, str)}
    values = np.array([np.nan if is_missing(c) or isinstance(c, str) else _float(c) for c in cells])
    numbers = _finite(values, cells)
    if not written:
        return numbers
    texts = numbers_of(written.values())
    places = list(written)
    values[places] = texts.values
    odd = dict(numbers.odd) | {places[i]: reason for i, reason in texts.odd.items()}
    return Numbers(numbers.values, dict(sorted(odd.items())), texts.words, texts.form, texts.ambiguous)


def _float(number) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def _finite(values: np.ndarray, cells: Any) -> Numbers:
    """The same with what is infinite as missing."""
    infinite = np.flatnonzero(np.isinf(values))
    values[infinite] = np.nan
    return Numbers(values, {int(i): f"{str(cells[i])[:60]!r} is not finite" for i in infinite})


def number_rows(
    view: str, columns: Mapping[str, Numbers], rows: np.ndarray, bad: list[dict]
) -> list[np.ndarray | None]:
    """Single numbers side by side, (n,) of (d,) or None where a row lacks some of them; that is listed in `bad`."""
    block = np.stack([numbers.values for numbers in columns.values()], axis=1)
    blank = np.isnan(block)
    odd = {i for numbers in columns.values() for i in numbers.odd}
    for i in sorted(odd | set(np.flatnonzero(blank.any(axis=1) & ~blank.all(axis=1)).tolist())):
        reasons = [f"{name}: {numbers.odd[i]}" for name, numbers in columns.items() if i in numbers.odd]
        lacking = [name for name, gone in zip(columns, blank[i], strict=True) if gone and i not in columns[name].odd]
        reasons += [f"blank: {', '.join(lacking)}"] if lacking else []
        bad.append({"row": int(rows[i]), "column": view, "value": None, "reason": "; ".join(reasons)})
    gaps = np.asarray(blank.any(axis=1))
    return [None if gone else row for row, gone in zip(block, gaps, strict=True)]


def has_gaps(columns: Mapping[str, Numbers]) -> bool:
    """Whether a row lacks some of these numbers, but not all."""
    blank = np.isnan(np.stack([numbers.values for numbers in columns.values()]))
    return bool((blank.any(0) & ~blank.all(0)).any())


def records(columns: Mapping[str, Any], rows: np.ndarray, bad: list[dict]) -> list[dict]:
    """Columns side by side as cells of a table, missing values as None. Values that are not finite are listed."""
    cells: dict[str, Any] = {}
    for name, values in columns.items():
        numbers = values if isinstance(values, Numbers) else _table_numbers(values)
        cells[name] = values if numbers is None else numbers.values
        for i, reason in {} if numbers is None else numbers.odd.items():
            bad.append({"row": int(rows[i]), "column": name, "value": None, "reason": reason})
    return [
        {name: None if is_missing(v := values[i]) else v for name, values in cells.items()} for i in range(len(rows))
    ]


def _table_numbers(values: Any) -> Numbers | None:
    """The cells of a column of a table as numbers, if all are."""
    if isinstance(values, Written):
        return values.numbers
    cells = [values[i] for i in range(len(values))]
    return _mixed(cells) if all(is_missing(c) or isinstance(c, decode.NUMBERS) for c in cells) else None


def vector_rows(name: str, values: Any, rows: np.ndarray, bad: list[dict]) -> Any:
    """One vector a row: as they are, or (n,) of (d,) and None where a cell is missing or listed in `bad`: no list of
    numbers, one that is not finite, one of another width than most.

    Raises:
        DataError: no width that most have.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2:
        if values.dtype.kind not in "fc" or np.isfinite(values).all():
            return values
        values = list(values)
    cells: list[np.ndarray | None] = [None] * len(values)
    for i in range(len(values)):
        if is_missing(values[i]):
            continue
        vector = _vector(values[i])
        if isinstance(vector, str):
            bad.append({"row": int(rows[i]), "column": name, "value": str(values[i])[:60], "reason": vector})
        else:
            cells[i] = vector
    widths = Counter(len(cell) for cell in cells if cell is not None)
    if not widths:
        first = next((entry["reason"] for entry in bad if entry["column"] == name), "every cell is blank")
        raise DataError(f"column {name!r} holds no vector: {first}; give a list of numbers a row")
    width, count = widths.most_common(1)[0]
    if 2 * count <= widths.total():
        raise DataError(f"vectors of view {name!r} have {sorted(widths)[:8]} widths; they must share one")
    for i, cell in enumerate(cells):
        if cell is not None and len(cell) != width:
            reason = f"{len(cell)} numbers where the others have {width}"
            bad.append({"row": int(rows[i]), "column": name, "value": str(values[i])[:60], "reason": reason})
            cells[i] = None
    return cells


def _vector(value: Any) -> np.ndarray | str:
    """A cell as numbers (d,), or why it is none."""
    cell: Any = vector_of(value) if isinstance(value, str) else value
    if cell is None:
        return "no list of numbers"
    try:
        numbers = np.asarray(cell)
        if numbers.dtype.kind not in "biuf":
            numbers = np.array([np.nan if is_missing(v) else _float(v) for v in cell])
    except (TypeError, ValueError):
        return "no list of numbers"
    if numbers.ndim != 1:
        return f"no list of numbers but an array of shape {numbers.shape}"
    return numbers if np.isfinite(numbers).all() else "a number of it is missing or not finite"


def row_cells(name: str, use: str, values: Any) -> np.ndarray:
    """(n,) what a column says of rows, as it is written where it names them.

    Text that is a number is one in a label and in what rows are filtered by, unless different labels would become one.
    Whole numbers with gaps stay whole: 3 is class "3" in every table, not "3.0" in some. Times are text.
    """
    if isinstance(values, Written):
        return _written_cells(use, values)
    cells = as_array([values[i] for i in range(len(values))])
    if cells.dtype.kind == "O":
        times = (datetime.date, datetime.time, datetime.timedelta)
        cells[:] = [str(cell) if isinstance(cell, times) and not is_missing(cell) else cell for cell in cells]
        return cells
    if cells.dtype.kind != "f":
        return cells
    missing = np.isnan(cells)
    numbers = cells[~missing]
    if not (bool((numbers == np.round(numbers)).all()) and bool(np.isfinite(numbers).all())):
        return cells
    if use in NAMING and len(numbers) and np.abs(numbers).max() > EXACT:
        log.warning("column %r holds whole numbers beyond 2^53 as floats, which lose digits; give them as text", name)
    return as_array([None if is_missing(c) else int(c) for c in cells])


def _written_cells(use: str, values: Written) -> np.ndarray:
    typed = values.typed
    if typed is None or (use in NAMING and typed.dtype.kind == "f"):
        return values.texts
    if use == "label" and typed.dtype.kind == "f" and values.merges and len(set(values.texts)) <= CLASSES:
        return values.texts
    return typed


def holds_mappings(values: Any) -> bool:
    """Whether the cells of a column are rows of a table themselves."""
    cells = (values[i] for i in range(len(values)))
    return isinstance(next((cell for cell in cells if not is_missing(cell)), None), Mapping)
