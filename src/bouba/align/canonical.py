"""Canonical variates from moments: the solution that CCA, kernel CCA and the tests of significance share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import linalg

from bouba.align.moments import Moments
from bouba.data import scratch
from bouba.errors import DataError

ROWS = 4096
TURNS, SETTLED = 1000, 1e-10
CRITERIA: dict[str, Callable[[float], float]] = {
    "maxvar": lambda _: 1.0,
    "sumcor": lambda _: 1.0,
    "ssqcor": lambda r: r,
}
"""What several views maximise, by g' of `_solve_in_turn`; "maxvar" is one eigenvalue problem."""
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Side:
    """One view's part of a solution.

    Args:
        mean: (d,). weights: (d, k); (x - mean) w has variance 1.
        loadings: (d, k), correlation of each column with each variate.
        explained: (k,), share of the view's variance that each variate carries.
        emphasis: (k,), what each variate weighs when embeddings are compared.
    """

    mean: np.ndarray
    weights: np.ndarray
    loadings: np.ndarray
    explained: np.ndarray
    emphasis: np.ndarray

    def project(self, values: np.ndarray) -> np.ndarray:
        """(n, d) rows -> (n, k) variates, in the precision that came."""
        out = scratch.zeros((len(values), self.weights.shape[1]), values.dtype)
        for start in range(0, len(values), ROWS):
            rows = slice(start, start + ROWS)  # a large view is never copied whole
            out[rows] = (values[rows] - self.mean) @ self.weights
        return out


@dataclass(frozen=True)
class Solution:
    """Canonical variates: correlations (k,), averaged over pairs of views, and view -> Side."""

    correlations: np.ndarray
    sides: dict[str, Side]


def solve(moments: Moments, k: int, ridge: Mapping[str, float], criterion: str = "maxvar") -> Solution:
    """Canonical variates from means and covariances, at the cost of a few decompositions of D x D, or of n x n where
    the moments keep n rows.

    Args:
        moments: of two views or more.
        k: components. Those beyond the rank of the data have weights and correlations of 0.
        ridge: view -> shrinkage r in [0, 1].
        criterion: one of CRITERIA, what three views or more maximise.

    Raises:
        DataError: a view that has no two rows in common with another.
    """
    names = moments.names
    refuse_alone(moments)
    roots = {a: _root_of(moments, a, ridge[a]) for a in names}
    across = {(a, b): moments.between(a, b, roots[a], roots[b]) for a, b in combinations(names, 2)}
    _warn_of_forced_correlations(moments, {a: root.shape[1] for a, root in roots.items()}, ridge)
    rho, turned = _solve_two(across) if len(names) == 2 else _solve_several(across, roots, k)
    if len(names) > 2 and criterion != "maxvar":
        rho, turned = _solve_in_turn(across, turned, CRITERIA[criterion])
    rho = _padded(rho[None, :k], k)[0]
    solved = {a: roots[a] @ _padded(turned[a][:, :k], k) for a in names}  # (d, k)
    sides = {a: _side(moments, a, solved[a], rho) for a in names}
    sign = signs(sides[names[0]].loadings)
    sides = {a: replace(s, weights=s.weights * sign, loadings=s.loadings * sign) for a, s in sides.items()}
    pairs = [(a, b) for a, b in across if moments.count(a, b) > 1]
    shared = [(sides[a].weights * moments.between(a, b, right=sides[b].weights)).sum(0) for a, b in pairs]
    return Solution(np.mean(shared, axis=0), sides)


def most_components(widths: Sequence[int]) -> int:
    """How many components views of these widths can share: as many as the second widest has columns. A narrower one has
    a part in each, within the directions that it has; of two views it is the narrower.

    >>> most_components([40, 30]), most_components([40, 30, 1])
    (30, 30)
    """
    return sorted(widths)[-2]


