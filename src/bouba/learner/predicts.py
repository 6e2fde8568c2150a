"""What a model with a Prediction among its terms can do once it is fitted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax
from sklearn.utils.validation import check_is_fitted

from bouba.batch import Batch
from bouba.data.loader import class_name
from bouba.data.read import as_views
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.learner.base import BaseLearner
from bouba.metrics import r_squared

if TYPE_CHECKING:
    from torch import Tensor


log = logging.getLogger("bouba")


class Predicts(BaseLearner):
    """A BaseLearner whose objective may hold Predictions; the first that names a label predicts it."""

    calibration_: Mapping[str, float] = MappingProxyType({})  # label -> temperature of its log probabilities

    def outputs(self, X, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """What is predicted from each of several subsets of the views, the towers running once.

        Args:
            X: n rows.
            subsets: names of the views that may be used, for each subset; all views of X when None.

        Returns:
            label -> float32 (n, subsets, C) log probabilities in the order of `classes(label)`, or (n, subsets)
            numbers in their own unit. A row without a view of the subset gets the shares of the classes in training,
            or the mean.

        Raises:
            UsageError: the objective predicts nothing. ModalityError: a view the model was not trained on.
        """
        check_is_fitted(self, "module_")
        if not self.module_.predicted_labels:
            raise UsageError("the objective predicts nothing; add a Prediction() to it")
        views = as_views(X)
        chosen = [set(self.kinds_)] if subsets is None else [set(subset) for subset in subsets]
        for name in set().union(*chosen) - set(self.kinds_):
            raise ModalityError(f"no view {name!r}{nearest(name, self.kinds_)}")

        def forward(batch: Batch) -> dict[str, Tensor]:
            import torch

            batch = self._every_view(batch)
            found: dict[str, list[Tensor]] = {}
            for subset in chosen:
                present = {name: here & (name in subset) for name, here in batch.present.items()}
                seen = self.module_.fuse(batch.replace(present=present))
                for label, value in self.module_.predict(seen).items():
                    found.setdefault(label, []).append(value)
            return {label: torch.stack(values, 1) for label, values in found.items()}

        here = views.present
        speaks = [sum((here[name] for name in here if name in subset), np.zeros(len(views), bool)) for subset in chosen]
        nowhere = ~np.stack(speaks, 1)  # (n, subsets)
        lost = int(nowhere[:, 0].sum()) if subsets is None else 0
        if lost:
            log.warning("%d of %d rows have no view; what is predicted for them is the average", lost, len(views))
        out = self._run(views, forward) or self._prior(len(views), len(chosen))
        return {label: self._in_units(label, values, nowhere) for label, values in out.items()}

    def _prior(self, rows: int, subsets: int) -> dict[str, np.ndarray]:
        """Outputs of rows that have no view at all."""
        labels = self.module_.predicted_labels
        given = {label: np.log(self.codes_.shares[label]) for label in labels if label in self.codes_.shares}
        known = {label: given.get(label, np.zeros(())) for label in labels}
        return {label: np.broadcast_to(v, (rows, subsets, *v.shape)).copy() for label, v in known.items()}

    def _in_units(self, label: str, values: np.ndarray, nowhere: np.ndarray) -> np.ndarray:
        """Numbers in their own unit; log probabilities calibrated, but where `nowhere` (n, subsets) no view speaks."""
        if label in self.codes_.numbers:
            mean, scale = self.codes_.numbers[label]
            return values * scale + mean
        calibrated = log_softmax(values / self.calibration_.get(label, 1.0), axis=-1)
        return np.where(nowhere[:, :, None], values, calibrated)

    @property
    def predicts(self) -> bool:  # type: ignore[override]
        """Whether a term of the objective predicts label columns."""
        return self._objective().needs().predicts

    def classes(self, label: str) -> np.ndarray:
        """The classes of a label column (C,), as they stood in the training cells."""
        found = (self.codes_.classes or {}).get(label)
        if found is None:
            raise UsageError(f"label {label!r} holds numbers or was not there in training; it has no classes")
        return np.array(found, dtype=object if len({type(c) for c in found}) > 1 or isinstance(found[0], str) else None)

    def predict(self, X) -> Mapping[str, np.ndarray] | np.ndarray:
        """Label -> classes or numbers (n,), from whichever views a row has."""
        return {
            label: values[:, 0] if label in self.codes_.numbers else self.classes(label)[values[:, 0].argmax(1)]
            for label, values in self.outputs(X).items()
        }

    def predict_proba(self, X) -> Mapping[str, np.ndarray] | np.ndarray:
        """Label -> probabilities (n, C) in the order of `classes(label)`, for labels that are classes."""
        found = self.outputs(X).items()
        return {label: np.exp(values[:, 0]) for label, values in found if label not in self.codes_.numbers}

    def _agreement(self, views: Views) -> list[float]:
        """For each label that views have: accuracy, or R^2 of a number, over the rows that say it."""
        found: Mapping[str, np.ndarray] = Predicts.predict(self, views)  # type: ignore[assignment]
        numbers = self.codes_.numbers
        return [agreement(views.y[n], v, number=n in numbers) for n, v in found.items() if n in views.y]


def agreement(truth: np.ndarray, found: np.ndarray, *, number: bool = False) -> float:
    """Accuracy, or R^2 of a number, over the rows whose truth is known. DataError where it never is."""
    known = np.array([not is_missing(v) for v in truth], bool)
    if not known.any():
        raise DataError(f"none of {len(truth)} rows has the label; score asks for rows that do")
    if number:
        return r_squared(truth[known].astype(float), found[known])
    return float(np.mean([class_name(a) == class_name(b) for a, b in zip(truth[known], found[known], strict=True)]))
