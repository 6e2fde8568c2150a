"""The network of joined encoders; see towers/joined.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from bouba.towers.frozen import Frozen
from bouba.towers.portable import Portable, Steps, UnitRows, side_by_side
from bouba.towers.tower import Encoder

LEAST = 1e-6  # length below which features are not made longer


class JoinedEncoder(Encoder):
    """Cells -> features (B, sum of widths), those of each part with length one, computed in `prepare`."""

    def __init__(self, parts: Sequence[Frozen]):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.width = sum(part.width for part in parts)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        features = [part.prepare(cells)["features"] for part in self.parts]  # type: ignore[operator]
        return {"features": torch.cat([nn.functional.normalize(each, eps=LEAST) for each in features], dim=1)}

    def portable(self) -> Portable:
        parts = [part.portable_features() for part in self.parts]  # type: ignore[operator]
        return side_by_side([replace(part, network=Steps(part.network, UnitRows(LEAST))) for part in parts])

    def forward(self, features: Tensor) -> Tensor:
        return features
