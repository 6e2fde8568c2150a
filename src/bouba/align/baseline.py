"""The simple baseline every result stands beside: linear CCA on features nobody had to train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bouba.align.cca import CCA
from bouba.data import decode
from bouba.data.read import as_views
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError
from bouba.towers.image import fit_on_white


class LinearBaseline(BaseEstimator):
    """Pixels, character n-grams and raw numbers, reduced by PCA, aligned by CCA.

    Pictures: 16 x 16 RGB pixels. Text: TF-IDF of character n-grams up to 4. Vectors: as they are. Each is reduced
    to `features` columns, then CCA(dim, ridge). Rows that lack a view are left out of the fit.

    Args:
        dim: components kept. features: columns a view is reduced to. ridge: see CCA. random_state: of the PCA.
    """

    compared_by = "cosine"

    def __init__(self, dim: int = 64, features: int = 200, ridge: float = 0.3, random_state: int = 0):
        self.dim = dim
        self.features = features
        self.ridge = ridge
        self.random_state = random_state

    def fit(self, X, y=None) -> LinearBaseline:
        """Fit on the rows of Views that have every view."""
        views = as_views(X)
        complete = np.all(list(views.present.values()), axis=0)
        if complete.sum() < 3:
            raise DataError(f"the baseline needs three rows with every view, got {int(complete.sum())}")
        views = views[complete]
        self.reducers_ = {name: self._reducer(views[name].kind, len(views)) for name in views.columns}
        reduced = {name: self.reducers_[name].fit_transform(_cells(views, name)) for name in views.columns}
        narrowest = min(values.shape[1] for values in reduced.values())
        self.cca_ = CCA(min(self.dim, narrowest), self.ridge).fit(reduced)
        return self

    def embed(self, X) -> dict[str, np.ndarray]:
        """view -> (n, dim); components weigh as much as they correlate; zeros where a cell is missing."""
        check_is_fitted(self, "cca_")
        views = as_views(X)
        out = {}
        for name in views.columns:
            if name not in self.reducers_:
                raise ModalityError(f"the baseline has no view {name!r}; it has {', '.join(self.reducers_)}")
            there = views[name].present
            z = np.zeros((len(views), len(self.cca_.correlations_)), np.float32)
            if there.any():
                features = self.reducers_[name].transform(_cells(views[there], name))
                z[there] = self.cca_.transform({name: features})[name] * self.cca_.correlations_.clip(0)
            out[name] = z
        return out

    def _reducer(self, kind: str, n: int):
        from sklearn.decomposition import PCA, TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        k = min(self.features, n - 1)
        if kind == "text":
            grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=20_000)
            return make_pipeline(grams, _AtMost(TruncatedSVD, k, self.random_state))
        return make_pipeline(_AtMost(PCA, k, self.random_state))


class _AtMost(BaseEstimator):
    """PCA or TruncatedSVD with as many components as the data allow, up to k."""

    def __init__(self, reduction, k: int, random_state: int):
        self.reduction = reduction
        self.k = k
        self.random_state = random_state

    def fit(self, X, y=None):
        self.reduction_ = self.reduction(min(self.k, X.shape[1] - (X.shape[1] > 1)), random_state=self.random_state)
        self.reduction_.fit(X)
        return self

    def transform(self, X):
        return self.reduction_.transform(X)

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X)


def _cells(views: Views, name: str) -> Sequence | np.ndarray:
    column = views[name]
    if column.kind == "image":
        return np.stack([np.asarray(fit_on_white(decode.image(cell), 16), np.float32).ravel() / 255 for cell in column])
    if column.kind == "text":
        return [decode.text(cell) for cell in column]
    if column.kind == "vector":
        return np.stack([decode.vector(cell) for cell in column])
    raise DataError(f"the baseline has no simple features for {column.kind} (view {name!r})")
