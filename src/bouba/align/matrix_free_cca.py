"""Canonical correlation analysis of views with 10^5 to 10^6 sparse columns."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from bouba.align.blocks import Blocks
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.lobpcg import ShrunkCovariance, Span, inner, iterate, reciprocal
from bouba.align.readout import Readout
from bouba.align.variance import predicted_view, reconstructed, shares_given_back
from bouba.errors import DataError, UsageError
from bouba.train.progress import progress_bar

EXTRA = 5
"""Directions beyond the wanted ones; they keep the last wanted ones from waiting for the gap behind them."""


class MatrixFreeCCA(ClosedForm):
    """CCA's directions without any matrix of columns by columns, from products with the views alone.

    With S_ij the covariances between views X_1..X_M, each S_ii shrunk to B_i = (1 - r) S_ii + r tr(S_ii) / d_i I:

        sum_{j != i} S_ij w_j = (M - 1) rho B_i w_i,   the largest rho

    by block conjugate gradients (lobpcg.py). An iteration is a product with X_i and one with X_i' for each view; a
    sparse view stays sparse, for its means are subtracted from the products. Memory is about 3 (k + 5) numbers for
    each row and column of each view. Everything else is as in CCA: weights give variates of variance 1, and the
    largest loading of the first view is positive.

    Use it for word counts, n-grams and other views of thousands of columns and more; texts are taken as sparse
    character n-grams. CCA is exact, and faster up to about 500 dense columns. 32-bit views take half the time and
    memory of 64-bit ones.

    Args:
        n_components: k, at most the columns of the narrowest view.
        ridge: shrinkage r in (0, 1]. Wide views need more of it than narrow ones: with as many columns as rows and
            none, every correlation would be 1. Choose by GridSearchCV, which maximises `score` on held-out rows.
        tol: stop at this residual, see `iterate`; correlations are then wrong by about its square. Less than 1e-5
            needs 64-bit views. With many more columns than rows correlations lie close together and the best
            directions may be found late: lower it.
        max_iter: iterations at most.
        inner_iter: conjugate-gradient steps towards B_i^-1 in each iteration. 1 takes the fewest products to a
            residual of 0.01 and above, 2 to smaller ones where columns are strongly correlated with each other.
        random_state: seed of the first directions, and of the features of pictures.
        warm_start: begin from the directions of the last `fit`, with new rows or another ridge.
        verbose: show a progress bar, with the residual as loss.

    Attributes: `correlations_` (k,) of the fitted rows, `weights_` view -> (d, k), `means_` view -> (d,), `n_iter_`,
    `history_`, with iteration, residual and the sum of rho for each.

    Rows that lack a view are left out.

    Raises:
        DataError: fewer than two views or two complete rows, unequal rows, NaN, more components than columns, a view
            that does not vary.
        UsageError: a ridge outside (0, 1], no iterations.

    Reference: Golub and Zha 1995 (CCA of large sparse matrices); Lu and Foster 2014, Ge et al. 2016 and Wang et al.
    2016, who alternate least squares with inexact inner solves; Knyazev 2001 (LOBPCG), which takes the place of the
    alternation here: it reaches the same correlations with a fraction of the products.

    >>> from scipy import sparse
    >>> words = sparse.random(500, 40_000, density=1e-3, format="csr", random_state=0)
    >>> model = MatrixFreeCCA(2).fit([words, words[:, ::-1]])
    >>> bool((model.correlations_ > 0.99).all())
    True
    """

    reconstructs = True
    predict, reconstruct, explained = predicted_view, reconstructed, shares_given_back

    def __init__(
        self,
        n_components: int = 20,
        *,
        ridge: float = 0.3,
        tol: float = 0.05,
        max_iter: int = 100,
        inner_iter: int = 1,
        random_state: int = 0,
        warm_start: bool = False,
        verbose: bool = False,
    ):
        self.n_components = n_components
        self.ridge = ridge
        self.tol = tol
        self.max_iter = max_iter
        self.inner_iter = inner_iter
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _before_fit(self) -> None:
        self._last_weights = getattr(self, "weights_", {}) if self.warm_start else {}

    def _after_fit(self) -> None:
        del self._last_weights

    def _fit(self, data: dict[str, Any], present: dict[str, np.ndarray]) -> None:
        self._check_options()
        complete = np.logical_and.reduce(list(present.values()))
        if complete.sum() < 2:
            raise DataError(f"{complete.sum()} rows have all of {self._view_names()}; two or more are needed")
        whole = complete.all()
        covariances = {}
        for name, values in data.items():
            covariances[name] = ShrunkCovariance(values if whole else values[complete], self.ridge)
            if not covariances[name].variance.any():
                raise DataError(f"view {name!r} does not vary in these {complete.sum()} rows; leave it out")
        spans = self._start(covariances)
        self._store_solution(spans, self._converge(list(spans.values())))

    def _check_options(self) -> None:
        narrowest = min(self.widths_.values())
        if not 1 <= self.n_components <= narrowest:
            widths = list(self.widths_.values())
            raise DataError(f"{self.n_components} components from views {widths} wide; take {narrowest} or fewer")
        if not 0 < self.ridge <= 1:
            raise UsageError(f"ridge is a shrinkage above 0 and up to 1, got {self.ridge}; CCA does without one")
        if self.max_iter < 1 or self.inner_iter < 1:
            raise UsageError(f"max_iter and inner_iter are 1 or more, got {self.max_iter} and {self.inner_iter}")

    def _start(self, covariances: Mapping[str, ShrunkCovariance]) -> dict[str, Span]:
        """First directions: one step towards the regression of random numbers, the same for all views, on the view.

        In front of them comes the last solution, if it is to be continued.
        """
        m = min(self.n_components + EXTRA, *self.widths_.values())
        draw = np.random.default_rng(self.random_state)
        n = next(iter(covariances.values())).values.shape[0]
        codes = draw.standard_normal((n, m), dtype=np.float32)
        spans = {}
        for name, covariance in covariances.items():
            start = covariance.pull(codes.astype(covariance.values.dtype)) * covariance.inverse_diagonal
            before = self._last_weights.get(name)
            if before is not None:
                if len(before) != len(start):
                    raise DataError(
                        f"view {name!r} has {len(start)} columns, the last fit had {len(before)}; set warm_start=False"
                    )
                start[:, : before.shape[1]] = before[:, :m]
            spans[name] = Span(covariance, start)
        return spans

    def _converge(self, spans: list[Span]) -> np.ndarray:
        """Iterate until the residual is small enough; rho (k,)."""
        self.history_: list[dict[str, float]] = []
        bar = progress_bar(type(self).__name__, self.max_iter) if self.verbose else None
        with bar or contextlib.nullcontext(lambda row: None) as show:
            for values, residual in iterate(spans, self.n_components, self.inner_iter):
                rho = values[: self.n_components] / (len(spans) - 1)
                row = {"iteration": len(self.history_) + 1, "residual": residual, "rho": float(rho.sum())}
                self.history_.append(row)
                show({"epoch": len(self.history_), "loss": residual})
                if residual <= self.tol or len(self.history_) == self.max_iter:
                    break
        self.n_iter_ = len(self.history_)
        if not residual <= self.tol:  # NaN too
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                f"{type(self).__name__} stopped after {self.n_iter_} iterations at residual {residual:.2g}, above "
                f"tol={self.tol:g}; raise max_iter, or ridge, or continue with warm_start=True",
                ConvergenceWarning,
                stacklevel=4,
            )
        return rho

    def _store_solution(self, spans: Mapping[str, Span], rho: np.ndarray) -> None:
        """Scale to variance 1, choose the signs, and read off the correlations."""
        directions = {name: span.directions[:, : self.n_components] for name, span in spans.items()}
        images = {name: spans[name].covariance.image(w) for name, w in directions.items()}  # anew: rounding adds up
        deviations = {name: np.sqrt(inner(z, z)) for name, z in images.items()}
        inverse = {name: reciprocal(deviation) for name, deviation in deviations.items()}
        correlations = [inner(images[a], images[b]) * inverse[a] * inverse[b] for a, b in combinations(spans, 2)]
        self.correlations_ = np.mean(correlations, axis=0)
        name, first = next(iter(spans.items()))
        with_columns = first.covariance.pull(images[name])  # (d, k) covariances
        loadings = with_columns * reciprocal(np.sqrt(first.covariance.variance))[:, None]
        largest = np.take_along_axis(loadings, np.abs(loadings).argmax(0)[None], axis=0)[0]
        sign = np.where(largest < 0, -1.0, 1.0)
        self.means_ = {name: span.covariance.mean for name, span in spans.items()}
        scale = {name: sign * inverse[name] / span.covariance.unit for name, span in spans.items()}
        self.weights_ = {name: (w * scale[name]).astype(w.dtype) for name, w in directions.items()}
        self.emphasis_ = {name: deviation * rho * np.sqrt(len(spans)) for name, deviation in deviations.items()}

    def _read_out(self, blocks: Blocks) -> None:
        variates = {name: self._variates(blocks, name) for name in blocks.data}
        self.readout_ = Readout.of(variates, blocks.data, blocks.present)

    def _project(self, name: str, values: Any) -> np.ndarray:
        weights = self.weights_[name]
        return values @ weights - (self.means_[name] @ weights).astype(weights.dtype)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.emphasis_[name]

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(sparse_text=True, random_state=self.random_state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.single_output = False  # what it predicts is a view, (n, d)
        return tags
