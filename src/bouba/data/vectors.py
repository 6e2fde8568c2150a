"""Rows of numbers as one array (n, d), mapped where it is large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.data import scratch
from bouba.data.arrays import ROUNDED, float_values
from bouba.data.mapped import OnDisk, VectorCells
from bouba.data.missing import is_missing
from bouba.data.sparse import SparseRows
from bouba.data.written import Numbers, vector_of
from bouba.errors import DataError


def number_rows(
    view: str, columns: Mapping[str, Numbers], rows: np.ndarray, bad: list[dict]
) -> tuple[np.ndarray, np.ndarray]:
    """Single numbers side by side (n, d), and which rows have all of them, bool (n,). A row that lacks some is listed
    in `bad`."""
    n = len(rows)
    some, lacking = np.zeros(n, bool), np.zeros(n, bool)
    for numbers in columns.values():
        blank = np.isnan(numbers.values)
        some |= ~blank
        lacking |= blank
    odd = {i for numbers in columns.values() for i in numbers.odd}
    for i in sorted(odd | set(np.flatnonzero(lacking & some).tolist())):
        reasons = [f"{name}: {numbers.odd[i]}" for name, numbers in columns.items() if i in numbers.odd]
        gone = [name for name, numbers in columns.items() if np.isnan(numbers.values[i]) and i not in numbers.odd]
        reasons += [f"blank: {', '.join(gone)}"] if gone else []
        bad.append({"row": int(rows[i]), "column": view, "value": None, "reason": "; ".join(reasons)})
    present = ~lacking
    if not present.any():
        raise DataError(f"vectors of view {view!r} have no widths; they must share one")
    largest = max(float(np.abs(numbers.values[present]).max()) for numbers in columns.values())
    block = scratch.zeros((n, len(columns)), _type_for(largest))
    for place, numbers in enumerate(columns.values()):
        block[present, place] = numbers.values[present]
    return block, present


def has_gaps(columns: Mapping[str, Numbers]) -> bool:
    """Whether a row lacks some of these numbers, but not all."""
    blank = [np.isnan(numbers.values) for numbers in columns.values()]
    return bool((np.logical_or.reduce(blank) & ~np.logical_and.reduce(blank)).any())


def vector_rows(name: str, values: Any, rows: np.ndarray, bad: list[dict]) -> tuple[Any, np.ndarray]:
    """One vector a row, (n, d) floats or sparse rows as they are, and which rows have one, bool (n,). Listed in `bad`
    are cells that are no list of numbers, or one that is not finite, or of another width than most.

    Raises:
        DataError: no width that most have.
    """
    if isinstance(values, SparseRows):
        return _sparse_rows(name, values, rows, bad)
    if isinstance(values, VectorCells) or (isinstance(values, np.ndarray) and values.ndim == 2):
        numbers, present = (values.numbers, values.present) if isinstance(values, VectorCells) else (values, None)
        whole = finite_rows(numbers) if numbers.dtype.kind == "f" else np.ones(len(numbers), bool)
        present = np.ones(len(numbers), bool) if present is None else present
        for i in np.flatnonzero(present & ~whole).tolist():
            bad.append(_listing(name, rows, i, numbers[i].tolist(), NOT_FINITE))
        if not (present & whole).any():
            raise DataError(f"column {name!r} holds no vector: {_first(name, bad)}; give a list of numbers a row")
        return (float_values(numbers) if whole.all() else _zeroed(numbers, whole)), present & whole
    if isinstance(values, OnDisk):
        cells: Any = _Parsed(values)
    else:
        cells = [None if is_missing(values[i]) else _vector(values[i]) for i in range(len(values))]
    return _of_cells(name, values, cells, rows, bad)


NOT_FINITE = "a number of it is missing or not finite"


def _sparse_rows(name: str, values: SparseRows, rows: np.ndarray, bad: list[dict]) -> tuple[SparseRows, np.ndarray]:
    """`vector_rows` of a sparse matrix, which stays one."""
    whole = values.finite()
    present = np.ones(len(values), bool) if values.present is None else values.present
    bad += [_listing(name, rows, i, "a sparse row", NOT_FINITE) for i in np.flatnonzero(present & ~whole).tolist()]
    if not (present & whole).any():
        raise DataError(f"column {name!r} holds no vector: {_first(name, bad)}; give a list of numbers a row")
    return values if whole.all() else values.without(~whole), present & whole


def _zeroed(numbers: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Numbers (n, d) with zeros in the rows that are not whole; as floats that hold all of the others."""
    rows = np.flatnonzero(whole)
    largest = max(
        (float(np.abs(numbers[rows[at]]).max()) for at in scratch.blocks(len(rows), numbers[0].nbytes)), default=0
    )
    out = scratch.zeros(numbers.shape, _type_for(largest))
    for at in scratch.blocks(len(rows), numbers[0].nbytes):
        out[rows[at]] = numbers[rows[at]]
    return out


