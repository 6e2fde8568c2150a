"""What the classifiers that carry over to another domain share."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin

from bouba.data.read import as_views
from bouba.data.target import Target
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest
from bouba.learner.predicts import Predicts, agreement
from bouba.nn.fusion import Fusion
from bouba.terms import Objective, Prediction, Term
from bouba.towers import EncoderSpec

FALL = 0.05  # of accuracy on the source, from which on it is worth a word
log = logging.getLogger("bouba")


class AdaptedClassifier(ClassifierMixin, Predicts):
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

    def _numbers(self, views: Views) -> list[str]:
        return [name for name in super()._numbers(views) if name != self.label_]

    def fit(self, X, y=None, *, domain: Sequence | None = None, target: Target | None = None, **how):
        """Train on the source's labels and on the target's cells.

        Args:
            X: n rows of all domains, Views or anything `bouba.read` takes.
            y: (n,) labels, None where there is none; else they come in the Views. Those of the target are not read.
            domain: (n,) names of the domains; else they come in the Views.
            target: the domain whose labels are hidden (data/target.py). None: no domain is, they are made alike.
            **how: validation, folder, resume, on_epoch; see Learner.fit. Rows of the target do not judge.

        Returns:
            self, with `classes_`.

        Raises:
            UsageError: data or arguments that do not fit together.
        """
        views = as_views(X)
        if domain is not None:
            views = views.replace(domain=np.asarray(domain, dtype=object))
        if y is not None:
            views = views.replace(y={**views.y, "y": np.asarray(y)})
        self.label_ = self._named(list(views.y), given=y is not None)
        held_out = how.get("validation")
        if isinstance(held_out, Views) and self.label_ not in held_out.y:
            raise DataError(f"validation has no label column {self.label_!r}{nearest(self.label_, held_out.y)}")
        super().fit(views, target=target, **how)
        fallen = source_fall(self.history_, self.label_)
        if fallen is not None:
            log.warning("%s", fallen)
        return self

    def _named(self, labels: list[str], *, given: bool) -> str:
        """The label column to learn."""
        if given or self.label is not None:
            wanted = "y" if given else self.label
            if wanted not in labels:
                raise DataError(f"no label column {wanted!r}{nearest(str(wanted), labels)}")
            return str(wanted)
        if len(labels) != 1:
            raise UsageError(f"one label column is learnt, and there are {len(labels)}; give label=... or y to fit")
        return labels[0]

    @property
    def classes_(self) -> np.ndarray:
        """The classes (C,), in the order of `predict_proba`."""
        return self.classes(self.label_)

    def predict(self, X) -> np.ndarray:
        """Classes (n,); a row without any view gets the most frequent one."""
        return super().predict(X)[self.label_]

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities (n, C) in the order of `classes_`, as sure as training made them: without labels of the target
        there is nothing to calibrate them by."""
        return super().predict_proba(X)[self.label_]

    def score(self, X, y=None) -> float:
        """Accuracy on the rows whose class is known."""
        views = as_views(X)
        y = views.y.get(self.label_) if y is None else np.asarray(y)
        if y is None:
            raise UsageError(f"X holds no label {self.label_!r}; give y")
        return agreement(y, self.predict(views))


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
    kept = min(rows, key=lambda row: row["validation"]) if "validation" in rows[-1] else rows[-1]
    best = max(rows[: rows.index(kept) + 1], key=lambda row: row[name])
    if best[name] - kept[name] < FALL:
        return None
    return (
        f"accuracy of {label!r} on the source fell from {best[name]:.2f} in epoch {best['epoch']:.0f} to "
        f"{kept[name]:.2f} in epoch {kept['epoch']:.0f}: adapting costs the task. Lower weight, or check that source "
        "and target show the same classes"
    )
