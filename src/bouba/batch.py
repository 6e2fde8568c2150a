"""The one thing that flows through training: some rows, their labels, domains and keys, and their embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

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
        twin: view -> float (B, d), the same cells embedded once more after another random change (crop, dropped
            words, ...); filled where a term reads twins.
        raw: view -> float (B, p), what a decoder of that view must give back; filled where a term reads raw views.
        predicted: label column of classes -> (B, C) log probabilities by the first term that predicts the label, with
            gradients; filled where a term reads predictions. Rows without any view hold the share of each class in
            training.
        predicted_twin: the same from the twins; filled where twins are.
        y: label column -> (B,) class codes (int64, -1 = missing) or standardised numbers (float, NaN = missing).
        domain: int64 (B,) domain codes, or None without domains.
        key: int64 (B,); equal keys are the same thing (no negatives of each other); -1 = unknown.
        progress: fraction of training done, in [0, 1]; schedules read it.
    """

    inputs: dict[str, Inputs]
    present: dict[str, Tensor]
    rows: Tensor
    z: dict[str, Tensor] = field(default_factory=dict)
    fused: Tensor | None = None
    twin: dict[str, Tensor] = field(default_factory=dict)
    raw: dict[str, Tensor] = field(default_factory=dict)
    predicted: dict[str, Tensor] = field(default_factory=dict)
    predicted_twin: dict[str, Tensor] = field(default_factory=dict)
    y: dict[str, Tensor] = field(default_factory=dict)
    domain: Tensor | None = None
    key: Tensor | None = None
    progress: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def view_counts(self) -> Tensor:
        """int64 (B,), how many views each row has."""
        return sum(self.present.values(), start=self.rows.new_zeros(len(self)))

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

    def map(self, function) -> Batch:
        """A copy with `function` applied to every tensor (to a device, gathered over processes, ...)."""

        def walk(value):
            if isinstance(value, dict):
                return {name: walk(inner) for name, inner in value.items()}
            return value if value is None or isinstance(value, float) else function(value)

        return replace(self, **{f.name: walk(getattr(self, f.name)) for f in fields(self)})

    def to(self, device) -> Batch:
        """The batch on another device."""
        return self.map(lambda tensor: tensor.to(device))

    def replace(self, **changes) -> Batch:
        """A copy with some fields changed."""
        return replace(self, **changes)