class _Parsed:
    """The cells of a column on disk as vectors, read when they are asked for."""

    def __init__(self, cells: OnDisk):
        self.cells = cells

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> np.ndarray | str | None:
        cell = self.cells[row]
        return None if is_missing(cell) else _vector(cell)


def _of_cells(name: str, values: Any, cells: Any, rows: np.ndarray, bad: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """The same of cells that are vectors, None, or the reason why there is none; each is looked at twice."""
    n, largest = len(cells), 0.0
    widths: np.ndarray = np.full(n, -1)
    for i in range(n):
        cell = cells[i]
        if isinstance(cell, str):
            bad.append(_listing(name, rows, i, values[i], cell))
        elif cell is not None:
            widths[i] = len(cell)
    counts = Counter(widths[widths >= 0].tolist())
    if not counts:
        raise DataError(f"column {name!r} holds no vector: {_first(name, bad)}; give a list of numbers a row")
    width, count = counts.most_common(1)[0]
    if 2 * count <= counts.total():
        raise DataError(f"vectors of view {name!r} have {sorted(counts)[:8]} widths; they must share one")
    for i in np.flatnonzero((widths >= 0) & (widths != width)).tolist():
        reason = f"{widths[i]} numbers where the others have {width}"
        bad.append(_listing(name, rows, i, values[i], reason))
    present = widths == width
    there = np.flatnonzero(present).tolist()
    block = scratch.zeros((n, width), np.float32)
    for i in there:
        block[i] = cell = cells[i]
        largest = max(largest, float(np.abs(cell).max(initial=0)))
    if largest > ROUNDED:
        block = scratch.zeros((n, width), np.float64)
        for i in there:
            block[i] = cells[i]
    return block, present


def _first(name: str, bad: list[dict]) -> str:
    return next((entry["reason"] for entry in bad if entry["column"] == name), "every cell is blank")


def _listing(name: str, rows: np.ndarray, row: int, value: Any, reason: str) -> dict:
    return {"row": int(rows[row]), "column": name, "value": str(value)[:60], "reason": reason}


def _type_for(largest: float) -> type:
    """The float type that holds numbers up to the largest of them."""
    return np.float64 if largest > ROUNDED else np.float32


def _vector(value: Any) -> np.ndarray | str:
    """A cell as numbers (d,), or why it is none."""
    cell: Any = vector_of(value) if isinstance(value, str) else value
    if cell is None:
        return "no list of numbers"
    try:
        numbers = np.asarray(cell)
        if numbers.dtype.kind not in "biuf":
            numbers = np.array([np.nan if is_missing(v) else as_float(v) for v in cell])
    except (TypeError, ValueError):
        return "no list of numbers"
    if numbers.ndim != 1:
        return f"no list of numbers but an array of shape {numbers.shape}"
    return numbers if np.isfinite(numbers).all() else NOT_FINITE


def as_float(number: Any) -> float:
    """A number as a float, infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def finite_rows(values: np.ndarray | SparseRows) -> np.ndarray:
    """bool (n,), the rows of (n, d) without NaN or infinity."""
    if isinstance(values, SparseRows):
        return values.finite()
    return scratch.row_by_row(values, lambda rows: np.isfinite(rows).all(axis=1))


def vectors(name: str, values, has: np.ndarray | None) -> np.ndarray:
    """Rows of numbers as float (n, d); where `has` is False the row is zeros, masked and never read."""
    if has is None:
        return float_values(values)
    block = _block(name, values, has, np.float32)
    largest = np.abs(block).max(initial=0)
    return _block(name, values, has, np.float64) if ROUNDED < largest < np.inf else block  # infinity is refused


def _block(name: str, values, has: np.ndarray, dtype: type) -> np.ndarray:
    """Rows of numbers (n, d) of a float type. DataError where they have several widths, or none."""
    cells = {row: _vector_cell(name, row, values[row], dtype) for row in np.flatnonzero(has).tolist()}
    widths = {len(cell) for cell in cells.values()}
    if len(widths) != 1:
        raise DataError(f"vectors of view {name!r} have {sorted(widths) or 'no'} widths; they must share one")
    block = scratch.zeros((len(has), widths.pop()), dtype)
    for row, cell in cells.items():
        block[row] = cell
    return block


def _vector_cell(name: str, row: int, cell, dtype: type) -> np.ndarray:
    """One cell as floats (d,). DataError naming view and row where it is no list of numbers."""
    try:
        numbers: np.ndarray | None = None if np.iscomplexobj(cell) else np.asarray(cell, dtype)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None or numbers.ndim != 1:
        raise DataError(f"view {name!r} holds no vector in row {row}, but {cell!r:.40}; give a list of numbers a row")
    return numbers


def refuse_not_finite(name: str, values: np.ndarray | SparseRows) -> None:
    """DataError naming the view and the first row that holds NaN or infinity."""
    bad = np.flatnonzero(~finite_rows(values))
    if len(bad):
        raise DataError(
            f"view {name!r} holds NaN or infinity in {len(bad)} of {len(values)} rows, first in row {bad[0]}; "
            "impute these numbers, or give None for the whole row to count it as missing"
        )
