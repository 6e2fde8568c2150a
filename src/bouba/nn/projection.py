"""From an encoder's features to the shared space."""

from torch import nn


class Projection(nn.Module):
    """Linear map, or a two-layer MLP when `hidden` is given: features (B, d) -> z (B, dim)."""

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
