"""Probabilistic canonical correlation analysis: the factors that views share, with how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from operator import index
from typing import Any

import numpy as np

from bouba.align.canonical import signs
from bouba.align.closed_form import ClosedForm
from bouba.align.factor_model import ViewFactors, fit_factors
from bouba.align.factor_readout import FactorReadout
from bouba.align.features import SimpleFeatures
from bouba.align.maps import Linear
from bouba.align.readout import patterns
from bouba.align.variance import predicted_view, reconstructed, shares_given_back
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.estimator import check_is_fitted

MOST = 15  # factors that are tried, where nobody says how many
LEAST = 0.01  # of the variance of a view, which a factor explains in one view at least


@dataclass(frozen=True)
class Posterior:
    """What is known of the factors of n rows: normal with these means and covariances.

    Args:
        mean: (n, k). covariances: (p, k, k), one for each set of views that rows have. pattern: (n,) which of them.
    """

    mean: np.ndarray
    covariances: np.ndarray
    pattern: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """(n, k) standard deviations; 1, the prior's, for a row without a view."""
        return np.sqrt(np.einsum("pkk->pk", self.covariances))[self.pattern]


class ProbabilisticCCA(ClosedForm):
    """Factors z from which every view of a row was made, and what any of its views tells of them.

        z ~ N(0, I);   x_v = W_v z + mean_v + e_v,   e_v ~ N(0, diag(1 / tau_v));   W_v,jk ~ N(0, 1 / alpha_vk)

    A factor whose alpha_vk grows has no part in view v: it is of the other views, or of one alone. So what is of one
    view alone, the rest of Bach and Jordan's full covariance, needs no matrix of columns by columns, and factors
    say which views share them. All rows teach, also those with one view; nothing is filled in. `transform` gives
    E[z | x_v] of each view, `posterior` E[z | all views of a row] and its covariance, `predict` a view from any others.

    Take it instead of CCA where views are missing, columns are many, it matters how sure a factor is, or nobody knows
    how many there are; CCA where rows are many and time is short, or p-values are asked for.

    Args:
        n_components: k, factors shared or not; None starts with 15 and keeps those that explain 1% of one view or more.
        noise: "column", a variance of its own for each column, as factor analysis; "view", one for all columns of a
            view, as probabilistic PCA, for views whose columns have one unit and rows that are few.
        max_iter, tol: rounds, at most, and the share of itself by which the bound has to rise for another.
        towers: view -> a frozen encoder that reads it. device: where that runs.
        features: columns that pictures and texts without a tower are reduced to. random_state: of that reduction.

    Attributes: `correlations_` (k,) between E[z | x_v] of two views by the model, mean over pairs, largest first: small
    for a factor of one view; `bounds_` (rounds,), evidence lower bound; `maps_`, `kinds_`.

    Columns are standardised first with noise "column", so that units do not matter; a view is divided by one number
    with "view".

    Raises:
        DataError: fewer than two views or rows, NaN, more factors than columns. UsageError: another noise, no round.

    Reference: Bach & Jordan 2005, A probabilistic interpretation of canonical correlation analysis; Klami, Virtanen &
    Kaski 2013, Bayesian canonical correlation analysis, section 4 (the priors and variational updates); Virtanen et al.
    2012, Bayesian group factor analysis, for several views. Departures: means are estimated, noise may differ by
    column, no rotation between rounds.

    >>> from bouba import samples
    >>> views, truth = samples.correlated(300, (0.9,), widths=(8, 6))
    >>> model = ProbabilisticCCA(1).fit(views)
    >>> model.posterior(views.select("view0")).mean.shape, model.predict(views.select("view0")).shape
    ((300, 1), (300, 6))
    """

    reconstructs = True
    predict, reconstruct, explained = predicted_view, reconstructed, shares_given_back

    def __init__(
        self,
        n_components: int | None = None,
        *,
        noise: str = "column",
        max_iter: int = 1000,
        tol: float = 1e-6,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.noise = noise
        self.max_iter = max_iter
        self.tol = tol
        self.towers = towers
        self.device = device
        self.features = features
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        k = self._k(data)
        scales, used, views = {}, {}, {}
        for name, values in data.items():
            rows = np.flatnonzero(present[name])
            x = np.asarray(values[rows], float)
            mean, deviation = x.mean(0), x.std(0)
            used[name] = deviation > 1e-12 * np.maximum(1, np.abs(mean))
            if not used[name].any():
                raise DataError(f"view {name!r} does not vary; leave it out")
            if self.noise == "view":
                deviation = np.full(len(deviation), np.sqrt(np.mean(deviation[used[name]] ** 2)))
            scales[name] = (mean, deviation)
            x = (x - mean)[:, used[name]] / deviation[used[name]]
            views[name] = ViewFactors(x, rows, k, self.noise == "view")
        random = np.random.default_rng(self.random_state)
        n = len(next(iter(present.values())))
        bounds = fit_factors(views, n, k, most=self.max_iter, tolerance=self.tol, random=random)
        self.bounds_ = np.array(bounds)
        self._keep(views, data, scales, used)

    def _keep(self, views: Mapping[str, ViewFactors], data: Mapping[str, np.ndarray], scales: Mapping, used: Mapping):
        """The fitted model in the unit of the columns, its factors in order."""
        explained = np.stack([(view.weights**2).sum(0) / view.x.var(0).sum() for view in views.values()])  # (M, k)
        correlations = _agreement([view.added for view in views.values()])
        order = np.lexsort([-explained.max(0), -correlations.round(9)])
        if self.n_components is None:
            large = order[explained.max(0)[order] >= LEAST]
            order = large if len(large) else order[:1]
        sign = signs(np.vstack([view.weights for view in views.values()]))[order]
        self.correlations_ = correlations[order]
        precisions, weights, means, noise, deviations = {}, {}, {}, {}, {}
        self.maps_: dict[str, Linear] = {}
        for name, view in views.items():
            mean, scale = scales[name]
            at = used[name]
            w, p = view.weights[:, order] * sign, view.added[np.ix_(order, order)] * np.outer(sign, sign)
            weights[name], back = np.zeros((len(mean), len(order))), np.zeros((len(mean), len(order)))
            weights[name][at] = w * scale[at, None]
            means[name], noise[name] = mean.copy(), np.zeros(len(mean))
            means[name][at] += view.mean * scale[at]
            noise[name][at] = scale[at] / np.sqrt(view.precision)
            deviations[name] = np.zeros(len(mean))
            deviations[name][at] = view.x.std(0) * scale[at]
            alone = np.linalg.inv(np.eye(len(order)) + p)
            back[at] = (w * view.precision[:, None] / scale[at, None]) @ alone
            precisions[name], self.maps_[name] = p, Linear(means[name], back)
        self.readout_: FactorReadout = FactorReadout(
            tuple(views), len(order), precisions, weights, means, noise, deviations
        )

    def posterior(self, X) -> Posterior:
        """Of the factors, from whichever views each row of X has.

        Raises:
            As `transform`.
        """
        check_is_fitted(self)
        blocks = self._read(X)
        z = {name: np.asarray(self._variates(blocks, name), float) for name in blocks.data}
        covariances, pattern = [np.eye(self.readout_.k)], np.zeros(len(blocks), int)
        for names, rows in patterns(blocks.present, z):
            pattern[rows] = len(covariances)
            covariances.append(self.readout_.covariance(tuple(names)))
        return Posterior(self.readout_.factors(z, blocks.present), np.stack(covariances), pattern)

    def predict_deviation(self, X, *, to: str) -> np.ndarray:
        """(n, d) standard deviation of the columns of a view given the other views of X, around `predict(X, to=to)`.

            diag(W_to Cov[z | V] W_to' + 1 / tau)

        The weights themselves count as known, so that with few rows it is a little too small.

        Raises:
            ModalityError: no such view. UsageError: no other view. Otherwise as `transform`.
        """
        check_is_fitted(self)
        if to not in self.kinds_:
            raise ModalityError(f"no view {to!r}{nearest(to, self.kinds_)}")
        blocks = self._read(X)
        others = [name for name in blocks.data if name != to]
        if not others:
            raise UsageError(f"{to!r} is not predicted from itself; give another view as well")
        weights, noise = self.readout_.weights[to], self.readout_.noise[to]
        variances = np.tile((weights**2).sum(1), (len(blocks), 1))  # of a row without a view
        for names, rows in patterns(blocks.present, others):
            spread = self.readout_.covariance(tuple(names))
            variances[rows] = ((weights @ spread) * weights).sum(1)
        return np.sqrt(variances + noise**2)

    def _k(self, data: Mapping[str, np.ndarray]) -> int:
        """How many factors to start with; refuses arguments that do not suit."""
        if self.noise not in ("column", "view"):
            raise UsageError(f"noise is 'column' or 'view', got {self.noise!r}")
        if index(self.max_iter) < 1:
            raise UsageError(f"max_iter is 1 or more, got {self.max_iter}")
        columns = sum(values.shape[1] for values in data.values())
        n = len(next(iter(data.values())))
        k = min(MOST, columns, max(1, n - 1)) if self.n_components is None else index(self.n_components)
        if not 1 <= k <= columns:
            raise DataError(f"{k} factors of {columns} columns in all; take 1 to {columns}")
        return k

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.maps_[name](np.asarray(values, float)).astype(values.dtype)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.correlations_

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)


def _agreement(added: list[np.ndarray]) -> np.ndarray:
    """(k,) correlation between E[z | x_a] and E[z | x_b] by the model, mean over pairs of views: with the variance
    R_v = (I + P_v)^-1 P_v of E[z | x_v] it is (R_a R_b)_kk over the root of both."""
    variances = [np.linalg.solve(np.eye(len(p)) + p, p) for p in added]
    pairs = []
    for a, b in combinations(variances, 2):
        scale = np.sqrt(np.maximum(a.diagonal() * b.diagonal(), 0))
        pairs.append(np.divide((a @ b).diagonal(), scale, out=np.zeros(len(a)), where=scale > 1e-9))
    return np.mean(pairs, axis=0).clip(0, 1)
