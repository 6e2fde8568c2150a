"""Linear canonical correlation analysis of two views or more, in closed form."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from operator import index
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.utils.validation import check_is_fitted

from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.moments import Moments
from bouba.errors import DataError, ModalityError, UsageError, nearest

ROWS = 4096
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
        out = np.empty((len(values), self.weights.shape[1]), values.dtype)
        for start in range(0, len(values), ROWS):
            rows = slice(start, start + ROWS)  # a large view is never copied whole
            out[rows] = (values[rows] - self.mean) @ self.weights
        return out


@dataclass(frozen=True)
class Solution:
    """Canonical variates: correlations (k,), averaged over pairs of views, and view -> Side."""

    correlations: np.ndarray
    sides: dict[str, Side]


def solve(moments: Moments, k: int, ridge: Mapping[str, float]) -> Solution:
    """Canonical variates from means and covariances, at the cost of a few D x D decompositions.

    Args:
        moments: of two views or more.
        k: components. Those beyond the rank of the data have weights and correlations of 0.
        ridge: view -> shrinkage r in [0, 1].

    Raises:
        DataError: a view that has no two rows in common with another.
    """
    names = moments.names
    _refuse_alone(moments)
    within = {a: moments.covariance(a, a) for a in names}
    roots = {a: _root(within[a], moments.mean(a), ridge[a]) for a in names}
    across = {(a, b): roots[a].T @ moments.covariance(a, b) @ roots[b] for a, b in combinations(names, 2)}
    _warn_of_forced_correlations(moments, {a: root.shape[1] for a, root in roots.items()}, ridge)
    rho, turned = _solve_two(across) if len(names) == 2 else _solve_several(across, roots, k)
    rho = _padded(rho[None, :k], k)[0]
    solved = {a: roots[a] @ _padded(turned[a][:, :k], k) for a in names}  # (d, k)
    sides = {a: _side(within[a], moments.mean(a), solved[a], rho) for a in names}
    sign = _signs(sides[names[0]].loadings)
    sides = {a: replace(s, weights=s.weights * sign, loadings=s.loadings * sign) for a, s in sides.items()}
    pairs = [(a, b) for a, b in across if moments.count(a, b) > 1]
    shared = [(sides[a].weights * (moments.covariance(a, b) @ sides[b].weights)).sum(0) for a, b in pairs]
    return Solution(np.mean(shared, axis=0), sides)


class CCA(ClosedForm):
    """Directions in which the views of the same rows agree most.

    For views X_1..X_M with covariances S_ij, each S_ii shrunk to (1 - r) S_ii + r tr(S_ii) / d_i I:

        whiten    S_ii = R_i' R_i;   C_ij = R_i'^-1 S_ij R_j^-1
        solve     two views: C_12 = U diag(rho) V';   w_1 = R_1^-1 U, w_2 = R_2^-1 V
                  more:      C u = (M - 1) rho u with C_ii = 0, u = (u_1..u_M);   w_i = R_i^-1 u_i

    Weights are then scaled so that every variate has variance 1 on the fitted rows. The largest loading of the first
    view is positive in each component. Use it where features are ready, as the yardstick of every trained method, and
    with little data; KernelCCA where the relation is nonlinear, MatrixFreeCCA for 10^5 sparse columns, DeepCCA to learn
    the features too.

    Args:
        n_components: k; None takes as many as the narrowest view has columns.
        ridge: shrinkage r in [0, 1], one for all, one a view in order, or view -> r. 0 is the textbook's CCA and the
            default: no shrinkage, with a warning where there are too few rows for it. 1 is partial
            least squares. In between, choose by GridSearchCV, which maximises `score` on held-out rows.
        features: columns that pictures and texts are reduced to. random_state: seed of that reduction.

    Attributes: `correlations_` (k,), `weights_` view -> (d, k), `means_`, `loadings_` view -> (d, k), correlation of
    each column with its view's variate, `explained_variance_ratio_` view -> (k,), `moments_`, `kinds_`.

    Rows with one view only are left out; with three views or more, each pair of views is judged by the rows that have
    both. Covariances of different rows need not fit together: where much is missing, correlations may leave [-1, 1],
    and a ridge mends it.

    Raises:
        DataError: fewer than two views or rows, unequal rows, NaN, more components than columns.
        UsageError: a ridge outside [0, 1].

    Reference: Hotelling 1936, Relations between two sets of variates; Vinod 1976 (ridge); Kettenring 1971 (several
    views: MAXVAR, later components orthogonal in u). Departure: the ridge is relative to the view's mean variance,
    so it means the same in any unit.

    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> CCA(2).fit([x, x @ np.diag([1, 2, 3])]).correlations_.round(6).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        ridge: float | Sequence[float] | Mapping[str, float] = 0.0,
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.ridge = ridge
        self.features = features
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        self._settings()  # before the rows are read, not after
        self.moments_ = Moments.of(data, present)
        self.solution_  # noqa: B018  solved now; only partial_fit waits

    def partial_fit(self, X, y=None) -> CCA:
        """Take in more rows, exactly: chunks give what `fit` gives on the whole. The solution is computed on first use.

        Pictures and texts keep the features learnt from the first chunk.

        Args:
            X: views as in `fit`, or the `moments_` of another worker's model.
            y: as in `fit`.

        Raises:
            DataError: other views than before. UsageError: moments of pictures or texts, whose features differ.
        """
        first = "moments_" not in vars(self)
        if isinstance(X, Moments):
            self._adopt(X, first)
            more = X
        else:
            blocks = self._read(X, y, fit=first)
            if set(blocks.data) != set(self.kinds_):
                raise DataError(f"this chunk has {', '.join(blocks.data)}; fitted were {self._view_names()}")
            more = Moments.of({name: blocks.data[name] for name in self.kinds_}, blocks.present)
        self._settings()
        self.moments_ = more if first else self.moments_ + more
        self.__dict__.pop("solution_", None)
        return self

    def _adopt(self, moments: Moments, first: bool) -> None:
        """Take the names and widths of moments that came without their rows."""
        if first:
            self.kinds_ = dict.fromkeys(moments.names, "vector")
            self.widths_ = dict(zip(moments.names, moments.widths))
            self.reducers_, self.alphabets_ = dict.fromkeys(moments.names), {}
        elif set(self.kinds_.values()) != {"vector"} or any(self.reducers_.values()):
            raise UsageError("moments of pictures and texts do not add up: each worker has learnt its own features")

    @cached_property
    def solution_(self) -> Solution:
        """The solution for `moments_`, computed on first use."""
        check_is_fitted(self, "moments_")
        return solve(self.moments_, *self._settings())

    @property
    def correlations_(self) -> np.ndarray:
        return self.solution_.correlations

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        return {name: side.weights for name, side in self.solution_.sides.items()}

    @property
    def means_(self) -> dict[str, np.ndarray]:
        return {name: side.mean for name, side in self.solution_.sides.items()}

    @property
    def loadings_(self) -> dict[str, np.ndarray]:
        return {name: side.loadings for name, side in self.solution_.sides.items()}

    @property
    def explained_variance_ratio_(self) -> dict[str, np.ndarray]:
        return {name: side.explained for name, side in self.solution_.sides.items()}

    def predict(self, X, *, to: str | None = None) -> np.ndarray:
        """The best linear prediction of one view from the variates of others.

            E[x_to] + S_to,z S_zz^-1 z,   z the variates of the views that the row has

        With all components, ridge 0 and two views this is ordinary least squares; fewer components regularise it. A
        row that has none of the views is predicted as the mean.

        Args:
            X: views as in `transform`.
            to: the view to predict; None takes the only one that X lacks. It is never predicted from itself.

        Returns:
            (n, d) numbers, for pictures and texts their simple features.

        Raises:
            ModalityError: no such view. UsageError: nothing to predict from, or several views to predict.
        """
        check_is_fitted(self)
        blocks = self._read(X)
        to = self._missing_view(blocks.data) if to is None else to
        if to not in self.kinds_:
            raise ModalityError(f"no view {to!r}{nearest(to, self.kinds_)}")
        sources = [name for name in blocks.data if name != to]
        if not sources:
            raise UsageError(f"{to!r} is not predicted from itself; give another view as well")
        present = np.stack([blocks.present[name] for name in sources], axis=1)  # (n, sources)
        z = {name: self._variates(blocks, name) for name in sources}
        out = np.tile(self.means_[to], (len(blocks), 1))
        for pattern in np.unique(present, axis=0):
            rows, names = (present == pattern).all(1), [name for name, has in zip(sources, pattern) if has]
            if names:
                out[rows] += np.hstack([z[name][rows] for name in names]) @ self._regression(names, to)
        return out

    def _regression(self, names: list[str], to: str) -> np.ndarray:
        """(k * len(names), d) coefficients of the variates of `names` for the columns of `to`."""
        weights, covariance = self.weights_, self.moments_.covariance
        among = np.block([[weights[a].T @ covariance(a, b) @ weights[b] for b in names] for a in names])
        return linalg.pinvh(among) @ np.vstack([weights[a].T @ covariance(a, to) for a in names])

    def _missing_view(self, data: Mapping[str, Any]) -> str:
        others = [name for name in self.kinds_ if name not in data]
        if len(others) != 1:
            raise UsageError(f"which view is to be predicted? Say to=, one of {', '.join(map(repr, self.kinds_))}")
        return others[0]

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.solution_.sides[name].project(values)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.solution_.sides[name].emphasis

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)

    def _settings(self) -> tuple[int, dict[str, float]]:
        """Components and view -> ridge, from the arguments.

        Raises:
            DataError: more components than the narrowest view has columns. UsageError: a ridge that does not suit.
        """
        widths = list(self.widths_.values())
        k = min(widths) if self.n_components is None else index(self.n_components)
        if not 1 <= k <= min(widths):
            raise DataError(f"{k} components from views {widths} wide; take {min(widths)} or fewer")
        return k, _ridges(self.ridge, list(self.widths_))


