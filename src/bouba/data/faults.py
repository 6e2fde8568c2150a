"""Cells that cannot be decoded: found by their headers at once, and by their data when these are used."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from bouba.data.kinds import KINDS
from bouba.data.mapped import Picked
from bouba.data.views import Column, Views
from bouba.errors import DataError

log = logging.getLogger("bouba")
T = TypeVar("T")
HEADERS = 64  # that a thread reads before it hands back
AT_ONCE = 4096  # cells that are in memory together, as they are stored
FEW = 8  # cells that may all be broken by themselves
Faults = dict[str, dict[int, str]]
"""View -> place among its values -> why the cell could not be decoded."""
MOST_NAMED = 10  # cells in the log at a time


def header_faults(column: Column) -> dict[int, str]:
    """Row -> why its cell cannot be read, as far as headers show."""
    return _faults(column, np.flatnonzero(column.present), KINDS[column.kind].header_fault)


def refuse_faults(views: Views) -> None:
    """Decode every picture, sound and clip. DataError naming the first that cannot be."""
    for name, column in views.columns.items():
        present = np.flatnonzero(column.present)
        faults = _faults(column, present, KINDS[column.kind].fault)
        for row, reason in faults.items():
            place = f"row {views.rows[row]}, column {name!r}"
            raise DataError(f"{len(faults)} of {len(present)} cells cannot be read, the first is {place}: {reason}")


def lose_faults(views: Views) -> None:
    """Decode every picture, sound and clip; those that cannot be count as missing from then on."""
    for name, column in views.columns.items():
        lose(name, column, _faults(column, np.flatnonzero(column.present), KINDS[column.kind].fault))


def faults_of(views: Views) -> Faults:
    """What broke while cells were decoded, also in other rows of the same columns."""
    return {name: dict(column.faults) for name, column in views.columns.items()}


def lose_again(views: Views, faults: Faults) -> None:
    """Count cells as missing that broke where the same rows were read by another process, see `faults_of`."""
    for name, of_column in faults.items():
        column = views.columns[name]
        column.has[list(of_column)] = False
        column.faults.update(of_column)


def decoded(
    name: str, column: Column, rows: ArrayLike, read: Callable[[list], T], *, singly: bool = True
) -> tuple[list[int], T | None]:
    """What `read` makes of the cells of some rows, without those that break while it does.

    A cell whose header is in order and whose data are not counts as missing from then on, see `Column.lose`; the log
    says which and why.

    Args:
        name: of the view. rows: of `column`; those without a cell are left out. read: cells -> anything.
        singly: whether `read` takes one cell as well, to find which broke: a sound that breaks off behind what is read
            of it is not broken. Else each cell is decoded to its end.

    Returns:
        The rows that were read, and what came of them; None where none is left.

    Raises:
        DataError: none of FEW cells or more can be decoded: files went away, and going on would teach nothing. Whatever
            `read` raises while each of the cells can be decoded.
    """
    places = np.asarray(rows, np.int64)
    present: list[int] = places[column.has[column.index[places]]].tolist()
    if not present:
        return [], None
    try:
        cells: Any = [column[row] for row in present] if len(present) <= AT_ONCE else Picked(column, present)
        return present, read(cells)
    except DataError:
        suspects = [row for row in present if not singly or _fails(read, column[row])]
        faults = _faults(column, suspects, KINDS[column.kind].fault)
        if not faults:
            raise
    if len(faults) == len(set(present)) >= FEW:
        first = next(iter(faults.values()))
        raise DataError(f"{name}: none of {len(faults)} cells can be read, the first: {first}")
    lose(name, column, faults)
    return decoded(name, column, present, read, singly=singly)


def _fails(read: Callable[[list], object], cell: object) -> bool:
    try:
        read([cell])
    except DataError:
        return True
    return False


def lose(name: str, column: Column, faults: dict[int, str]) -> None:
    """Count cells as missing from now on, row -> why; the log names the first of them."""
    for row, reason in faults.items():
        column.lose(row, reason)
    for reason in list(faults.values())[:MOST_NAMED]:
        log.warning("%s: %s; it counts as missing", name, reason)
    if len(faults) > MOST_NAMED:
        log.warning("%s: %d cells more cannot be read and count as missing", name, len(faults) - MOST_NAMED)


def _faults(column: Column, rows: Iterable[int], fault: Callable[[object], str | None]) -> dict[int, str]:
    """Row -> why its cell is refused. Threads wait for disks together; each takes a stretch of rows."""
    if KINDS[column.kind].decoder is None:
        return {}
    rows = [int(row) for row in rows]
    stretches = [rows[at : at + HEADERS] for at in range(0, len(rows), HEADERS)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reasons = [r for stretch in pool.map(lambda rs: [fault(column[r]) for r in rs], stretches) for r in stretch]
    return {row: reason for row, reason in zip(rows, reasons, strict=True) if reason is not None}
