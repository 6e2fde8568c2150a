"""Rows of numbers, or of a table, that are equal up to rounding, where that is no chance.

A row with the values x_1 ... x_d has by chance  n p_1(x_1) ... p_d(x_d)  twins among n rows, p_c(x) being how often
column c has the value x. Rows that would have CHANCE twins or more, as one-hot vectors, a few counts or a single number
do, are no duplicates however equal they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bouba.data import decode, scratch
from bouba.data.duplicates.nearest import linked

ROUNDING = 1e-4  # of the largest absolute value of a column
CHANCE = 1e-3  # twins that a row may have by chance
NEIGHBOURS = 3  # rows that each is compared with, in the order of a projection
COLUMNS = 256  # at most, evenly taken, that chance is reckoned by


def equal_vectors(values: np.ndarray) -> np.ndarray:
    """(n,) a number for what each vector of (n, d) holds, up to rounding; -1 where that says nothing."""
    n, d = values.shape
    scale = np.full(d, np.float32(1e-30))
    for at in scratch.blocks(n, 4 * d):
        np.maximum(scale, np.abs(values[at], dtype=np.float32).max(0), out=scale)
    direction = np.random.default_rng(0).normal(size=(d, 1)).astype(np.float32)[:, 0]
    order = np.argsort(
        np.concatenate([_scaled(values, at, scale) @ direction for at in scratch.blocks(n, 4 * d)]), kind="stable"
    )
    ends = []
    for step in range(1, min(NEIGHBOURS, n - 1) + 1):
        for at in scratch.blocks(n - step, 4 * d):
            one, other = order[:-step][at], order[step:][at]
            apart = np.abs(_scaled(values, one, scale) - _scaled(values, other, scale)).max(1)
            ends.append(np.stack([one, other], 1)[apart <= ROUNDING])
    pairs = np.concatenate(ends) if ends else np.zeros((0, 2), int)
    if not len(pairs):
        return np.arange(n)
    return np.where(_says_something(values, scale), linked(n, *pairs.T), -1)


def _scaled(values: np.ndarray, rows: slice | np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Some rows as float32, each column by its largest absolute value."""
    return np.asarray(values[rows], np.float32) / scale


def _says_something(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """bool (n,), the vectors that would hardly have a twin by chance; some columns are in memory at once."""
    n, d = values.shape
    twins = np.full(n, np.log(max(n, 1)))
    chosen = _evenly(d)
    width = max(1, scratch.LARGE // (4 * max(n, 1)))
    for start in range(0, len(chosen), width):
        columns = chosen[start : start + width]
        codes: np.ndarray = np.empty((len(columns), n), np.float32)
        for at in scratch.blocks(n, 4 * d):
            codes[:, at] = np.round(_scaled(values, at, scale)[:, columns] / ROUNDING).T
        twins += _log_chance(codes)
    return twins < np.log(CHANCE)


def equal_records(cells: Sequence[Mapping]) -> np.ndarray:
    """The same for rows of a table."""
    records = [decode.record(cell) for cell in cells]
    names = sorted({name for record in records for name in record})
    shown = [tuple(_shown(record.get(name)) for name in names) for record in records]
    number = {row: place for place, row in enumerate(sorted(set(shown)))}
    codes = [np.unique(np.array(column, dtype=str), return_inverse=True)[1] for column in zip(*shown)]
    return _unless_chance(np.array([number[row] for row in shown]), np.array(codes).reshape(len(names), -1).T)


def _shown(value: float | str | None) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else f"'{value}"


def _unless_chance(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Numbers of rows (n,), -1 where what stands in the columns (n, d) would have twins by chance."""
    n, d = codes.shape
    twins = np.log(max(n, 1)) + _log_chance(codes.T[_evenly(d)])
    return np.where(twins < np.log(CHANCE), rows, -1)


def _evenly(d: int) -> np.ndarray:
    """The columns, among d, that chance is reckoned by."""
    return np.unique(np.linspace(0, d - 1, min(d, COLUMNS)).round().astype(int))


def _log_chance(columns: np.ndarray) -> np.ndarray:
    """(n,) sum over columns (d, n) of the logarithm of how often each has the value that stands there."""
    total = np.zeros(columns.shape[1])
    for values in columns:
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        total += np.log(counts[which] / len(values))
    return total
