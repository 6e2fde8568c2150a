"""A class from whichever views a row has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bouba.data.views import Views
from bouba.fuse.fuser import Fuser, only_label
from bouba.learner.tags import classifier_tags
from bouba.nn.fusion import Fusion, SumFusion
from bouba.towers import EncoderSpec


class FusionClassifier(Fuser):
    """Classes from several views, any of them missing: Learner(Prediction() + alone * Prediction(apart=True)).

    Use it where rows have labels. Late fusion, the baseline to compare with, is fusion=None: each view predicts alone
    and probabilities are averaged over the views a row has.

    Args:
        towers: view -> encoder; a default for each kind when None.
        label: the label column; the only one, or y of fit, when None.
        fusion: how views become one vector; its `drop` hides views at random while training. None: late fusion.
        alone: weight of a second loss, each view predicting by itself; it keeps every tower useful where others are
            missing.
        hidden: width of a hidden layer in the heads; None for linear heads.
        class_weight: None, "balanced", or class -> weight.
        smoothing: label smoothing in [0, 1).
        calibration: share of the rows held out to calibrate probabilities by a temperature; 0 for none. Rows given as
            `validation` are used instead.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> model = FusionClassifier(epochs=1, dim=4).fit(views, np.arange(8) % 2)
    >>> model.predict(views).shape, model.predict_proba(views.select("a")).shape
    ((8,), (8, 2))
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        label: str | None = None,
        fusion: Fusion | None = SumFusion(drop=0.3),  # noqa: B008  it is frozen
        class_weight: str | Mapping | None = None,
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.label = label
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        return classifier_tags(super().__sklearn_tags__())

    def _label_columns(self, views: Views) -> list[str]:
        return only_label(views, self.label)

    def _numeric_labels(self, labels: list[str]) -> list[str]:
        return [name for name in labels if name not in self.labels_]

    def _head_options(self) -> dict:
        weights = self.class_weight
        return {"class_weight": tuple(weights.items()) if isinstance(weights, Mapping) else weights}

    @property
    def classes_(self) -> np.ndarray:
        """The classes (C,), in the order of `predict_proba`."""
        return self.classes(self.labels_[0])

    def predict(self, X) -> np.ndarray:
        """Classes (n,); a row without any view gets the most frequent one."""
        return self._heads().predict(self.read(X))[self.labels_[0]]

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities (n, C) in the order of `classes_`."""
        return self._heads().predict_proba(self.read(X))[self.labels_[0]]
