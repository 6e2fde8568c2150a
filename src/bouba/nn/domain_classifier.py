"""The classifier of an adversarial term: the domain that an embedding comes from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WIDEST = 4096  # of an outer product; beyond it is drawn at random
DRAWN = 1024  # width of a drawn one


class Multilinear(nn.Module):
    """Embeddings and class probabilities in one vector that holds their products.

        (z, p) -> z p'  as d C numbers;  where that is over 4096:  (R_z z) * (R_p p) / sqrt(1024),  1024 numbers,

    with R_z and R_p drawn once from a normal distribution, which keeps inner products in the mean.

    Args:
        dim: d. classes: C.

    Reference: Long et al. 2018, Conditional Adversarial Domain Adaptation, equations 5 and 6.
    """

    def __init__(self, dim: int, classes: int):
        super().__init__()
        self.drawn = dim * classes > WIDEST
        self.width = DRAWN if self.drawn else dim * classes
        for name, inside in (("of_z", dim), ("of_p", classes)):
            self.register_buffer(name, torch.randn(inside, DRAWN) if self.drawn else None)

    def forward(self, z: Tensor, p: Tensor) -> Tensor:
        """z (B, d), p (B, C) -> (B, width)."""
        if not self.drawn:
            return (z[:, :, None] * p[:, None, :]).flatten(1)
        return (z @ self.of_z) * (p @ self.of_p) / math.sqrt(self.width)  # type: ignore[operator]


class DomainClassifier(nn.Module):
    """MLP with two hidden layers: directions (B, d), and class probabilities if any -> logits (B, K).

    Args:
        dim: d. domains: K. hidden: width of the hidden layers. classes: C, where it reads class probabilities.
    """

    def __init__(self, dim: int, domains: int, *, hidden: int, classes: int | None = None):
        super().__init__()
        self.joint = None if classes is None else Multilinear(dim, classes)
        width = dim if self.joint is None else self.joint.width
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, domains)
        )

    def forward(self, z: Tensor, p: Tensor | None = None) -> Tensor:
        """z (B, d), and p (B, C) where it reads class probabilities -> logits (B, K)."""
        return self.layers(z if self.joint is None else self.joint(z, p))
