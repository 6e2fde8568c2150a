"""What the methods that predict labels from fused views share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from sklearn.base import clone

from bouba.data.loader import encode
from bouba.data.split import split
from bouba.data.target import check_target, source_only
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.fuse.calibration import fit_temperature
from bouba.hooks import hook
from bouba.learner.base import BaseLearner
from bouba.learner.heads import Heads
from bouba.learner.stacking import Stack, folds_of, members_of
from bouba.learner.training_data import TrainingData
from bouba.nn.fusion import Fusion, StackedFusion, SumFusion
from bouba.terms import Objective, Prediction
from bouba.towers import EncoderSpec

LEAST = 20  # labelled rows that a calibration needs
NEVER_SEEN = float(np.log(1e-6))  # log probability of a class that a member was not trained on


class Fuser(BaseLearner):
    """Towers, a fusion and heads for label columns, trained by the one loop; see FusionClassifier."""

    aligns: ClassVar[bool] = False
    predicts: ClassVar[bool] = True
    stacks: ClassVar[bool] = True  # takes StackedFusion
    saves: ClassVar[tuple[str, ...]] = ("labels_", "calibration_", "residuals_", "stacks_")
    stacks_: Mapping[str, Stack] = {}

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        fusion: Fusion | None = SumFusion(drop=0.3),  # noqa: B008  it is frozen
        alone: float = 0.3,
        hidden: int | None = None,
        smoothing: float = 0.0,
        calibration: float = 0.1,
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.alone = alone
        self.hidden = hidden
        self.smoothing = smoothing
        self.calibration = calibration

    @abstractmethod
    def _label_columns(self, views: Views) -> list[str]:
        """Which label columns are predicted."""

    @abstractmethod
    def predict(self, X):
        """What is predicted of each row, from whichever views it has."""

    @abstractmethod
    def predict_proba(self, X):
        """Probabilities of labels that are classes."""

    @hook
    def _head_options(self) -> dict:
        """More arguments of Prediction. None by default."""
        return {}

    @hook
    def _label_weights(self) -> Mapping[str, float]:
        """label -> weight of its task, 1 for one that is not in it; by default nothing, and one term for all labels."""
        return {}

    def _tasks(self, **more) -> Objective:
        """The labels, predicted from the fused vector, or from each view apart."""
        options = {"hidden": self.hidden, "smoothing": self.smoothing, **self._head_options(), **more}
        weights = self._label_weights()
        if not weights:
            return Objective.of(Prediction(tuple(self.labels_), **options))
        return Objective(tuple((float(weights.get(n, 1)), Prediction((n,), **options)) for n in self.labels_))

    def _objective(self) -> Objective:
        if self.fusion is None or not self.alone:
            return self._tasks()
        return self._tasks() + self.alone * self._tasks(apart=True)

    def _prepare(self, data: TrainingData) -> TrainingData:
        """Rows that have a label, and rows held out to calibrate by where none are to validate.

        The target's rows are left out: heads learn from labels alone, so they have nothing to teach, nor to calibrate
        by. DANN and its kin learn from them.
        """
        views, held_out, calibration = data.views, data.validation, None
        if data.target is not None:
            check_target(views, data.target)
            views = source_only(views, data.target)
            held_out = source_only(held_out, data.target) if isinstance(held_out, Views) else held_out
        self.labels_ = ["y"] if data.labels_as_y else self._label_columns(views)
        views = labelled(views, self.labels_)
        if isinstance(held_out, Views):
            held_out = labelled(held_out, self.labels_)
        shares = {"train": 1 - self.calibration, "held out": self.calibration}
        if held_out is None and len(views) * self.calibration >= LEAST:
            parts = split(views, shares, random_state=self.random_state)
            views, calibration = parts["train"], parts["held out"]
        self.calibration_: dict[str, float] = {}
        self.residuals_: dict[str, list[float]] = {}
        self.stacks_ = {}
        return replace(data, views=views, validation=held_out, target=None, calibration=calibration)

    def _finish(self, data: TrainingData) -> None:
        """Stack on the rows of training, where the fusion says so; then calibrate, by the rows that chose the epoch, or
        were held out for it."""
        if isinstance(self.fusion, StackedFusion):
            self.stacks_ = self._stacked(data.views, self.fusion)
        rows = data.calibration if data.held_out is None else data.held_out
        if rows is not None:
            self._calibrate(rows)

    def _stacked(self, views: Views, fusion: StackedFusion) -> dict[str, Stack]:
        """Weights of the members by label, from predictions for rows that they were not trained on."""
        names = tuple(self.kinds_)
        fold = folds_of(views, fusion.folds, self.random_state)
        views = views.replace(y={label: views.y[label] for label in self.labels_})
        of_label: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {label: [] for label in self.labels_}
        for number in range(fold.max() + 1):
            member = clone(self).set_params(fusion=fusion.joint, calibration=0.0, verbose=False)
            member.fit(views[fold != number])
            left_out = views[fold == number]
            for label, values in member.outputs(left_out, members_of(names, names)).items():
                truth = left_out.y[label]
                if label not in self.codes_.numbers:
                    values, truth = self._in_own_order(label, values, member), self._codes(label, truth)
                of_label[label].append((values, truth))
        return {
            label: Stack.fitted(*map(np.concatenate, zip(*parts, strict=True)), numbers=label in self.codes_.numbers)
            for label, parts in of_label.items()
        }

    def _in_own_order(self, label: str, values: np.ndarray, member: Fuser) -> np.ndarray:
        """Log probabilities (n, members, C) of a member in the order of this model's classes; classes that it never saw
        are as good as impossible."""
        places = self._codes(label, member.classes(label))
        out = np.full((*values.shape[:2], len(self.classes(label))), NEVER_SEEN)
        out[:, :, places] = np.maximum(values, NEVER_SEEN)
        return out

    def _calibrate(self, views: Views) -> None:
        """A temperature for each label of classes, absolute errors for each of numbers, from rows held out."""
        views = views[np.any(list(views.present.values()), axis=0)]  # else it is the prior that is measured
        for label, values in self.outputs(views).items():
            rows = known_rows(views, [label])
            if len(rows) < LEAST:
                continue
            if label in self.codes_.numbers:
                errors = np.abs(views.y[label][rows].astype(float) - values[rows, 0])
                self.residuals_[label] = sorted(errors.tolist())
            else:
                self.calibration_[label] = fit_temperature(values[rows, 0], self._codes(label, views.y[label][rows]))

    def _codes(self, label: str, values: np.ndarray) -> np.ndarray:
        return encode(values, (self.codes_.classes or {})[label]).numpy()

    def _heads(self) -> Heads:
        return Heads(self._fitted(), self.calibration_, self.stacks_)

    def outputs(self, X, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """label -> (n, subsets, C) log probabilities or (n, subsets) numbers; see `bouba.learner.heads.Heads.outputs`.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        return self._heads().outputs(self.read(X), subsets)

    def classes(self, label: str) -> np.ndarray:
        """The classes of a label column (C,), as they stood in the training cells."""
        return self._heads().classes(label)

    def predict_interval(self, X, *, label: str | None = None, level: float = 0.9) -> np.ndarray:
        """Lower and upper ends (n, 2) that hold the number of a new row with probability `level`.

            y +- q,   q the ceil((m + 1) level)-th smallest of the m absolute errors on the rows held out in fit

        It holds on average over rows like those held out, whatever the errors' distribution.

        Args:
            X: n rows. label: which label of numbers; the first that is predicted when None. level: in (0, 1).

        Raises:
            UsageError: no such label of numbers, or too few rows were held out for that level.

        Reference: Vovk, Gammerman and Shafer 2005; Lei et al. 2018, Distribution-Free Predictive Inference for
        Regression (split conformal).
        """
        numeric = [name for name in self.labels_ if name in self.codes_.numbers]
        label = next(iter(numeric), None) if label is None else label
        if label not in numeric:
            raise UsageError(f"no numbers are predicted as {label!r}{nearest(str(label), numeric)}")
        errors = self.residuals_.get(label, [])
        place = math.ceil((len(errors) + 1) * level)
        if not 0 < level < 1 or place > len(errors):
            raise UsageError(
                f"{len(errors)} rows were held out, too few for level {level:g}; raise calibration, or give validation"
            )
        return self.outputs(X)[label] + np.array([-1.0, 1.0]) * errors[place - 1]

    def _own_score(self, views: Views, y) -> float:
        """Accuracy, or R^2 of numbers, averaged over the labels, on the rows whose label is known."""
        if y is not None:
            views = views.replace(y={**views.y, self.labels_[0]: y})
        scores = self._heads().agreement(views)
        if not scores:
            raise UsageError(f"X holds none of the labels {', '.join(self.labels_)}; give y")
        return float(np.mean(scores))


def only_label(views: Views, label: str | None) -> list[str]:
    """The label column that is named, or the only one there is."""
    if label is not None:
        return [label]
    if not views.y:
        raise UsageError("no label to learn; name its column with read(..., label=...), or give y to fit")
    if len(views.y) > 1:
        raise UsageError(f"which label? give label=...{nearest('', views.y)}")
    return list(views.y)


def labelled(views: Views, labels: list[str]) -> Views:
    """The rows that have one of the labels or more.

    Raises:
        DataError: no such column, or no such row.
    """
    missing = next((label for label in labels if label not in views.y), None)
    if missing is not None:
        raise DataError(f"no label column {missing!r}{nearest(missing, views.y)}; name it: read(..., label=...)")
    views = views[known_rows(views, labels)]
    if not len(views):
        raise DataError(f"no row has a label in {', '.join(labels)}; check the column")
    return views


def known_rows(views: Views, labels: list[str]) -> np.ndarray:
    """Numbers of the rows that have one of the labels or more."""
    is_known = [[not is_missing(value) for value in views.y[label]] for label in labels]
    return np.flatnonzero(np.any(is_known, axis=0))
