"""Ranking metrics where scores tie: the expectation over a random order of equal scores.

A ranking is a row of tie groups. A group has `above` items ranked before it, `size` items of one score and
`hits` relevant ones among them; `hits_above` relevant items come before it. Without ties every size is 1
and all formulas are the usual ones. A random ranking is one group that holds the whole gallery, which is
why chance needs no formula of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma


class TieGroups(NamedTuple):
    """The groups that hold a hit, sorted by row and then by rank; all arrays (number of groups,)."""

    row: NDArray[np.intp]
    above: NDArray[np.intp]
    size: NDArray[np.intp]
    hits: NDArray[np.intp]
    hits_above: NDArray[np.intp]


def expectations(groups: TieGroups, ks: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Expected metrics of each row: see the functions below. Rows are 0..n-1, each with a hit somewhere."""
    is_first = np.diff(groups.row, prepend=-1) > 0
    first = TieGroups(*(column[is_first] for column in groups))
    values = hit_rates(first, ks)
    if 10 in ks:
        values["precision@10"] = precision(groups, 10)
    values["rank"] = first.above + (first.size + 1) / (first.hits + 1)
    values["reciprocal_rank"] = reciprocal_rank(first)
    values["average_precision"] = average_precision(groups)
    return values


def miss_probability(size: int, hits: int) -> NDArray[np.float64]:
    """P(no hit among the first x of a shuffled group), x = 0..size: prod over i < x of (s-h-i) / (s-i)."""
    i = np.arange(size)
    return np.concatenate([[1.0], np.cumprod(np.maximum(size - hits - i, 0) / (size - i))])


def hit_rates(first: TieGroups, ks: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """recall@k: P(a hit within the first k), hypergeometric within the group where the first hit lies."""
    rates = {f"recall@{k}": np.empty(len(first.row)) for k in ks}
    shapes, shape_of = np.unique(np.column_stack([first.size, first.hits]), axis=0, return_inverse=True)
    for index, (size, hits) in enumerate(shapes.tolist()):
        rows = np.flatnonzero(shape_of.ravel() == index)
        missed = miss_probability(size, hits)
        for k in ks:
            rates[f"recall@{k}"][rows] = 1 - missed[np.clip(k - first.above[rows], 0, size)]
    return rates


def precision(groups: TieGroups, k: int) -> NDArray[np.float64]:
    """Expected share of hits among the first k: sum over groups of h/s min(s, max(0, k - above)) / k."""
    taken = np.clip(k - groups.above, 0, groups.size)
    return np.bincount(groups.row, weights=groups.hits / groups.size * taken) / k


def reciprocal_rank(first: TieGroups) -> NDArray[np.float64]:
    """E[1 / rank of the first hit] = sum over x of P(first hit at place x of the group) / (above + x)."""
    value = 1.0 / (first.above + 1)
    mixed = np.flatnonzero(first.size > first.hits)  # elsewhere the first of the group is a hit for sure
    shapes = np.column_stack([first.above, first.size, first.hits])[mixed]
    shapes, shape_of = np.unique(shapes, axis=0, return_inverse=True)
    for index, (above, size, hits) in enumerate(shapes.tolist()):
        first_at = -np.diff(miss_probability(size, hits))  # (size,)
        expected = (first_at / (above + np.arange(1, size + 1))).sum()
        value[mixed[shape_of.ravel() == index]] = expected
    return value


def average_precision(groups: TieGroups) -> NDArray[np.float64]:
    """Expected average precision, exact.

        sum over groups and places x = 1..s of  h/s (c + 1 + (x-1) (h-1)/(s-1)) / (a+x),  over all hits

    with a = above, s = size, h = hits, c = hits_above: place x is relevant with probability h/s, and then
    (x-1)(h-1)/(s-1) of the others come before it. The sums over x are differences of digamma.

    Reference: McSherry and Najork (2008), Computing information retrieval performance measures efficiently
    in the presence of tied scores, ECIR.
    """
    a, s, h, c = groups.above, groups.size, groups.hits, groups.hits_above
    inverse = np.where(s == 1, 1.0 / (a + 1), digamma(a + s + 1) - digamma(a + 1))  # sum of 1 / (a + x)
    slope = np.where(s > 1, (h - 1) / np.maximum(s - 1, 1), 0.0)
    precisions = h / s * ((c + 1) * inverse + slope * (s - (a + 1) * inverse))
    return np.bincount(groups.row, weights=precisions) / np.bincount(groups.row, weights=h)
