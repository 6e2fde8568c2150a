"""From the shared space back to a view."""

from torch import nn


class Decoder(nn.Module):
    """Two-layer MLP: embeddings (B, dim) -> raw view (B, width)."""

    def __init__(self, dim: int, width: int, *, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, z):
        return self.layers(z)
