"""An order for training that reads rows which lie together at about the same time: blocks by chance, a few at once.

Rows far away are fetched by blocks; in an order that is all chance, each row would fetch a block of its own. Here the
blocks are drawn in an order by chance, AT_ONCE of them are mixed, row by row, and then the next ones. Each row comes
once, as in a full permutation; two rows of one block meet in a batch more often than by chance, the less, the more
blocks are mixed.
"""

from __future__ import annotations

import numpy as np

from bouba.data.mapped import OnDisk, Picked
from bouba.data.views import Views

AT_ONCE = 16  # blocks that are mixed


def block_of(views: Views) -> int | None:
    """How many rows are fetched together where some column of the views lies far away; None where none does."""
    blocks = []
    for column in views.columns.values():
        values = column.values
        while isinstance(values, Picked) or hasattr(values, "cells"):
            values = values.cells
        blocks += [values.block] if isinstance(values, OnDisk) and values.block is not None else []
    return max(blocks, default=None)


def block_permutation(
    rows: np.ndarray, random: np.random.Generator, block: int | None, *, at_once: int = AT_ONCE
) -> np.ndarray:
    """The same rows in an order by chance; consecutive ones stay within `at_once` blocks of each other.

    Args:
        rows: (n,) ascending. block: rows that lie together, from `block_of`; None gives `random.permutation(rows)`.

    >>> block_permutation(np.arange(8), np.random.default_rng(0), 2, at_once=2).tolist()
    [1, 0, 5, 4, 3, 7, 2, 6]
    """
    if block is None or len(rows) <= block:
        return random.permutation(rows)
    of_block = np.split(rows, np.flatnonzero(np.diff(rows // block)) + 1)
    order = random.permutation(len(of_block))
    mixed = [
        random.permutation(np.concatenate([of_block[place] for place in order[start : start + at_once]]))
        for start in range(0, len(order), at_once)
    ]
    return np.concatenate(mixed)
