"""What the classifiers that carry over to another domain share."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest
from bouba.hooks import hook
from bouba.learner.base import BaseLearner
from bouba.learner.heads import Heads, agreement
from bouba.learner.tags import classifier_tags
from bouba.learner.training_data import TrainingData
from bouba.nn.fusion import Fusion
from bouba.terms import Objective, Prediction, Term
from bouba.towers import EncoderSpec

FALL = 0.05  # of accuracy on the source, from which on it is reported
log = logging.getLogger("bouba")


class AdaptedClassifier(BaseLearner):
    """Classes from a source with labels, for a target without: Learner(Prediction() + weight * <what adapts> + also).

    Args:
        towers: view -> encoder; a default for each kind when None.
        label: the label column; the only one, or y of fit, when None.
        weight: of the term that adapts.
        adapt: the views to adapt; every view with two domains or more when None.
        also: more terms, `SelfTraining() + 0.1 * Entropy()`.
        fusion: how several views become one vector; None averages what each predicts.
        hidden: width of a hidden layer in the head; None for a linear head.
        smoothing: label smoothing in [0, 1).
        **training: dim, epochs, batch_size, lr, weight_decay, patience, domain_norm, random_state; see Learner.
    """

    aligns: ClassVar[bool] = False
    predicts: ClassVar[bool] = True
    saves: ClassVar[tuple[str, ...]] = ("label_",)

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        label: str | None = None,
        weight: float = 1.0,
        adapt: tuple[str, ...] | None = None,
        also: Term | Objective | None = None,
        fusion: Fusion | None = None,
        hidden: int | None = None,
        smoothing: float = 0.0,
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.label = label
        self.weight = weight
        self.adapt = adapt
        self.also = also
        self.hidden = hidden
        self.smoothing = smoothing

    @abstractmethod
    def _adaptation(self) -> Term:
        """What makes source and target alike."""

    def _objective(self) -> Objective:
        task = Prediction((self.label_,), hidden=self.hidden, smoothing=self.smoothing)
        objective = task + self.weight * self._adaptation()
        return objective if self.also is None else objective + self.also

    def _numeric_labels(self, labels: list[str]) -> list[str]:
        return [name for name in labels if name != self.label_]

    def _prepare(self, data: TrainingData) -> TrainingData:
        """Names the label column to learn, which validation rows must have too."""
        self.label_ = self._label_column(list(data.views.y), as_y=data.labels_as_y)
        held_out = data.validation
        if isinstance(held_out, Views) and self.label_ not in held_out.y:
            raise DataError(f"validation has no label column {self.label_!r}{nearest(self.label_, held_out.y)}")
        return data

    @hook
    def _solve(self, data: TrainingData) -> None:
        """Once training has ended, put solved parts in place of trained ones. Nothing by default."""

    def _finish(self, data: TrainingData) -> None:
        """Solves what is solved, and warns where adapting cost the source."""
        self._solve(data)
        message = source_fall(self.history_, self.label_)
        if message is not None:
            log.warning("%s", message)

    def __sklearn_tags__(self):
        return classifier_tags(super().__sklearn_tags__())

    def _label_column(self, labels: list[str], *, as_y: bool) -> str:
        """The label column to learn."""
        if as_y or self.label is not None:
            label = "y" if as_y else self.label
            if label not in labels:
                raise DataError(f"no label column {label!r}{nearest(str(label), labels)}")
            return str(label)
        if len(labels) != 1:
            raise UsageError(f"one label column is learnt, and there are {len(labels)}; give label=... or y to fit")
        return labels[0]

    @property
    def labels_(self) -> list[str]:
        """The one label column that is predicted."""
        return [self.label_]

    @property
    def classes_(self) -> np.ndarray:
        """The classes (C,), in the order of `predict_proba`."""
        return self.classes(self.label_)

    def _heads(self) -> Heads:
        return Heads(self._fitted())

    def outputs(self, X, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """label -> (n, subsets, C) log probabilities; see `bouba.learner.heads.Heads.outputs`.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        return self._heads().outputs(self.read(X), subsets)

    def classes(self, label: str) -> np.ndarray:
        """The classes of a label column (C,), as they stood in the training cells."""
        return self._heads().classes(label)

    def predict(self, X) -> np.ndarray:
        """Classes (n,); a row without any view gets the most frequent one."""
        return self._heads().predict(self.read(X))[self.label_]

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities (n, C) in the order of `classes_`, as sure as training made them: without labels of the target
        there is nothing to calibrate them by."""
        return self._heads().predict_proba(self.read(X))[self.label_]

    def _own_score(self, views: Views, y) -> float:
        """Accuracy on the rows whose class is known."""
        truth = views.y.get(self.label_) if y is None else y
        if truth is None:
            raise UsageError(f"X holds no label {self.label_!r}; give y")
        return agreement(truth, self.predict(views))


def source_fall(history: Sequence[Mapping[str, float]], label: str) -> str | None:
    """A sentence where adaptation cost accuracy on the source while training went on; None where it did not.

    Compared are the accuracies on training batches, which rise to the end when nothing pulls against them: that of the
    epoch whose weights are kept with the best one before. `bouba.adapt.diagnose` compares with a model of the source
    alone, which this cannot.
    """
    name = f"Prediction.accuracy.{label}"
    rows = [row for row in history if name in row]
    if not rows:
        return None
    final = min(rows, key=lambda row: row["validation"]) if "validation" in rows[-1] else rows[-1]
    best = max(rows[: rows.index(final) + 1], key=lambda row: row[name])
    if best[name] - final[name] < FALL:
        return None
    return (
        f"accuracy of {label!r} on the source fell from {best[name]:.2f} in epoch {best['epoch']:.0f} to "
        f"{final[name]:.2f} in epoch {final['epoch']:.0f}: adapting costs the task. Lower weight, or check that source "
        "and target show the same classes"
    )
