"""Linear canonical correlation analysis of two views or more, in closed form."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import index
from typing import Any

import numpy as np

from bouba.align.canonical import CRITERIA, Solution, most_components, solve
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.moments import Moments
from bouba.align.readout import Readout
from bouba.align.variance import predicted_view, reconstructed, shares_given_back
from bouba.declared import refuse_options
from bouba.errors import DataError, UsageError, nearest
from bouba.estimator import check_is_fitted


class CCA(ClosedForm):
    """Directions in which the views of the same rows agree most.

    For views X_1..X_M with covariances S_ij, each S_ii shrunk to (1 - r) S_ii + r tr(S_ii) / d_i I:

        whiten    S_ii = R_i' R_i;   C_ij = R_i'^-1 S_ij R_j^-1
        solve     two views: C_12 = U diag(rho) V';   w_1 = R_1^-1 U, w_2 = R_2^-1 V
                  more:      C u = (M - 1) rho u with C_ii = 0, u = (u_1..u_M);   w_i = R_i^-1 u_i
                  or         max  sum over i < j of g(u_i' C_ij u_j), |u_i| = 1;  see `criterion`

    Weights are then scaled so that every variate has variance 1 on the fitted rows. The largest loading of the first
    view is positive in each component. Use it where features are ready, as the yardstick of every trained method, and
    with little data; KernelCCA where the relation is nonlinear, MatrixFreeCCA for 10^5 sparse columns, DeepCCA to learn
    the features too.

    Args:
        n_components: k; None takes as many as the second widest view has columns, of two views the narrower, or one
            less than there are rows.
        ridge: shrinkage r in [0, 1], one for all, one a view in order, or view -> r. 0 is the textbook's CCA and the
            default: no shrinkage, with a warning where there are too few rows for it. 1 is partial
            least squares. In between, choose by GridSearchCV, which maximises `score` on held-out rows.
        criterion: what three views or more maximise; of two they are all the same. "maxvar": how well one variable for
            each component is given back by all views (generalised CCA, GCCA and MCCA elsewhere), one eigenvalue
            problem, in which a view that shares little counts for little. "sumcor", g(r) = r: the sum of correlations,
            every view alike (RGCCA with Horst's scheme). "ssqcor", g(r) = r^2: the sum of their squares, which favours
            pairs that correlate much (RGCCA, factorial scheme). The ridge is RGCCA's tau. With the last two, and no
            ridge, variates of one view are uncorrelated.
        towers: view -> a frozen encoder that reads it, `{"caption": Packaged("minilm")}`. device: where that
            runs, "auto" for a GPU where there is one.
        features: columns that pictures and texts without a tower are reduced to. random_state: seed of that reduction.

    Attributes: `correlations_` (k,), `weights_` view -> (d, k), `means_`, `loadings_` view -> (d, k), correlation of
    each column with its view's variate, `explained_variance_ratio_` view -> (k,), `moments_`, `kinds_`.

    Rows with one view only are left out; with three views or more, each pair of views is judged by the rows that have
    both. Covariances of different rows need not fit together: where much is missing, correlations may leave [-1, 1],
    and a ridge mends it.

    Raises:
        DataError: fewer than two views or rows, unequal rows, NaN, more components than columns.
        UsageError: a ridge outside [0, 1], another criterion.

    Reference: Hotelling 1936, Relations between two sets of variates; Vinod 1976 (ridge); Kettenring 1971 (several
    views: MAXVAR, later components orthogonal in u; SUMCOR and SSQCOR); Tenenhaus & Tenenhaus 2011, Regularized
    generalized canonical correlation analysis (the ascent, here from the solution of MAXVAR). Departure: the ridge is
    relative to the view's mean variance, so it means the same in any unit.

    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> CCA(2).fit([x, x @ np.diag([1, 2, 3])]).correlations_.round(6).tolist()
    [1.0, 1.0]
    """

    reconstructs = True
    predict, reconstruct, explained = predicted_view, reconstructed, shares_given_back

    def __init__(
        self,
        n_components: int | None = None,
        *,
        ridge: float | Sequence[float] | Mapping[str, float] = 0.0,
        criterion: str = "maxvar",
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.ridge = ridge
        self.criterion = criterion
        self.towers = towers
        self.device = device
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

    def learn(self, X) -> CCA:
        """Learn the features of pictures and texts from some rows, for `moments` of any rows by them; `solve` ends it.
        So workers share features that one of them has learnt. Raises as `fit`."""
        refuse_options(self)
        self._read(X, fit=True)
        self._settings()
        return self

    def moments(self, X) -> Moments:
        """Means and covariances of rows by the features that were learnt. Raises as `transform`."""
        check_is_fitted(self, "kinds_")
        blocks = self._read(X)
        if set(blocks.data) != set(self.kinds_):
            raise DataError(f"these rows have {', '.join(blocks.data)}; learnt were {self._view_names()}")
        return Moments.of({name: blocks.data[name] for name in self.kinds_}, blocks.present)

    def solve(self, moments: Sequence[Moments]) -> CCA:
        """Fit to all rows of whose parts these are the `moments`, by features of the same `learn`. Raises as `fit`."""
        self.moments_ = functools.reduce(operator.add, moments)
        self.__dict__.pop("solution_", None)
        try:
            self.solution_  # noqa: B018  solved now
        except np.linalg.LinAlgError as error:
            raise DataError(f"these numbers cannot be solved for: {error}; scale columns to about 1") from error
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
        k, ridges = self._settings()
        if self.n_components is None:  # in n centred rows no more than n - 1 directions vary
            k = min(k, max(1, self.moments_.most_rows - 1))
        return solve(self.moments_, k, ridges, self.criterion)

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

    @property
    def readout_(self) -> Readout:  # type: ignore[override]
        """What variates tell of columns, by `moments_`."""
        return Readout.of_moments(self.moments_, self.weights_)

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.solution_.sides[name].project(values)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.solution_.sides[name].emphasis

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)

    def _settings(self) -> tuple[int, dict[str, float]]:
        """Components and view -> ridge, from the arguments.

        Raises:
            DataError: more components than the second widest view has columns. UsageError: a ridge that does not suit.
        """
        if self.criterion not in CRITERIA:
            raise UsageError(f"no criterion {self.criterion!r}{nearest(self.criterion, CRITERIA)}")
        widths = list(self.widths_.values())
        most = most_components(widths)
        k = most if self.n_components is None else index(self.n_components)
        if not 1 <= k <= most:
            raise DataError(f"{k} components from views {widths} wide; take {most} or fewer")
        return k, ridges_of(self.ridge, list(self.widths_))


def ridges_of(ridge: float | Sequence[float] | Mapping[str, float], names: list[str]) -> dict[str, float]:
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
