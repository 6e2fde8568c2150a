"""What the methods that predict labels from fused views share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bouba.data.read import as_views
from bouba.data.split import split
from bouba.data.target import Target, check_target, source_only
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.fuse.calibration import fit_temperature
from bouba.learner.predicts import Predicts
from bouba.nn.fusion import Fusion, SumFusion
from bouba.terms import Objective, Prediction
from bouba.towers import EncoderSpec

LEAST = 20  # labelled rows that a calibration needs


class Fuser(Predicts):
    """Towers, a fusion and heads for label columns, trained by the one loop; see FusionClassifier."""

    aligns: ClassVar[bool] = False
    saves: ClassVar[tuple[str, ...]] = ("labels_", "calibration_", "residuals_")

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
    def _wanted(self, views: Views) -> list[str]:
        """Which label columns are predicted."""

    def _head_options(self) -> dict:
        """More arguments of Prediction."""
        return {}

    def _task(self, labels: list[str], **where) -> Prediction:
        options = {"hidden": self.hidden, "smoothing": self.smoothing, **self._head_options(), **where}
        return Prediction(tuple(labels), **options)

    def _tasks(self, **where) -> Objective:
        """The wanted labels, predicted from where it is said: fused, or each view apart."""
        return Objective.of(self._task(self.labels_, **where))

    def _objective(self) -> Objective:
        if self.fusion is None or not self.alone:
            return self._tasks()
        return self._tasks() + self.alone * self._tasks(apart=True)

    def fit(self, X, y=None, *, validation: float | Views | None = None, target: Target | None = None, **how):
        """Train on Views, or on anything `bouba.read` takes; rows without any wanted label are left out.

        Args:
            X: n rows, some cells missing.
            y: (n,) labels; else they come in the Views.
            validation: Views, or the share of keys to hold out, to choose the best epoch and to calibrate. Without it
                the share `calibration` is held out, to calibrate only.
            target: a domain whose labels stay hidden, here and in calibrating; its rows are left out. DANN and its
                kin learn from them.
            **how: folder, resume, on_epoch; see Learner.fit.

        Returns:
            self.

        Raises:
            UsageError: data or arguments that do not fit together.
        """
        self._refuse_odd(validation)
        views = as_views(X)
        if y is not None:
            views = views.replace(y={**views.y, "y": np.asarray(y)})
        held_out = validation if isinstance(validation, Views) else None
        if target is not None:  # heads learn from labels alone, so its rows have nothing to teach, nor to calibrate by
            check_target(views, target)
            views = source_only(views, target)
            held_out = None if held_out is None else source_only(held_out, target)
        self.labels_ = ["y"] if y is not None else self._wanted(views)
        views = labelled(views, self.labels_)
        if held_out is not None:
            held_out = labelled(held_out, self.labels_)
        share = validation if isinstance(validation, float) else self.calibration
        if held_out is None and (validation is not None or len(views) * share >= LEAST):
            parts = split(views, {"train": 1 - share, "held out": share}, random_state=self.random_state)
            views, held_out = parts["train"], parts["held out"]
        self.calibration_: dict[str, float] = {}
        self.residuals_: dict[str, list[float]] = {}
        super().fit(views, validation=None if validation is None else held_out, **how)
        if held_out is not None:
            self._calibrate(held_out)
        return self

    def _calibrate(self, views: Views) -> None:
        """A temperature for each label of classes, absolute errors for each of numbers, from rows held out."""
        views = views[np.any(list(views.present.values()), axis=0)]  # else it is the prior that is measured
        found = self.outputs(views)
        for label, values in found.items():
            rows = known_rows(views, [label])
            if len(rows) < LEAST:
                continue
            if label in self.codes_.numbers:
                errors = np.abs(views.y[label][rows].astype(float) - values[rows, 0])
                self.residuals_[label] = sorted(errors.tolist())
            else:
                self.calibration_[label] = fit_temperature(values[rows, 0], self._codes(label, views.y[label][rows]))

    def _codes(self, label: str, values: np.ndarray) -> np.ndarray:
        from bouba.data.loader import encode

        return encode(values, (self.codes_.classes or {})[label]).numpy()

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
        numbers = [name for name in self.labels_ if name in self.codes_.numbers]
        label = next(iter(numbers), None) if label is None else label
        if label not in numbers:
            raise UsageError(f"no numbers are predicted as {label!r}{nearest(str(label), numbers)}")
        errors = self.residuals_.get(label, [])
        place = math.ceil((len(errors) + 1) * level)
        if not 0 < level < 1 or place > len(errors):
            raise UsageError(
                f"{len(errors)} rows were held out, too few for level {level:g}; raise calibration, or give validation"
            )
        return self.outputs(X)[label] + np.array([-1.0, 1.0]) * errors[place - 1]

    def score(self, X, y=None) -> float:
        """Accuracy, or R^2 of numbers, averaged over the labels, on the rows whose label is known."""
        views = as_views(X)
        if y is not None:
            views = views.replace(y={**views.y, self.labels_[0]: np.asarray(y)})
        found = self._agreement(views)
        if not found:
            raise UsageError(f"X holds none of the labels {', '.join(self.labels_)}; give y")
        return float(np.mean(found))


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
    known = [[not is_missing(value) for value in views.y[label]] for label in labels]
    return np.flatnonzero(np.any(known, axis=0))
