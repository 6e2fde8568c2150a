"""From one embedding of a thing to another of it: what keeps twins without negatives from collapsing."""

from torch import Tensor, nn


class Predictor(nn.Module):
    """Two-layer MLP with BatchNorm between: embeddings (B, dim) -> (B, dim), B >= 2 in training.

    References: Grill et al. 2020, Bootstrap Your Own Latent, section 3.2; Chen and He 2021, Exploring Simple Siamese
    Representation Learning, section 3.
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, dim)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)
