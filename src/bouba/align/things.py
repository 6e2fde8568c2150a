"""What the rows of a fit show, and which of them never stand on both sides of a fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.align.blocks import Blocks
from bouba.data import scratch
from bouba.data.duplicates.nearest import linked
from bouba.data.views import is_missing


@dataclass(frozen=True)
class Things:
    """Of n rows, or pairs of rows.

    Args:
        shown: (n,) number of the thing that each shows: rows with equal keys, or with an equal cell, are one, and find
            each other rightly.
        together: (n,) number of what is on one side of every fold: things of an equal group.
    """

    shown: np.ndarray
    together: np.ndarray

    @classmethod
    def of(cls, blocks: Blocks) -> Things:
        """From keys, groups and cells."""
        views = blocks.views
        links = [] if views is None or views.key is None else [_first_alike(_names(views.key))]
        for view, features in blocks.data.items():
            links.append(_first_alike(_digests(features, blocks.present[view])))
        shown = _connected(links)
        if views is None or views.group is None:
            return cls(shown, shown)
        return cls(shown, _connected([*links, _first_alike(_names(views.group))]))

    def __getitem__(self, rows: np.ndarray) -> Things:
        return Things(self.shown[rows], self.together[rows])

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def apart(self) -> int:
        """How many there are that a fold can part."""
        return len(np.unique(self.together))


def _digests(features: np.ndarray, present: np.ndarray) -> list[int | None]:
    """A number for what each row holds, of 64 bits; None where it is missing."""
    digests: list[int | None] = []
    for at in scratch.blocks(len(features), 8 * features.shape[1]):
        rows = np.ascontiguousarray(features[at], float)
        digests += [hash(row.tobytes()) if there else None for row, there in zip(rows, present[at], strict=True)]
    return digests


def _names(values: Iterable[Any]) -> list[str | None]:
    return [None if is_missing(value) else str(value) for value in values]


def _connected(links: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) number of the group of each row, from links (n,) of each row to another."""
    n = len(links[0])
    return linked(n, np.tile(np.arange(n), len(links)), np.concatenate(links))


def _first_alike(values: Sequence[Any]) -> np.ndarray:
    """(n,) the first row with the same value; the row itself where it has none."""
    first: dict[Any, int] = {}
    return np.array([row if value is None else first.setdefault(value, row) for row, value in enumerate(values)])
