"""The simple baseline of every result: linear CCA on features that need no training."""

from __future__ import annotations

import numpy as np

from bouba.align.canonical import solve
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.moments import Moments
from bouba.errors import DataError


class LinearBaseline(ClosedForm):
    """Pixels, character n-grams and raw numbers, reduced by PCA, aligned by CCA.

    Pictures: 16 x 16 RGB pixels. Text: TF-IDF of character n-grams up to 4. Vectors: unchanged. Each is reduced
    to `features` columns, then CCA(dim, ridge). CCA with settings that need no choosing: as many components as there
    are, and a ridge that suits few rows.

    Args:
        dim: components, at most. features: columns a view is reduced to. ridge: see CCA.
        random_state: of the PCA.

    Raises:
        DataError: fewer than three rows with two views.
    """

    def __init__(self, dim: int = 64, features: int = 200, ridge: float = 0.3, random_state: int = 0):
        self.dim = dim
        self.features = features
        self.ridge = ridge
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        moments = Moments.of(data, present)
        if moments.counts.diagonal().max() < 3:
            raise DataError(f"the baseline needs three rows with two views, got {int(moments.counts.max())}")
        self.solution_ = solve(moments, min(self.dim, *moments.widths), dict.fromkeys(data, self.ridge))

    @property
    def correlations_(self) -> np.ndarray:
        """(k,) correlations of the variates."""
        return self.solution_.correlations

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.solution_.sides[name].project(values)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.solution_.sides[name].emphasis

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, reduce_vectors=True, random_state=self.random_state)
