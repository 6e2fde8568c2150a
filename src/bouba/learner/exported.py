"""What a network fuses and predicts from embeddings, as a network that can be traced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bouba.batch import Batch

if TYPE_CHECKING:
    from bouba.data.loader import Codes
    from bouba.train import Network


class FusedNetwork(nn.Module):
    """z (B, dim) of each view and which are present (B, views) -> the fused vector where views are fused, and of each
    label its probabilities (B, C), or its number (B,) in its own unit.

    Args:
        network: that learns no more. views: in order. codes: of its labels.
        temperatures: label -> what divides its log probabilities, 1 where it is not in it.
    """

    def __init__(self, network: Network, views: Sequence[str], codes: Codes, temperatures: Mapping[str, float]):
        super().__init__()
        self.network, self.views, self.codes = network, tuple(views), codes
        self.temperatures, self.labels = dict(temperatures), list(network.predicted_labels)

    @property
    def outputs(self) -> list[str]:
        """Their names, in order."""
        fused = [] if self.network.fusion is None else ["fused"]
        return [*fused, *(f"label_{place}" for place in range(len(self.labels)))]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        *z, present = inputs
        by_view = {name: present[:, place] for place, name in enumerate(self.views)}
        known = {
            name: torch.where(by_view[name][:, None], each, torch.zeros_like(each))
            for name, each in zip(self.views, z, strict=True)
        }
        batch = self.network.fuse(Batch({}, by_view, present[:, 0].long(), z=known))
        has_any = present.any(1)
        outputs = [] if batch.fused is None else [batch.fused * has_any[:, None]]
        predicted = self.network.predict(batch) if self.labels else {}
        return (*outputs, *(self._in_units(label, predicted[label], has_any) for label in self.labels))

    def _in_units(self, label: str, values: Tensor, has_any: Tensor) -> Tensor:
        """As `Heads.outputs`, but probabilities."""
        if label in self.codes.numbers:
            mean, scale = self.codes.numbers[label]
            return values * scale + mean
        calibrated = (values / self.temperatures.get(label, 1.0)).softmax(-1)
        return torch.where(has_any[:, None], calibrated, values.exp())