def refuse_alone(moments: Moments) -> None:
    for a in moments.names:
        if all(moments.count(a, b) < 2 for b in moments.names if b != a):
            raise DataError(f"view {a!r} has no two rows in common with another view; nothing relates them")


def _warn_of_forced_correlations(moments: Moments, ranks: Mapping[str, int], ridge: Mapping[str, float]) -> None:
    """In n centred rows, two views of ranks p and q share p + q - (n - 1) directions whatever the data say."""
    for a, b in combinations(moments.names, 2):
        n = moments.count(a, b)
        forced = min(ranks[a], ranks[b], ranks[a] + ranks[b] - (n - 1))
        if forced > 0 and n > 1 and ridge[a] == ridge[b] == 0:
            warnings.warn(
                f"{forced} correlations of {a!r} and {b!r} are 1 whatever the data say: {n} rows are too few for "
                f"{ranks[a]} + {ranks[b]} columns; set ridge, for example ridge=0.1",
                stacklevel=7,  # who called fit
            )


def varies(variances: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(d,) whether a column's spread is more than the rounding of its numbers."""
    return variances > (8 * EPS * np.abs(mean)) ** 2


def _root_of(moments: Moments, name: str, ridge: float) -> np.ndarray:
    """W (d, r) with W' S W = I for the shrunk covariance S of a view, by its rows where they are few."""
    mean = moments.mean(name)
    rows = moments.centred(name)
    if rows is None or len(rows) >= len(mean):
        return root(moments.covariance(name, name), mean, ridge)
    return root_of_rows(rows, mean, ridge)


def root_of_rows(rows: np.ndarray, mean: np.ndarray, ridge: float) -> np.ndarray:
    """What `root` gives of S = rows' rows, in the directions in which these m < d centred rows (m, d) differ."""
    variances = (rows**2).sum(0)
    used = np.flatnonzero(varies(variances, mean))
    if not len(used):
        return np.zeros((len(mean), 0))
    scale = np.ones(len(used)) if ridge else np.sqrt(variances[used])  # without a ridge small units count as much
    _, singular, axes = linalg.svd(rows[:, used] / scale, full_matrices=False)
    large = singular**2 > 10 * len(mean) * EPS * singular[0] ** 2
    values = (1 - ridge) * singular[large] ** 2 + ridge * variances.sum() / len(mean)
    out = np.zeros((len(mean), large.sum()))
    out[used] = axes[large].T / np.sqrt(values) / scale[:, None]
    return out


def root(covariance: np.ndarray, mean: np.ndarray, ridge: float) -> np.ndarray:
    """W (d, r) with W' S W = I for the shrunk covariance S of rank r."""
    d = len(covariance)
    used = np.flatnonzero(varies(covariance.diagonal(), mean))
    out = np.zeros((d, len(used)))
    if not len(used):
        return out
    shrunk = (1 - ridge) * covariance[np.ix_(used, used)]
    shrunk[np.diag_indices(len(used))] += ridge * np.trace(covariance) / d
    scale = np.sqrt(shrunk.diagonal())
    unit = shrunk / scale / scale[:, None]  # columns in small units count as much as others
    lost = 10 * d * EPS  # a column is a sum of others if less than this share of it is left
    lower, failed = linalg.lapack.dpotrf(unit, lower=1)
    if not failed and (lower.diagonal() ** 2).min() > lost:
        out[used] = linalg.solve_triangular(lower, np.diag(1 / scale), lower=True).T
        return out
    values, vectors = linalg.eigh(unit)
    large = values > lost * values[-1]
    out[used, : large.sum()] = vectors[:, large] / np.sqrt(values[large]) / scale[:, None]
    return out[:, : large.sum()]


def _solve_two(across: Mapping[tuple[str, str], np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Singular values, and view -> singular vectors (r, k)."""
    ((a, b), block), *_ = across.items()
    u, rho, v = linalg.svd(block, full_matrices=False)
    return rho, {a: u, b: v.T}


def _solve_several(across: Mapping[tuple[str, str], np.ndarray], roots: Mapping[str, np.ndarray], k: int):
    """The same for more views: eigenvalues over M - 1, and view -> its part of the eigenvectors times sqrt(M)."""
    names, ends = list(roots), np.cumsum([0, *(root.shape[1] for root in roots.values())])
    at = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(names)}
    agree = np.zeros((ends[-1], ends[-1]))
    for (a, b), block in across.items():
        agree[at[a], at[b]], agree[at[b], at[a]] = block, block.T
    k = min(k, ends[-1])
    values, vectors = linalg.eigh(agree, subset_by_index=[ends[-1] - k, ends[-1] - 1])
    vectors = vectors[:, ::-1] * np.sqrt(len(names))
    return values[::-1] / (len(names) - 1), {name: vectors[at[name]] for name in names}


def _solve_in_turn(
    across: Mapping[tuple[str, str], np.ndarray],
    start: Mapping[str, np.ndarray],
    slope: Callable[[float], float],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Components one after the other, each uncorrelated with those before within every view:

        max  sum over pairs of g(u_i' C_ij u_j),  |u_i| = 1;    u_i becomes the unit vector of sum_j g'(.) C_ij u_j

    Args:
        start: view -> (r, k), where to start from. slope: g'.
    """
    blocks = dict(across) | {(b, a): block.T for (a, b), block in across.items()}
    found: dict[str, np.ndarray] = {view: np.zeros_like(u) for view, u in start.items()}
    rho = []
    for c in range(next(iter(start.values())).shape[1]):
        u = {view: _left(u[:, c], found[view]) for view, u in start.items()}
        for _ in range(TURNS):
            change = 0.0
            for i in u:
                pulls = {j: blocks[i, j] @ u[j] for j in u if j != i}
                new = _left(np.sum([slope(float(u[i] @ pull)) * pull for pull in pulls.values()], axis=0), found[i])
                change, u[i] = max(change, float(np.abs(new - u[i]).max(initial=0))), new
            if change < SETTLED:
                break
        rho.append(np.mean([u[a] @ block @ u[b] for (a, b), block in across.items()]))
        for view in u:
            found[view][:, c] = u[view]
    return np.array(rho), found


def _left(u: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(r,) what is left of u outside the orthonormal columns before, of length one; zeros where there is nothing."""
    for _ in range(2):  # once more for rounding
        u = u - before @ (before.T @ u)
    length = np.linalg.norm(u)
    return u / length if length > 1e-10 else np.zeros_like(u)


def _side(moments: Moments, name: str, solved: np.ndarray, rho: np.ndarray) -> Side:
    """Weights scaled to variance 1, and how the variates relate to the view.

    Embeddings weigh each variate as it was solved for, times its correlation: with a ridge, its variance is the
    share of the data in the shrunk variance.
    """
    mean, variances = moments.mean(name), moments.variances(name)
    deviation = np.sqrt(np.maximum((solved * moments.between(name, name, right=solved)).sum(0), 0))
    weights = np.divide(solved, deviation, out=np.zeros_like(solved), where=deviation > 1e-8)
    shared = moments.between(name, name, right=weights)  # (d, k), of each column with each variate
    used = varies(variances, mean)[:, None]
    loadings = np.divide(shared, np.sqrt(np.maximum(variances, 0))[:, None], out=np.zeros_like(shared), where=used)
    explained = (shared**2).sum(0) / max(variances.sum(), np.finfo(float).tiny)
    return Side(mean, weights, loadings, explained, deviation * rho.clip(0))


def signs(loadings: np.ndarray) -> np.ndarray:
    """(k,) of 1 and -1 that make the largest loading of each component positive."""
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)


def _padded(columns: np.ndarray, k: int) -> np.ndarray:
    """(m, j <= k) -> (m, k), zeros behind."""
    return np.pad(columns, ((0, 0), (0, k - columns.shape[1])))
