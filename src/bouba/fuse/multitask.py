"""Several label columns at once, any of them missing in any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.fuse.fuser import Fuser
from bouba.nn.fusion import Fusion, SumFusion
from bouba.towers import EncoderSpec


class MultitaskLearner(Fuser):
    """Label columns predicted together from shared towers; a row teaches the labels it has.

    Args:
        towers: view -> encoder; a default for each kind when None.
        labels: which label columns; all when None.
        numbers: those of them that are quantities, not classes; when None, columns of numbers that are not all whole or
            take more than 20 values.
        fusion, alone, hidden, smoothing, calibration: as for FusionClassifier.
        weighting: "fixed" adds the tasks up, by `weights` where given; "uncertainty" learns a variance a task.
        weights: label -> weight, 1 by default; for weighting="fixed".
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    `predict` gives label -> (n,), `predict_proba` label -> (n, C) for classes.

    Reference: Caruana 1997, Multitask Learning; Kendall, Gal and Cipolla 2018 for the weighting.

    >>> labels = {"kind": np.arange(8) % 2, "size": np.linspace(0, 1, 8)}
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()}, y=labels)
    >>> {label: values.dtype.kind for label, values in MultitaskLearner(epochs=1).fit(views).predict(views).items()}
    {'kind': 'i', 'size': 'f'}
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        labels: Sequence[str] | None = None,
        numbers: Sequence[str] | None = None,
        fusion: Fusion | None = SumFusion(drop=0.3),  # noqa: B008  it is frozen
        weighting: str = "uncertainty",
        weights: Mapping[str, float] | None = None,
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.labels = labels
        self.numbers = numbers
        self.weighting = weighting
        self.weights = weights

    def _label_columns(self, views: Views) -> list[str]:
        labels = list(views.y if self.labels is None else self.labels)
        if not labels:
            raise UsageError("no label column to predict; name them: read(..., label=[...])")
        for name in (*(self.numbers or ()), *(self.weights or {})):
            if name not in labels:
                raise UsageError(f"{name!r} is no label that is predicted{nearest(name, labels)}")
        if self.weights is not None and self.weighting != "fixed":
            raise UsageError('weights are for weighting="fixed"; "uncertainty" learns its own')
        return labels

    def _numeric_labels(self, labels: list[str]) -> list[str]:
        return labels if self.numbers is None else list(self.numbers)

    def _head_options(self) -> dict:
        return {"weighting": self.weighting}

    def _label_weights(self) -> Mapping[str, float]:
        return self.weights or {}

    def predict(self, X) -> dict[str, np.ndarray]:
        """Label -> classes or numbers (n,), from whichever views a row has."""
        return self._heads().predict(self.read(X))

    def predict_proba(self, X) -> dict[str, np.ndarray]:
        """Label -> probabilities (n, C) in the order of `classes(label)`, for labels that are classes."""
        return self._heads().predict_proba(self.read(X))
