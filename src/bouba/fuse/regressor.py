"""A number from whichever views a row has, with an interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bouba.data.views import Views
from bouba.fuse.fuser import Fuser, only_label
from bouba.learner.tags import regressor_tags
from bouba.nn.fusion import Fusion, SumFusion
from bouba.towers import EncoderSpec


class FusionRegressor(Fuser):
    """A number from several views, any of them missing; squared error on the standardised label.

    Args:
        towers: view -> encoder; a default for each kind when None.
        label: the label column; the only one, or y of fit, when None.
        fusion, alone, hidden: as for FusionClassifier.
        calibration: share of the rows held out to measure errors, from which `predict_interval` is made; 0 for none.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> FusionRegressor(epochs=1, dim=4).fit(views, np.linspace(0, 1, 8)).predict(views).shape
    (8,)
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        label: str | None = None,
        fusion: Fusion | None = SumFusion(drop=0.3),  # noqa: B008  it is frozen
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.label = label

    def __sklearn_tags__(self):
        return regressor_tags(super().__sklearn_tags__())

    def _label_columns(self, views: Views) -> list[str]:
        return only_label(views, self.label)

    def _numeric_labels(self, labels: list[str]) -> list[str]:
        return list(dict.fromkeys([*labels, *self.labels_]))

    def predict(self, X) -> np.ndarray:
        """Numbers (n,) in the label's unit; a row without any view gets the mean."""
        return self._heads().predict(self.read(X))[self.labels_[0]]

    def predict_proba(self, X) -> dict[str, np.ndarray]:
        """Nothing: a number has no classes."""
        return self._heads().predict_proba(self.read(X))
