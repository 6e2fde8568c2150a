"""Predictions of label columns by a fitted network with a Prediction among its terms."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from bouba.batch import Batch
from bouba.data.characters import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.learner.fitted import FittedNetwork
from bouba.learner.stacking import Stack, members_of
from bouba.metrics import r_squared

if TYPE_CHECKING:
    from torch import Tensor


log = logging.getLogger("bouba")


@dataclass(frozen=True)
class Heads:
    """The label columns that a network predicts; of a label with several heads the first predicts it.

    Args:
        network: fitted. temperatures: label -> what divides its log probabilities, 1 where it is not in it.
        stacks: label -> how predictions from all views and from each alone become one; empty where the former stand.
    """

    network: FittedNetwork
    temperatures: Mapping[str, float] = field(default_factory=dict)
    stacks: Mapping[str, Stack] = field(default_factory=dict)

    def outputs(self, views: Views, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """What is predicted from each of several subsets of the views, the towers running once.

        Args:
            views: n rows.
            subsets: names of the views that may be used, for each subset; all views when None.

        Returns:
            label -> float32 (n, subsets, C) log probabilities in the order of `classes(label)`, or (n, subsets)
            numbers in their own unit. A row without a view of the subset gets the shares of the classes in training,
            or the mean.

        Raises:
            UsageError: the objective predicts nothing. ModalityError: a view the model was not trained on.
        """
        network, kinds = self.network, self.network.kinds
        if self.stacks:
            return self._stacked(views, [tuple(kinds)] if subsets is None else [tuple(each) for each in subsets])
        if not network.module.predicted_labels:
            raise UsageError("the objective predicts nothing; add a Prediction() to it")
        subset_names = [set(kinds)] if subsets is None else [set(subset) for subset in subsets]
        for name in set().union(*subset_names) - set(kinds):
            raise ModalityError(f"no view {name!r}{nearest(name, kinds)}")

        def forward(batch: Batch) -> dict[str, Tensor]:
            import torch

            batch = network.with_every_view(batch)
            by_label: dict[str, list[Tensor]] = {}
            for subset in subset_names:
                present = {name: mask & (name in subset) for name, mask in batch.present.items()}
                fused = network.module.fuse(batch.replace(present=present))
                for label, value in network.module.predict(fused).items():
                    by_label.setdefault(label, []).append(value)
            return {label: torch.stack(values, 1) for label, values in by_label.items()}

        empty = _rows_without_a_view(views, subset_names)
        lost = int(empty[:, 0].sum()) if subsets is None else 0
        if lost:
            log.warning("%d of %d rows have no view; what is predicted for them is the average", lost, len(views))
        out = network.run(views, forward) or self._prior(len(views), len(subset_names))
        return {label: self._in_units(label, values, empty) for label, values in out.items()}

    def _stacked(self, views: Views, subsets: Sequence[tuple[str, ...]]) -> dict[str, np.ndarray]:
        """The same of members that are stacked; a row without a view of the subset gets what all members give it."""
        members = [members_of(subset, tuple(self.network.kinds)) for subset in subsets]
        each = replace(self, temperatures={}, stacks={}).outputs(views, [one for group in members for one in group])
        empty = _rows_without_a_view(views, [set(subset) for subset in subsets])
        out = {}
        for label, values in each.items():
            grouped = values.reshape(len(values), len(subsets), len(members[0]), *values.shape[2:])
            prior = grouped[:, :, 0]
            stacked = np.stack([self.stacks[label](grouped[:, s]) for s in range(len(subsets))], axis=1)
            if label not in self.network.codes.numbers:
                stacked = log_softmax(stacked / self.temperatures.get(label, 1.0), axis=-1)
            without = empty if prior.ndim == 2 else empty[:, :, None]
            out[label] = np.where(without, prior, stacked).astype(values.dtype)
        return out

    def _prior(self, rows: int, subsets: int) -> dict[str, np.ndarray]:
        """Outputs of rows that have no view at all: log shares of the classes, or the mean 0."""
        shares = self.network.codes.shares
        labels = self.network.module.predicted_labels
        priors = {label: np.log(shares[label]) if label in shares else np.zeros(()) for label in labels}
        return {label: np.broadcast_to(v, (rows, subsets, *v.shape)).copy() for label, v in priors.items()}

    def _in_units(self, label: str, values: np.ndarray, empty: np.ndarray) -> np.ndarray:
        """Numbers in their own unit; log probabilities calibrated, but where `empty` (n, subsets) there is no view."""
        if label in self.network.codes.numbers:
            mean, scale = self.network.codes.numbers[label]
            return values * scale + mean
        calibrated = log_softmax(values / self.temperatures.get(label, 1.0), axis=-1)
        return np.where(empty[:, :, None], values, calibrated)

    def classes(self, label: str) -> np.ndarray:
        """The classes of a label column (C,), as they stood in the training cells."""
        names = (self.network.codes.classes or {}).get(label)
        if names is None:
            raise UsageError(f"label {label!r} holds numbers or was not there in training; it has no classes")
        return np.array(names, dtype=object if len({type(c) for c in names}) > 1 or isinstance(names[0], str) else None)

    def predict(self, views: Views) -> dict[str, np.ndarray]:
        """label -> classes or numbers (n,), from whichever views a row has."""
        return {
            label: values[:, 0] if label in self.network.codes.numbers else self.classes(label)[values[:, 0].argmax(1)]
            for label, values in self.outputs(views).items()
        }

    def predict_proba(self, views: Views) -> dict[str, np.ndarray]:
        """label -> probabilities (n, C) in the order of `classes(label)`, for labels that are classes."""
        outputs = self.outputs(views).items()
        return {label: np.exp(values[:, 0]) for label, values in outputs if label not in self.network.codes.numbers}

    def agreement(self, views: Views) -> list[float]:
        """For each label that views have: accuracy, or R^2 of a number, over the rows that have it."""
        numbers = self.network.codes.numbers
        predicted = self.predict(views).items()
        return [agreement(views.y[name], v, number=name in numbers) for name, v in predicted if name in views.y]


def _rows_without_a_view(views: Views, subsets: Sequence[set[str]]) -> np.ndarray:
    """(n, subsets), True where a row has no view of the subset."""
    none = np.zeros(len(views), bool)
    counts = [sum((mask for name, mask in views.present.items() if name in subset), none) for subset in subsets]
    return ~np.stack(counts, 1).astype(bool)


def agreement(truth: np.ndarray, predicted: np.ndarray, *, number: bool = False) -> float:
    """Accuracy, or R^2 of a number, over the rows whose truth is known. DataError where it never is."""
    is_known = np.array([not is_missing(v) for v in truth], bool)
    if not is_known.any():
        raise DataError(f"none of {len(truth)} rows has the label; score asks for rows that do")
    truth, predicted = truth[is_known], predicted[is_known]
    if number:
        return r_squared(truth.astype(float), predicted)
    return float(np.mean([class_name(a) == class_name(b) for a, b in zip(truth, predicted, strict=True)]))
