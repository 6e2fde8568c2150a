"""Which pairs may be wrong: those whose halves find each other worst, by models that never saw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import clone

from bouba.data.views import Views
from bouba.errors import DataError
from bouba.metrics.hubs import csls_offsets
from bouba.metrics.similarity import unit_rows

FOLDS = 5
FEWEST = 20  # pairs below which nothing is left to compare with
AT_ONCE = 1024  # cells that are ranked at once


@dataclass(frozen=True)
class Doubt:
    """A pair of cells of one row, and how ill they fit.

    Args:
        row: its number in the table. views: of the two cells.
        doubt: standard deviations above the mean of all pairs of these views; the larger, the worse they fit.
        ranks: place of the second cell among all that the first finds, and of the first among all that the second
            finds, from 1. among: how many there are.
    """

    row: int
    views: tuple[str, str]
    doubt: float
    ranks: tuple[int, int]
    among: int


def pair_scores(a: np.ndarray, b: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How well cells of some rows fit, by comparison with all others.

        score_i = 2 a_i.b_i - r(a_i) - r(b_i),   r the mean similarity to the 10 nearest cells of the other view

    Whether a pair is similar says little by itself: some cells are near to everything and some to nothing.

    Args:
        a, b: (n, d) embeddings of n pairs. rows: (m,) those that are judged.

    Returns:
        (m,) scores, larger is better; (m, 2) ranks from 1, ties against the pair.

    Reference: Conneau et al. 2018, Word translation without parallel data (CSLS).
    """
    a, b = unit_rows(np.asarray(a, np.float64)), unit_rows(np.asarray(b, np.float64))
    near_a, near_b = csls_offsets(a, b), csls_offsets(b, a)
    own = np.einsum("md,md->m", a[rows], b[rows])
    ranks = np.empty((len(rows), 2), int)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        least = own[part, None] - 1e-12
        ranks[part, 0] = (a[rows[part]] @ b.T - near_b / 2 >= least - near_b[rows[part], None] / 2).sum(1)
        ranks[part, 1] = (b[rows[part]] @ a.T - near_a / 2 >= least - near_a[rows[part], None] / 2).sum(1)
    return 2 * own - near_a[rows] - near_b[rows], np.maximum(ranks, 1)


def doubts_left_out(estimator: Any, views: Views, *, folds: int = FOLDS, random_state: int = 0) -> list[Doubt]:
    """Every row with a pair, the most doubtful first; each judged by a model fitted on the things of other folds.

    Args:
        estimator: with `fit` and `embed`; it is cloned. views: rows in pairs.

    Raises:
        DataError: fewer than FEWEST rows with two views.
    """
    _, thing = np.unique(views.things, return_inverse=True)
    folds = min(folds, len(set(thing.tolist())))
    fold = (np.random.default_rng(random_state).permutation(thing.max() + 1) % folds)[thing]
    _refuse_few(views)
    parts = []
    for number in range(folds):
        fitted = clone(estimator).fit(views[np.flatnonzero(fold != number)])
        parts.append((fitted.embed(views), fold == number))
    return _worst_first(views, parts)


def doubts_by(model: Any, views: Views) -> list[Doubt]:
    """The same by a fitted model of rows that it never saw.

    Raises:
        DataError: as `doubts_left_out`.
    """
    _refuse_few(views)
    return _worst_first(views, [(model.embed(views), np.ones(len(views), bool))])


def _worst_first(views: Views, parts: Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]]) -> list[Doubt]:
    """From embeddings and which rows they judge to a doubt a row, that of its worst pair."""
    parts = list(parts)
    worst: dict[int, Doubt] = {}
    for a, b in _pairs(views, parts[0][0]):
        both = np.flatnonzero(views[a].present & views[b].present)
        if len(both) < FEWEST:
            continue
        scores, ranks = np.empty(len(both)), np.empty((len(both), 2), int)
        for z, judged in parts:
            rows = np.flatnonzero(judged[both])
            scores[rows], ranks[rows] = pair_scores(z[a][both], z[b][both], rows)
        doubts = (scores.mean() - scores) / max(float(scores.std()), 1e-12)
        for place, row in enumerate(views.rows[both].tolist()):
            doubt = Doubt(row, (a, b), float(doubts[place]), tuple(ranks[place].tolist()), len(both))
            if row not in worst or worst[row].doubt < doubt.doubt:
                worst[row] = doubt
    return sorted(worst.values(), key=lambda doubt: (-doubt.doubt, doubt.row))


def _pairs(views: Views, z: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """Pairs of views of different kinds; all pairs where there is one kind."""
    pairs = list(combinations(z, 2))
    kinds = views.modalities
    return [(a, b) for a, b in pairs if kinds[a] != kinds[b]] or pairs


def pairs_in(views: Views) -> int:
    """How many rows have two views or more."""
    return int((np.sum(list(views.present.values()), axis=0) > 1).sum())


def _refuse_few(views: Views) -> None:
    if pairs_in(views) < FEWEST:
        raise DataError(
            f"{pairs_in(views)} rows have two views or more; to tell which pairs are wrong takes {FEWEST} of them"
        )
