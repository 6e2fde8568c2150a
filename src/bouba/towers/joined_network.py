"""The network of joined encoders; see towers/joined.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bouba.towers.frozen import Frozen
from bouba.towers.tower import Encoder


class JoinedEncoder(Encoder):
    """Cells -> features (B, sum of widths), those of each part with length one, computed in `prepare`."""

    def __init__(self, parts: Sequence[Frozen]):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.width = sum(part.width for part in parts)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        features = [part.prepare(cells)["features"] for part in self.parts]  # type: ignore[operator]
        return {"features": torch.cat([nn.functional.normalize(each, eps=1e-6) for each in features], dim=1)}

    def forward(self, features: Tensor) -> Tensor:
        return features
