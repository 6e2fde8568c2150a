"""Rows of numbers, or of a table, that are equal up to rounding, where that is no chance.

A row with the values x_1 ... x_d has by chance  n p_1(x_1) ... p_d(x_d)  twins among n rows, p_c(x) being how often
column c has the value x. Rows that would have CHANCE twins or more, as one-hot vectors, a few counts or a single number
do, are no duplicates however equal they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bouba.data import decode
from bouba.data.duplicates.nearest import linked

ROUNDING = 1e-4  # of the largest absolute value of a column
CHANCE = 1e-3  # twins that a row may have by chance
NEIGHBOURS = 3  # rows that each is compared with, in the order of a projection
COLUMNS = 256  # at most, evenly taken, that chance is reckoned by


def equal_vectors(cells: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) a number for what each vector holds, up to rounding; -1 where that says nothing."""
    values = np.stack([np.asarray(cell, np.float32) for cell in cells])
    values = values / np.maximum(np.abs(values).max(0), 1e-30)
    direction = np.random.default_rng(0).normal(size=values.shape[1]).astype(np.float32)
    order = np.argsort(values @ direction, kind="stable")
    ends = []
    for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
        one, other = order[:-step], order[step:]
        close = np.abs(values[one] - values[other]).max(1) <= ROUNDING
        ends.append(np.stack([one[close], other[close]], 1))
    pairs = np.concatenate(ends) if ends else np.zeros((0, 2), int)
    return _unless_chance(linked(len(values), *pairs.T), np.round(values / ROUNDING))


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
    twins = np.full(n, np.log(max(n, 1)))
    for place in np.unique(np.linspace(0, d - 1, min(d, COLUMNS)).round().astype(int)):
        _, which, counts = np.unique(codes[:, place], return_inverse=True, return_counts=True)
        twins += np.log(counts[which] / n)
    return np.where(twins < np.log(CHANCE), rows, -1)
