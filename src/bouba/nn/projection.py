"""From an encoder's features to the shared space."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Projection(nn.Module):
    """Linear map, or a two-layer MLP when `hidden` is given: features (B, d) -> z (B, dim)."""

    lr_scale: float = 1.0
    """Its learning rate as a share of everyone's."""

    def __init__(self, width: int, dim: int, *, hidden: int | None = None, dropout: float = 0.0):
        super().__init__()
        if hidden is None:
            self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, dim))
        else:
            self.layers = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, dim),
            )

    def forward(self, features):
        return self.layers(features)

    @staticmethod
    def hidden_of(state: Mapping[str, Tensor]) -> int | None:
        """`hidden` of the projection whose state_dict this is."""
        last = state.get("layers.4.weight")
        return None if last is None else last.shape[1]

    @torch.no_grad()
    def compose(self, matrix: Tensor, shift: Tensor) -> None:
        """Make z what matrix @ z + shift was, by changing the last layer; matrix (dim, dim), shift (dim,)."""
        last: nn.Linear = self.layers[-1]  # type: ignore[assignment]
        weight, bias = last.weight.cpu().double(), last.bias.cpu().double()  # Apple's GPUs have no float64
        last.weight.copy_(matrix.cpu() @ weight)
        last.bias.copy_(matrix.cpu() @ bias + shift.cpu())
