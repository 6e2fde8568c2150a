"""The one thing that flows through training: some rows, their labels, domains and keys, and their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from bouba.device import moved

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HELD = ("known", "_rows_with")
"""Fields of a batch that hold of these rows what `map` does not apply to."""
Inputs = dict[str, "Tensor"]
"""What one encoder's `prepare` returns: named tensors, the rows along the first dimension."""


@dataclass(frozen=True)
class Batch:
    """B rows. A view a row lacks is masked by `present`; its inputs and z hold zeros nobody may read.

    Args:
        inputs: view -> named tensors for that view's encoder, each (B, ...).
        present: view -> bool (B,), True where the row has that view.
        rows: int64 (B,), row numbers in the Views the batch was drawn from.
        z: view -> float (B, d) embeddings; filled by the towers.
        fused: float (B, d), one vector a row from the views it has, zeros or noise where it has none; filled where
            views are fused. Some views may have been hidden from it at random in training.
        rest: view -> float (B, d), the vector fused from the other views of a row, zeros or noise where it has none;
            filled where a term reads it. Some of the others may have been hidden at random in training.
        twin: view -> float (B, d), the same cells embedded once more after another random change (crop, dropped
            words, ...); filled where a term reads twins.
        averaged: view -> float (B, d), the same cells embedded after one more random change by moving averages of the
            towers, without gradient; filled where a term reads them.
        masked: view -> float (B, d), the same cells embedded with a share of their patches blank; filled where a term
            reads them, of views whose encoder can hide patches. hidden: view -> bool (B, p), True on the numbers of
            `raw` that lie in those patches.
        raw: view -> float (B, p), what a decoder of that view must give back; filled where a term reads raw views.
        predicted: label column of classes -> (B, C) log probabilities by the first term that predicts the label, with
            gradients; filled where a term reads predictions. Rows without any view hold the share of each class in
            training.
        predicted_twin: the same from the twins; filled where twins are.
        teachers: view of ready vectors -> float (B, p), as they are; filled where a term reads them.
        y: label column -> (B,) class codes (int64, -1 = missing) or standardised numbers (float, NaN = missing).
        domain: int64 (B,) domain codes, or None without domains.
        key: int64 (B,); equal keys are the same thing (no negatives of each other); -1 = unknown.
        progress: fraction of training done, in [0, 1]; schedules read it.
        known: the same rows' present, y, domain and key in the memory of the CPU, where the batch is on another device
            and they are at hand: which rows a term reads is then known without waiting for that device.
    """

    inputs: dict[str, Inputs]
    present: dict[str, Tensor]
    rows: Tensor
    z: dict[str, Tensor] = field(default_factory=dict)
    fused: Tensor | None = None
    rest: dict[str, Tensor] = field(default_factory=dict)
    twin: dict[str, Tensor] = field(default_factory=dict)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    masked: dict[str, Tensor] = field(default_factory=dict)
    hidden: dict[str, Tensor] = field(default_factory=dict)
    raw: dict[str, Tensor] = field(default_factory=dict)
    predicted: dict[str, Tensor] = field(default_factory=dict)
    predicted_twin: dict[str, Tensor] = field(default_factory=dict)
    teachers: dict[str, Tensor] = field(default_factory=dict)
    y: dict[str, Tensor] = field(default_factory=dict)
    domain: Tensor | None = None
    key: Tensor | None = None
    progress: float = 0.0
    known: Batch | None = None
    _rows_with: dict[tuple[str, ...], Tensor | None] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def view_counts(self) -> Tensor:
        """int64 (B,), how many views each row has."""
        return sum(self.present.values(), start=0 * self.rows)

    @property
    def any_present(self) -> Tensor:
        """bool (B,), True where the row has a view or more."""
        return self.view_counts > 0

    def labelled(self, label: str) -> Tensor:
        """bool (B,), True where the row has a value in this label column; nowhere if the batch lacks the column."""
        y = self.y.get(label)
        if y is None:
            return self.rows.new_zeros(len(self)).bool()
        return ~y.isnan() if y.is_floating_point() else y >= 0

    def rows_where(self, which: Callable[[Batch], Tensor]) -> Tensor | None:
        """int64 (m,), the rows where `which` gives True, in order; None where it does for every row.

        Args:
            which: of a batch, by its present, y, domain and key alone, -> bool (B,).
        """
        rows = which(self if self.known is None else self.known).nonzero(as_tuple=True)[0]
        return None if len(rows) == len(self) else moved(rows, self.rows.device)

    def rows_with(self, *views: str) -> Tensor | None:
        """int64 (m,), the rows that have all these views, in order; None where every row has."""

        def which(batch: Batch) -> Tensor:
            has, *others = (batch.present[view] for view in views)
            for other in others:
                has = has & other
            return has

        if views not in self._rows_with:
            self._rows_with[views] = self.rows_where(which)
        return self._rows_with[views]

    def map(self, function) -> Batch:
        """A copy with `function` applied to every tensor (to a device, gathered over processes, ...)."""

        def walk(value):
            if isinstance(value, dict):
                return {name: walk(inner) for name, inner in value.items()}
            return value if value is None or isinstance(value, float) else function(value)

        tensors = (f.name for f in fields(self) if f.name not in HELD)
        return replace(self, known=None, _rows_with={}, **{name: walk(getattr(self, name)) for name in tensors})

    def to(self, device: torch.device) -> Batch:
        """The batch on another device; from the CPU's memory, what is known of its rows stays there too."""
        if self.rows.device == device:
            return self
        batch = self.map(lambda tensor: moved(tensor, device))
        if self.rows.device.type != "cpu" or device.type == "cpu":
            return batch
        known = Batch({}, self.present, self.rows, y=self.y, domain=self.domain, key=self.key)
        return replace(batch, known=known)

    def replace(self, **changes) -> Batch:
        """A copy with some fields changed."""
        if not changes.keys().isdisjoint(("present", "rows", "y", "domain", "key")):
            changes = {"known": None, "_rows_with": {}, **changes}
        return replace(self, **changes)


def picked(tensor: Tensor, rows: Tensor | None) -> Tensor:
    """Some rows of a tensor (B, ...), all where None. Gradients are added up in the same order either way."""
    return tensor.view_as(tensor) if rows is None else tensor[rows]
