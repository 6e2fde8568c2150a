"""How many wrong pairs the list of suspicious ones finds; a part of `bouba bench wrong-pairs`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.runs.suspicion import suspicious


def found_in_the_worst(views: Views, share: float, seed: int) -> float:
    """Of the wrong pairs the share that stands in the worst part of the list, a part as large as they are. By chance it
    is `share`.

    Args:
        views: two views, one row a thing. share: of pairs that are made wrong, above 0.
    """
    mixed, wrong = with_wrong_pairs(views, share, seed)
    worst = {doubt.row for doubt in suspicious(mixed)[: len(wrong)]}
    return len(worst & wrong) / len(wrong)


def with_wrong_pairs(views: Views, share: float, seed: int) -> tuple[Views, set[int]]:
    """The rows, the second views of a share of which go round among them; and the numbers of those rows."""
    second: Any = list(views.columns)[1]
    rows = np.random.default_rng(seed).choice(len(views), round(share * len(views)), replace=False)
    partner = np.arange(len(views))
    partner[rows] = np.roll(rows, 1)
    mixed = views.replace(columns={**views.columns, second: views[second].take(partner)})
    return mixed, set(views.rows[rows].tolist())
