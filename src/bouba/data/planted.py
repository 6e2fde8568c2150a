"""Views with known canonical correlations: data for which the right answer is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError


@dataclass(frozen=True)
class Planted:
    """The population that `correlated` draws from: the truth that a method is to find.

    Args:
        correlations: (k,) canonical correlations, alike for every pair of views. The others are 0.
        weights: view -> (d, k) canonical weights; x'w has variance 1.
        within: correlation of neighbouring columns of a view; columns i and j have within^|i - j|.
    """

    correlations: np.ndarray
    weights: Mapping[str, np.ndarray]
    within: float = 0.0

    def covariance(self, a: str, b: str) -> np.ndarray:
        """(d_a, d_b) covariance of the columns of two views, or of one with itself, in the population."""
        if a == b:
            return _within(len(self.weights[a]), self.within)
        return (self.loadings(a) * self.correlations) @ self.loadings(b).T

    def loadings(self, view: str) -> np.ndarray:
        """(d, k) correlation of each column with each variate."""
        weights = self.weights[view]
        return _within(len(weights), self.within) @ weights if self.within else weights

    def support(self, view: str) -> np.ndarray:
        """bool (d, k), which columns have a part in which variate."""
        return self.weights[view] != 0

    def draw(self, n: int, *, random_state: int | None = 0) -> Views:
        """n new rows.

        Raises:
            UsageError: n below 1.
        """
        if n < 1:
            raise UsageError(f"n is 1 or more, got {n}")
        random = np.random.default_rng(random_state)
        shared = random.normal(size=(n, len(self.correlations)))
        columns, sources = {}, {}
        for view, weights in self.weights.items():
            own = random.normal(size=shared.shape)
            variates = np.sqrt(self.correlations) * shared + np.sqrt(1 - self.correlations) * own
            rows = random.normal(size=(n, len(weights)))
            lower = np.linalg.cholesky(_within(len(weights), self.within)) if self.within else None
            axes = weights if lower is None else lower.T @ weights  # (d, k), orthonormal
            rows += (variates - rows @ axes) @ axes.T
            columns[view] = Column.of(rows if lower is None else rows @ lower.T, "vector")
            sources[view] = tuple(f"{view}_{i}" for i in range(len(weights)))
        return Views(columns, sources=sources)


def correlated(
    n: int = 200,
    correlations: Sequence[float] = (0.9, 0.6),
    *,
    widths: Sequence[int] | Mapping[str, int] = (20, 15),
    nonzero: int | None = None,
    within: float = 0.0,
    random_state: int = 0,
) -> tuple[Views, Planted]:
    """Views of numbers whose canonical correlations in the population are these, and no others.

        S_ii = within^|i - j|,   S_ij = S_ii W_i diag(rho) W_j' S_jj,   W_i' S_ii W_i = I

    so that every pair of views has the canonical correlations rho with the weights W, whatever the criterion.

    Args:
        n: rows. correlations: rho (k,), each from 0 to 1, the largest first.
        widths: columns of each view, two views or more; by name, or "view0", "view1", ... in order.
        nonzero: columns of a view that have a part in one variate, k or more; None for all. Where a view has k times
            as many, variates share none; else some of the numbers may come out as 0.
        within: correlation of neighbouring columns, from 0 to below 1.
        random_state: of the weights and of the rows.

    Returns:
        The views, normal with mean 0 and variance 1, columns named "view0_0", ...; and the truth, which gives
        `correlations`, `weights`, `loadings`, `covariance` and, by `draw`, new rows.

    Raises:
        DataError: one view, or fewer columns than correlations. UsageError: a number outside of its range.

    Reference: Chen, Gao, Ren & Zhou 2013, Sparse CCA via precision adjusted iterative thresholding, equation 3.

    >>> views, truth = correlated(500, (0.8,), widths={"genes": 6, "drugs": 4}, nonzero=2)
    >>> views.shape, int(truth.support("genes").sum()), truth.covariance("genes", "drugs").shape
    ((500, 2), 2, (6, 4))
    """
    named = dict(widths) if isinstance(widths, Mapping) else {f"view{i}": d for i, d in enumerate(widths)}
    rho = np.asarray(correlations, float)
    _refuse(rho, named, nonzero, within)
    random = np.random.default_rng(random_state)
    weights = {
        view: _weights(_within(d, within), len(rho), d if nonzero is None else nonzero, random)
        for view, d in named.items()
    }
    truth = Planted(rho, weights, within)
    return truth.draw(n, random_state=int(random.integers(2**31))), truth


def _refuse(rho: np.ndarray, widths: Mapping[str, int], nonzero: int | None, within: float) -> None:
    if len(widths) < 2:
        raise DataError(f"correlated views are two or more, got {len(widths)} in widths")
    if rho.ndim != 1 or not len(rho) or (rho < 0).any() or (rho > 1).any() or (np.diff(rho) > 0).any():
        raise UsageError(f"correlations are numbers from 0 to 1, the largest first, got {rho.tolist()}")
    if not 0 <= within < 1:
        raise UsageError(f"within is from 0 to below 1, got {within}")
    for view, d in widths.items():
        if d < len(rho):
            raise DataError(f"view {view!r} has {d} columns for {len(rho)} correlations; give at least as many")
        if nonzero is not None and not len(rho) <= nonzero <= d:
            raise UsageError(
                f"nonzero is from {len(rho)}, the number of correlations, to {d} for {view!r}, got {nonzero}"
            )


def _within(d: int, within: float) -> np.ndarray:
    """(d, d) covariance of a view."""
    return linalg.toeplitz(within ** np.arange(d)) if within else np.eye(d)


def _weights(covariance: np.ndarray, k: int, nonzero: int, random: np.random.Generator) -> np.ndarray:
    """W (d, k) with W' S W = I, each column with so many numbers other than 0."""
    d = len(covariance)
    apart, weights = random.permutation(d), np.zeros((d, k))
    for c in range(k):
        blocks = k * nonzero <= d
        at = apart[c * nonzero : (c + 1) * nonzero] if blocks else random.permutation(d)[:nonzero]
        some = random.uniform(0.5, 1, nonzero) * random.choice([-1, 1], nonzero)
        free = linalg.null_space((covariance[at] @ weights[:, :c]).T) if c else np.eye(nonzero)
        weights[at, c] = free @ (free.T @ some)  # uncorrelated with the variates before
        weights[:, c] /= np.sqrt(weights[:, c] @ covariance @ weights[:, c])
    return weights
