"""Prediction: label columns from the fused vector, or from each view by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.batch import picked
from bouba.data.characters import class_name
from bouba.errors import UsageError, nearest
from bouba.nn.by_view import ByView
from bouba.nn.decoder import Decoder
from bouba.terms.rows import summed
from bouba.terms.term import Needs, Parts, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch

FUSED = "fused"
WEIGHTINGS = ("fixed", "uncertainty")


class Heads(nn.Module):
    """The parameters of a Prediction: source -> label -> head, where a source is FUSED or a view; log variances."""

    def __init__(self, heads: ByView, space: Space, labels: tuple[str, ...], weights: dict[str, Tensor]):
        super().__init__()
        self.heads, self.space, self.labels = heads, space, labels
        self.log_variance = nn.Parameter(torch.zeros(len(labels)))
        for place, weight in enumerate(weights.values()):
            self.register_buffer(f"weight{place}", weight)
        self._weighted = tuple(weights)
        self._counting = {label: weight > 0 for label, weight in weights.items()}  # not on the device of the heads

    def weight(self, label: str) -> Tensor | None:
        """(C,) of a class label's errors; None where all count alike."""
        return self.get_buffer(f"weight{self._weighted.index(label)}") if label in self._weighted else None

    def counts(self, batch: Batch, label: str) -> Tensor:
        """bool (B,), the rows whose class is known and weighs something; rows that weigh nothing have no mean."""
        labelled = batch.labelled(label)
        counting = self._counting.get(label)
        return labelled if counting is None else labelled & counting.to(labelled.device)[batch.y[label].clamp(min=0)]

    def judged(self, label: str, has: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """bool (B,), the rows that have a source, and whose class counts."""
        return has(batch) & self.counts(batch, label)

    def outputs(self, batch: Batch, label: str) -> Iterator[tuple[Callable[[Batch], Tensor], Tensor]]:
        """For each source: which rows of a batch have it, bool (B,), and all rows' outputs (B, C), or (B, 1) for a
        number."""
        for source, heads in self.heads.items():
            fused = self.space.fused is not None and source == FUSED
            z, has = (batch.fused, _any_view) if fused else (batch.z[source], partial(_one_view, source))
            z = torch.where(has(batch)[:, None], z, 0)  # type: ignore[arg-type]  # missing cells are not read
            yield has, heads[label](z)  # type: ignore[index]


def _any_view(batch: Batch) -> Tensor:
    return batch.any_present


def _one_view(view: str, batch: Batch) -> Tensor:
    return batch.present[view]


@dataclass(frozen=True)
class Prediction(Term):
    """Heads that predict label columns: class probabilities, or numbers in standard deviations from their mean.

        L = sum_j w_j mean over the rows i that have label j of L(y_ij, f_j(fused_i)),
        L = cross-entropy for classes, squared error for numbers

    Without fusion each view has heads of its own, L is averaged over the views, and predictions are averaged over
    the views a row has: late fusion. `InfoNCE() + Prediction()` learns to match and to classify at once, and
    Prediction(("a",)) + 0.3 * Prediction(("b",)) weighs tasks by hand.

    Args:
        labels: which label columns; all when None. A row may lack any of them.
        apart: predict from each view by itself although views are fused; it keeps towers useful where others lack.
        hidden: width of a hidden layer in each head; None for a linear head.
        class_weight: "balanced" weighs a class by 1 / (C * its share of the rows), or (class, weight) pairs.
        smoothing: label smoothing in [0, 1).
        weighting: "fixed" adds tasks up; "uncertainty" learns a variance a task, w_j = exp(-s_j) with s_j / 2 added
            (half of that weight for a number).

    Logs `accuracy.<label>` or `explained.<label>` (1 - error / variance) on the batch.

    References: Kendall, Gal and Cipolla 2018, Multi-Task Learning Using Uncertainty, equation 10; Szegedy et al. 2016
    (label smoothing).

    >>> Prediction(("species",), class_weight="balanced").weighting
    'fixed'
    """

    labels: tuple[str, ...] | None = None
    apart: bool = False
    hidden: int | None = None
    class_weight: str | tuple[tuple[str, float], ...] | None = None
    smoothing: float = 0.0
    weighting: str = "fixed"

    def __post_init__(self) -> None:
        if isinstance(self.labels, str):
            raise UsageError(f"labels is a tuple of names, got {self.labels!r}; write ({self.labels!r},)")
        if self.weighting not in WEIGHTINGS:
            raise UsageError(f"no weighting {self.weighting!r}{nearest(str(self.weighting), WEIGHTINGS)}")
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing lies in [0, 1), got {self.smoothing}")

    def needs(self) -> Needs:
        return Needs(unpaired=False, fused=not self.apart, predicts=True)

    def predicted_labels(self, space: Space) -> tuple[str, ...]:
        return (*(space.classes or {}), *space.numbers) if self.labels is None else self.labels

    def state(self, space: Space) -> Heads:
        columns = {**(space.classes or {}), **dict.fromkeys(space.numbers)}  # label -> class names, None for a number
        labels = self.predicted_labels(space)
        if not labels:
            raise UsageError("Prediction needs a label column; name one with label=..., or give y to fit")
        for label in labels:
            if label not in columns:
                raise UsageError(f"Prediction names label {label!r}, but no such label column{nearest(label, columns)}")
            if label not in space.numbers and len(columns[label] or ()) < 2:
                raise UsageError(f"label {label!r} has {len(columns[label] or ())} class in training; two are needed")
        fused = space.fused is not None and not self.apart
        widths = {FUSED: space.fused} if fused else space.dims
        outputs = {label: 1 if label in space.numbers else len(columns[label] or ()) for label in labels}
        heads = {s: ByView({la: self._head(w or 0, n) for la, n in outputs.items()}) for s, w in widths.items()}
        weights = {la: w for la in labels if la not in space.numbers and (w := self._weights(la, space)) is not None}
        return Heads(ByView(heads), space if fused else space.unfused(), labels, weights)

    def _head(self, width: int, outputs: int) -> nn.Module:
        if self.hidden is None:
            return nn.Linear(width, outputs)
        return Decoder(width, outputs, hidden=self.hidden)

    def _weights(self, label: str, space: Space) -> Tensor | None:
        """(C,) weights whose mean over the training rows is 1."""
        if self.class_weight is None:
            return None
        names = [class_name(name) for name in (space.classes or {})[label]]
        shares = torch.tensor([space.shares[label][i] for i in range(len(names))])
        if self.class_weight == "balanced":
            return 1 / (len(names) * shares)
        if isinstance(self.class_weight, str):
            raise UsageError(f'class_weight is "balanced" or (class, weight) pairs, got {self.class_weight!r}')
        weights = {class_name(name): weight for name, weight in self.class_weight}
        unknown = next((name for name in weights if name not in names), None)
        if unknown is not None or min(weights.values(), default=1.0) < 0:
            raise UsageError(f"class_weight of {label!r} names {unknown!r}{nearest(str(unknown), names)}")
        return torch.tensor([float(weights.get(name, 1.0)) for name in names])

    def loss(self, batch, state: Heads):
        costs, parts = [], Parts()
        for place, label in enumerate(state.labels):
            value = self._label_loss(batch, state, label, parts)
            if value is None:
                continue
            if self.weighting == "uncertainty":
                s = state.log_variance[place]
                value = (0.5 if label in state.space.numbers else 1.0) * torch.exp(-s) * value + s / 2
                parts[f"deviation.{label}"] = torch.exp(s.detach() / 2)
            costs.append(value)
        return summed(costs) if costs else None, parts

    def _label_loss(self, batch: Batch, state: Heads, label: str, parts: Parts) -> Tensor | None:
        """Of one label, averaged over the sources that any labelled row has; None where there is none."""
        if label not in batch.y:
            return None
        y, weight, is_number = batch.y[label], state.weight(label), label in state.space.numbers
        values, scores = [], []
        for has, outputs in state.outputs(batch, label):
            rows = batch.rows_where(partial(state.judged, label, has))
            if rows is not None and not len(rows):
                continue
            target, output = picked(y, rows), picked(outputs, rows).float()
            if is_number:
                values.append(F.mse_loss(output[:, 0], target.float()))
                variance = target.float().var(correction=0)
                scores.append(1 - values[-1].detach() / variance.clamp(min=1e-12))
            else:
                values.append(F.cross_entropy(output, target, weight, label_smoothing=self.smoothing))
                scores.append((output.argmax(1) == target).float().mean())
        if not values:
            return None
        parts[f"{'explained' if is_number else 'accuracy'}.{label}"] = torch.stack(scores).mean()
        return torch.stack(values).mean()

    def predict(self, batch: Batch, state: Heads) -> dict[str, Tensor]:
        """label -> log probabilities (B, C), or standardised numbers (B,), averaged over the sources a row has.

        A row without any gets the shares of the classes in training, or the mean.
        """
        predictions = {}
        for label in state.labels:
            is_number = label in state.space.numbers
            total = count = batch.rows.new_zeros((), dtype=torch.float32)
            for has, outputs in state.outputs(batch, label):
                value = outputs[:, 0].float() if is_number else outputs.float().softmax(1)
                present = has(batch)
                present = present.view(-1, *[1] * (value.dim() - 1))  # (B,) or (B, 1)
                total, count = total + torch.where(present, value, 0), count + present.float()
            prior = total.new_zeros(()) if is_number else total.new_tensor(state.space.shares[label])
            mean = torch.where(count > 0, total / count.clamp(min=1), prior)
            predictions[label] = mean if is_number else mean.clamp(min=1e-12).log()
        return predictions
