"""What the cells of one column give in each use: numbers, vectors, rows of a table, and what is known of rows."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.arrays import EXACT, as_array
from bouba.data.mapped import OnDisk
from bouba.data.missing import is_missing
from bouba.data.vectors import as_float
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
    if getattr(values, "ndim", 1) > 1 or (isinstance(values, OnDisk) and values.is_nested):
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
    values = np.array([np.nan if is_missing(c) or isinstance(c, str) else as_float(c) for c in cells])
    numbers = _finite(values, cells)
    if not written:
        return numbers
    texts = numbers_of(written.values())
    places = list(written)
    values[places] = texts.values
    odd = dict(numbers.odd) | {places[i]: reason for i, reason in texts.odd.items()}
    return Numbers(numbers.values, dict(sorted(odd.items())), texts.words, texts.form, texts.ambiguous)


def _finite(values: np.ndarray, cells: Any) -> Numbers:
    """The same with what is infinite as missing."""
    infinite = np.flatnonzero(np.isinf(values))
    values[infinite] = np.nan
    return Numbers(values, {int(i): f"{str(cells[i])[:60]!r} is not finite" for i in infinite})


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
