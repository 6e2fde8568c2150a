"""Condition and noise -> an item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from bouba.nn.decoder import decoder_for


class VectorGenerator(nn.Module):
    """Conditions and noise (B, dim) -> vectors (B, width): `depth` hidden layers, each normalised."""

    def __init__(self, dim: int, width: int, *, hidden: int, depth: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise([dim, *[hidden] * depth]):
            layers += [nn.Linear(inside, outside), nn.LayerNorm(outside), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, width))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


def generator_for(dim: int, shape: Sequence[int], *, hidden: int, depth: int) -> nn.Module:
    """A generator of items of some shape; of pictures, or of vectors at depth 1, a plain decoder."""
    if len(shape) == 3 or depth == 1:
        return decoder_for(dim, shape, hidden=hidden)
    return VectorGenerator(dim, math.prod(shape), hidden=hidden, depth=depth)
