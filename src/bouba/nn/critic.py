"""The critic of a GAN: one score for each item and condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from bouba.nn.decoder import LEAST


class Critic(nn.Module):
    """Score of an item x (B, p) under a condition c (B, d), large where x looks real and goes with c.

        D(x, c) = w . f(x) + b + <V c, f(x)> / sqrt(h)

    f(x) (B, h) is a stack of convolutions of stride 2 for pictures, of linear layers for vectors.

    Args:
        dim: d. shape: of an item, (channels, height, width) or (width,).
        hidden: h; convolutions end in as many channels over four.

    Reference: Miyato and Koyama 2018, cGANs with Projection Discriminator, equation 4. Departures: conditions are
    vectors instead of classes; no spectral normalisation, since the gradient penalty does its work.
    """

    def __init__(self, dim: int, shape: Sequence[int], *, hidden: int):
        super().__init__()
        self.shape = tuple(shape)
        self.features = _of_pictures(shape, hidden) if len(shape) == 3 else _of_vectors(math.prod(shape), hidden)
        self.score = nn.Linear(hidden, 1)
        self.match = nn.Linear(dim, hidden, bias=False)
        self.scale = hidden**-0.5

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Scores (B,)."""
        return self.score_features(self.item_features(x), c)

    def item_features(self, x: Tensor) -> Tensor:
        """f(x), (B, h)."""
        return self.features(x.view(len(x), *self.shape))

    def score_features(self, f: Tensor, c: Tensor) -> Tensor:
        """Scores (B,) of features f(x) (B, h) under conditions (B, d)."""
        return self.score(f)[:, 0] + self.scale * (self.match(c) * f).sum(1)


def _of_vectors(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2))


def _of_pictures(shape: Sequence[int], hidden: int) -> nn.Sequential:
    stages = max(0, math.ceil(math.log2(max(shape[1:]) / LEAST)))
    widths = [max(16, hidden // 4 // 2**stage) for stage in range(stages, -1, -1)]
    layers: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 3, padding=1), nn.LeakyReLU(0.2)]
    for inside, outside in pairwise(widths):  # each halves the side, rounding up
        layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
    places = math.prod(math.ceil(side / 2**stages) for side in shape[1:])
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * places, hidden), nn.LeakyReLU(0.2))


def gradient_penalty(critic: nn.Module, x: Tensor, c: Tensor) -> Tensor:
    """How steep a critic is at real items: mean_i |grad_x D(x_i, c_i)|^2, a scalar that can be differentiated.

    Reference: Mescheder, Geiger and Nowozin 2018, Which Training Methods for GANs do actually Converge?, equation 9
    (R1, without its factor gamma / 2).
    """
    x = x.detach().requires_grad_()
    (steepness,) = torch.autograd.grad(critic(x, c).sum(), x, create_graph=True)
    return steepness.flatten(1).square().sum(1).mean()