def _ridges(ridge: float | Sequence[float] | Mapping[str, float], names: list[str]) -> dict[str, float]:
    """view -> r, from any form of the argument."""
    if isinstance(ridge, Mapping):
        for name in {*ridge, *names}:
            if name not in ridge or name not in names:
                raise UsageError(f"ridge is for {', '.join(map(repr, ridge))}, the views are {', '.join(names)}")
        ridges = dict(ridge)
    elif np.ndim(ridge) == 0:
        ridges = dict.fromkeys(names, ridge)  # type: ignore[arg-type]
    elif len(ridge) == len(names):  # type: ignore[arg-type]
        ridges = dict(zip(names, ridge))  # type: ignore[arg-type]
    else:
        raise UsageError(f"ridge has {len(ridge)} numbers for {len(names)} views; give one, or one a view")  # type: ignore[arg-type]
    for name, r in ridges.items():
        if not 0 <= r <= 1:
            raise UsageError(f"ridge is a shrinkage between 0 and 1, got {r} for view {name!r}")
    return ridges


def _refuse_alone(moments: Moments) -> None:
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


def _varies(variances: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(d,) whether a column's spread is more than the rounding of its numbers."""
    return variances > (8 * EPS * np.abs(mean)) ** 2


def _root(covariance: np.ndarray, mean: np.ndarray, ridge: float) -> np.ndarray:
    """W (d, r) with W' S W = I for the shrunk covariance S of rank r."""
    d = len(covariance)
    used = np.flatnonzero(_varies(covariance.diagonal(), mean))
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


def _side(covariance: np.ndarray, mean: np.ndarray, solved: np.ndarray, rho: np.ndarray) -> Side:
    """Weights scaled to variance 1, and how the variates relate to the view.

    Embeddings weigh each variate as it was solved for, times its correlation: with a ridge, its variance is the
    share of the data in the shrunk variance.
    """
    variances = covariance.diagonal()
    deviation = np.sqrt(np.maximum((solved * (covariance @ solved)).sum(0), 0))
    weights = np.divide(solved, deviation, out=np.zeros_like(solved), where=deviation > 1e-8)
    shared = covariance @ weights  # (d, k) of each column with each variate
    used = _varies(variances, mean)[:, None]
    loadings = np.divide(shared, np.sqrt(np.maximum(variances, 0))[:, None], out=np.zeros_like(shared), where=used)
    explained = (shared**2).sum(0) / max(variances.sum(), np.finfo(float).tiny)
    return Side(mean, weights, loadings, explained, deviation * rho.clip(0))


def _signs(loadings: np.ndarray) -> np.ndarray:
    """(k,) of 1 and -1 that make the largest loading of each component positive."""
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)


def _padded(columns: np.ndarray, k: int) -> np.ndarray:
    """(m, j <= k) -> (m, k), zeros behind."""
    return np.pad(columns, ((0, 0), (0, k - columns.shape[1])))
