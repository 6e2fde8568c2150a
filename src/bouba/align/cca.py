"""Linear canonical correlation analysis of two views or more, in closed form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import linalg
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bouba.errors import DataError


class CCA(TransformerMixin, BaseEstimator):
    """Directions in which the views of the same rows agree most.

    For views X_1..X_M, centred, with covariances S_ij, each S_ii shrunk to (1-r) S_ii + r tr(S_ii)/d_i I:

        whiten    W_i = S_ii^(-1/2);   C_ij = W_i S_ij W_j, C_ii = 0
        solve     C u = rho u,  u = (u_1..u_M);   w_i = W_i u_i

    For two views rho are the canonical correlations; for more, the sum of pairwise ones (SUMCOR-like, "MCCA").
    A closed form: no learning rate, no epochs. Use it as the baseline, and where features are ready.

    Args:
        n_components: width of the shared space, at most the narrowest view.
        ridge: shrinkage r in [0, 1) of each view's covariance.

    Attributes: `weights_` view -> (d_i, k); `means_`; `correlations_` (k,).

    Raises:
        DataError: fewer than two views, unequal rows, more components than columns.

    Reference: Hotelling 1936; Kettenring 1971 (several views); Vinod 1976 (ridge).

    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> CCA(2, ridge=0.0).fit({"a": x, "b": x @ np.diag([1, 2, 3])}).correlations_.round(6).tolist()
    [1.0, 1.0]
    """

    def __init__(self, n_components: int = 32, ridge: float = 0.1):
        self.n_components = n_components
        self.ridge = ridge

    def fit(self, X: Mapping[str, np.ndarray], y=None) -> CCA:
        """Fit on view -> (n, d_i) arrays of complete rows."""
        data = {name: np.asarray(values, np.float64) for name, values in X.items()}
        widths = [values.shape[1] for values in data.values()]
        if len(data) < 2:
            raise DataError(f"CCA needs two views or more, got {len(data)} ({', '.join(map(repr, data))})")
        if len({len(values) for values in data.values()}) > 1:
            raise DataError(f"views have {[len(v) for v in data.values()]} rows; CCA pairs them row by row")
        if self.n_components > min(widths):
            raise DataError(f"{self.n_components} components from views {widths} wide; take {min(widths)} or fewer")
        self.means_ = {name: values.mean(0) for name, values in data.items()}
        centred = [data[name] - self.means_[name] for name in data]
        n = len(centred[0])
        whiten = [_inverse_root(x.T @ x / n, self.ridge) for x in centred]
        ends = np.cumsum([0, *widths])
        agree = np.zeros((ends[-1], ends[-1]))
        for i in range(len(centred)):
            for j in range(i):
                block = whiten[i] @ (centred[i].T @ centred[j] / n) @ whiten[j]
                agree[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
                agree[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.T
        top = [ends[-1] - self.n_components, ends[-1] - 1]
        values, vectors = linalg.eigh(agree, subset_by_index=top)
        values, vectors = values[::-1], vectors[:, ::-1]
        self.correlations_ = values / (len(data) - 1)
        scale = np.sqrt(len(data))
        self.weights_ = {name: scale * whiten[i] @ vectors[ends[i] : ends[i + 1]] for i, name in enumerate(data)}
        return self

    def transform(self, X: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """view -> (n, k) canonical variates, for any of the fitted views."""
        check_is_fitted(self, "weights_")
        return {name: (np.asarray(values) - self.means_[name]) @ self.weights_[name] for name, values in X.items()}


def _inverse_root(covariance: np.ndarray, ridge: float) -> np.ndarray:
    d = len(covariance)
    shrunk = (1 - ridge) * covariance + ridge * np.trace(covariance) / d * np.eye(d)
    values, vectors = linalg.eigh(shrunk)
    floor = values[-1] * d * np.finfo(float).eps
    return (vectors * np.where(values > floor, 1 / np.sqrt(np.maximum(values, floor)), 0.0)) @ vectors.T
