"""Sparse canonical correlation analysis: weights of few columns, by a penalised decomposition of the covariances."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from operator import index
from typing import Any

import numpy as np

from bouba.align.blocks import Blocks
from bouba.align.canonical import most_components
from bouba.align.choosing import FEWEST, folds
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.maps import pearson
from bouba.align.moments import Moments
from bouba.align.penalised import Bounded, Counted, Penalty, sparse_weights
from bouba.align.readout import Readout
from bouba.align.variance import names_of_columns, predicted_view, reconstructed, shares_given_back
from bouba.data.views import is_missing
from bouba.errors import DataError, UsageError

PENALTIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
USUAL = 0.3  # where rows are too few to choose by
MOST = 10  # components, where nobody says how many


class SparseCCA(ClosedForm):
    """Directions in which views agree, each made of few columns.

        max  sum over pairs i < j of  w_i' S_ij w_j,   |w_i|_2 <= 1,  |w_i|_1 <= c_i = penalty sqrt(d_i)

    S_ij the correlations between columns of two views. Each w_i in turn is the soft threshold of sum_j S_ij w_j, until
    nothing changes; a later component works on S_ij - (w_i' S_ij w_j) w_i w_j'. Within a view the columns count as
    uncorrelated, so it stands where columns are many and rows few, and needs no matrix of columns by columns where rows
    are fewer than half of the columns. Weights are then scaled so that every variate has variance 1. Variates of one
    view may correlate, unlike those of CCA.

    Which columns have a weight changes with the rows: `stability_selection` says which of them to believe. Use
    CCA with a ridge where columns share the work and none has to be named.

    Args:
        n_components: k; None takes as many as the second widest view has columns, 10 at most.
        penalty: c over sqrt(d), above 0 and up to 1, for all views or view -> penalty; 1 leaves all columns in. "auto"
            chooses one for all views among 0.1 to 1 by the correlations of held-out rows, summed over components; rows
            with equal keys or groups are held out together.
        keep: columns of a view that a component keeps, in place of the penalty; for all views or view -> count.
        towers: view -> a frozen encoder that reads it. device: where that runs.
        features: columns that pictures and texts without a tower are reduced to. random_state: of that, of the folds,
            and of where the search starts.

    Attributes: `correlations_` (k,), `weights_` view -> (d, k), `means_`, `penalty_` view -> penalty, {} with `keep`,
    `candidates_` of "auto": penalty -> held-out sum of correlations, `kinds_`.

    A pair of views is judged by the rows that have both. Columns that do not vary have no weight.

    Raises:
        DataError: fewer than two views or rows, NaN, more components than columns. UsageError: a penalty outside
        (0, 1], `keep` below 1, both of them, or of other views.

    Reference: Witten, Tibshirani & Hastie 2009, A penalized matrix decomposition, algorithms 3 and 4; Witten &
    Tibshirani 2009, Extensions of sparse CCA, section 3, for three views or more. Departures: the search has
    eleven starts, the solution without a penalty, which is theirs, and the columns that agree most with one of another
    view, as theirs alone misses what many columns hide; the penalty is chosen by held-out correlations, where theirs is
    by permutation.

    >>> from bouba import samples
    >>> views, truth = samples.correlated(100, (0.9,), widths=(80, 60), nonzero=3)
    >>> model = SparseCCA(1, keep=3).fit(views)
    >>> [name for name, _ in model.selected("view1")]
    ['view1_10', 'view1_31', 'view1_14']
    """

    reconstructs = True
    predict, reconstruct, explained = predicted_view, reconstructed, shares_given_back

    def __init__(
        self,
        n_components: int | None = None,
        *,
        penalty: float | str | Mapping[str, float] = "auto",
        keep: int | Mapping[str, int] | None = None,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.penalty = penalty
        self.keep = keep
        self.towers = towers
        self.device = device
        self.features = features
        self.random_state = random_state

    def _fit_blocks(self, blocks: Blocks) -> None:
        self._penalties(blocks.data)  # before anything is solved
        self.candidates_: dict[str, float] = {}
        if self.keep is None and self.penalty == "auto":
            self.candidates_ = self._tried(blocks)
            known = {float(penalty): score for penalty, score in self.candidates_.items()}
            best = max(known, key=lambda penalty: known[penalty]) if known else USUAL
            self.penalty_: dict[str, float] = dict.fromkeys(blocks.data, best)
        elif self.keep is None:
            self.penalty_ = _by_view(self.penalty, blocks.data, "penalty")
        else:
            self.penalty_ = {}
        self._fit(blocks.data, blocks.present)

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        moments = Moments.of(data, present)
        penalties = {v: Bounded(s) for v, s in self.penalty_.items()} or self._penalties(data)
        self.weights_ = sparse_weights(moments, self._k(data), penalties, random_state=self.random_state)
        self.means_ = {view: moments.mean(view) for view in data}
        self.readout_ = Readout.of_moments(moments, self.weights_)
        pairs = [(a, b) for a, b in combinations(data, 2) if moments.count(a, b) > 1]
        shared = [moments.between(a, b, self.weights_[a], self.weights_[b]).diagonal() for a, b in pairs]
        self.correlations_ = np.mean(shared, axis=0)

    def selected(self, view: str, component: int = 0) -> list[tuple[str, float]]:
        """The columns (name, weight) of a view that a component is made of, the largest weight first.

        Raises:
            ModalityError: no such view.
        """
        names = names_of_columns(self, view)
        weights = self.weights_[view][:, component]
        order = np.argsort(-np.abs(weights), kind="stable")
        return [(names[i], float(weights[i])) for i in order[: np.count_nonzero(weights)].tolist()]

    def _tried(self, blocks: Blocks) -> dict[str, float]:
        """Penalty, as text, -> sum of held-out correlations, mean over folds and pairs of views."""
        units = units_of(blocks)
        scores: dict[str, list[float]] = {str(penalty): [] for penalty in PENALTIES}
        if len(np.unique(units)) < FEWEST:
            return {}
        for training, judged in folds(units, self.random_state):
            present = {view: there[training] for view, there in blocks.present.items()}
            moments = Moments.of({view: values[training] for view, values in blocks.data.items()}, present)
            k = self._k(blocks.data)
            for penalty in PENALTIES:
                penalties = dict.fromkeys(blocks.data, Bounded(penalty))
                weights = sparse_weights(moments, k, penalties, random_state=self.random_state)
                z = {view: blocks.data[view][judged] @ w for view, w in weights.items()}
                scores[str(penalty)] += [
                    pearson(z[a][both], z[b][both]).sum()
                    for a, b in combinations(z, 2)
                    if (both := blocks.present[a][judged] & blocks.present[b][judged]).sum() > 2
                ]
        return {penalty: float(np.mean(found)) for penalty, found in scores.items() if found}

    def _k(self, data: Mapping[str, np.ndarray]) -> int:
        widths = [values.shape[1] for values in data.values()]
        most = most_components(widths)
        k = min(most, MOST) if self.n_components is None else index(self.n_components)
        if not 1 <= k <= most:
            raise DataError(f"{k} components from views {widths} wide; take {most} or fewer")
        return k

    def _penalties(self, data: Mapping[str, np.ndarray]) -> dict[str, Penalty]:
        """View -> what its weights are held by, {} where that is to be chosen; refuses what does not suit."""
        self._k(data)
        if self.keep is not None:
            if self.penalty != "auto":
                raise UsageError("keep stands in place of penalty; give one of them")
            counts = _by_view(self.keep, data, "keep")
            if wrong := next((view for view, count in counts.items() if index(count) < 1), None):
                raise UsageError(f"keep is 1 column or more, got {counts[wrong]} for view {wrong!r}")
            return {view: Counted(index(count)) for view, count in counts.items()}
        if isinstance(self.penalty, str):
            if self.penalty != "auto":
                raise UsageError(f"penalty is 'auto' or a number above 0 and up to 1, got {self.penalty!r}")
            return {}
        shares = _by_view(self.penalty, data, "penalty")
        if wrong := next((view for view, share in shares.items() if not 0 < share <= 1), None):
            raise UsageError(
                f"penalty is 'auto' or a number above 0 and up to 1, got {shares[wrong]} for view {wrong!r}"
            )
        return {view: Bounded(share) for view, share in shares.items()}

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return ((values - self.means_[name]) @ self.weights_[name]).astype(values.dtype)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.correlations_.clip(0)

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)


def units_of(blocks: Blocks) -> np.ndarray:
    """(n,) name of what is held out together: by the group of a row, else by its key, else the row itself."""
    views = blocks.views
    if views is None or (views.group is None and views.key is None):
        return np.arange(len(blocks))
    if views.group is None:
        return views.things
    return np.array([f"row {r}" if is_missing(g) else str(g) for g, r in zip(views.group, views.rows)], dtype=object)


def _by_view(value: Any, views: Mapping[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(views, value)
    for view in {*value, *views}:
        if view not in value or view not in views:
            raise UsageError(f"{name} is for {', '.join(map(repr, value))}, the views are {', '.join(views)}")
    return {view: value[view] for view in views}
