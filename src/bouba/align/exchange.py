"""Rows that change places at random, in whole blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bouba.errors import DataError

CELLS = 4_000_000
"""Numbers permuted at once; bounds the memory of many permutations of many rows."""


class Exchange:
    """Which rows change places: whole blocks of equally many rows, within a group.

    Args:
        group: (n,) number of each row's group. thing: (n,) number of what it shows; a block is a thing in a group.
    """

    def __init__(self, group: np.ndarray, thing: np.ndarray):
        pair = group * (int(thing.max()) + 1) + thing
        _, block, sizes = np.unique(pair, return_inverse=True, return_counts=True)
        self.rows = np.argsort(block, kind="stable")  # block by block
        self.block = block[self.rows]
        self.start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.within = np.arange(len(group)) - self.start[self.block]
        group_of = np.zeros(len(sizes), int)
        group_of[block] = group
        self.kind = group_of * (int(sizes.max()) + 1) + sizes  # blocks of one kind change places
        if np.unique(self.kind, return_counts=True)[1].max() < 2:
            if len(sizes) == len(group):
                raise DataError(
                    f"all {len(sizes)} groups have one row; rows are exchanged within groups, so give larger ones"
                )
            raise DataError(
                f"no two of {len(sizes)} blocks have equally many rows, so none can change places; "
                "take the same number of rows of each thing"
            )

    def orders(self, shape: tuple[int, int], width: int, random_state: int | None) -> Iterator[np.ndarray]:
        """Row orders (b, views, n) for shape = (permutations, views), some at a time."""
        random = np.random.default_rng(random_state)
        (total, views), n = shape, len(self.rows)
        by_kind = np.argsort(self.kind, kind="stable")
        some = max(1, CELLS // (views * n * width))
        for start in range(0, total, some):
            drawn = random.random((min(some, total - start), views, len(self.kind)))
            place = np.empty(drawn.shape, int)  # which block comes in each one's place
            place[..., by_kind] = np.argsort(self.kind + drawn, axis=-1)
            orders = np.empty((*drawn.shape[:2], n), int)
            orders[..., self.rows] = self.rows[self.start[place[..., self.block]] + self.within]
            yield orders
