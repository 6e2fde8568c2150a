"""How likely a view is, given a code: a decoder, and the distribution around what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.errors import UsageError, nearest
from bouba.nn.decoder import decoder_for
from bouba.nn.pixels import light, standardised

FAMILIES = ("gaussian", "laplace", "bernoulli")


class _Scale(nn.Module):
    """The logarithm of a deviation, one number for a whole view."""

    lr_scale = 10.0  # it has far to go, in steps of about the learning rate

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(()))


class Likelihood(nn.Module):
    """log p(x | z) of raw views x (B, p) under codes z (B, k), in nats, summed over the p numbers.

        gaussian    sum_j  -(x_j - g_j(z))^2 / (2 s^2) - log s - log(2 pi) / 2
        laplace     sum_j  -|x_j - g_j(z)| / s - log(2 s)
        bernoulli   sum_j  t_j log sigmoid(g_j(z)) + (1 - t_j) log sigmoid(-g_j(z)),   t the light of pixels in [0, 1]

    Laplace forgives single pixels and looks sharper; Bernoulli is for pictures that are black and white; Gaussian for
    numbers. A scale that is trained weighs views against each other and against the prior by how well each can be
    decoded (Rybkin et al. 2021); a fixed one that is larger gives simpler codes, on which views agree more.

    Args:
        dim: k. shape: of a raw view, (channels, height, width) or (p,). hidden: of the decoder.
        family: one of FAMILIES; None for laplace of pictures and gaussian of all else.
        scale: s, in raw units (1 is about the deviation of a number); trained, from 1, when None.

    References: Kingma and Welling 2014, Auto-Encoding Variational Bayes, appendix C; Rybkin et al. 2021, Simple and
    Effective VAE Training with Calibrated Decoders, section 3.2 (one trained scale a view).
    """

    def __init__(
        self, dim: int, shape: Sequence[int], *, hidden: int, family: str | None = None, scale: float | None = None
    ):
        super().__init__()
        self.family = family or ("laplace" if len(shape) == 3 else "gaussian")
        check_family(self.family, shape)
        self.decoder = decoder_for(dim, shape, hidden=hidden)
        self.fixed = scale
        self.scale = _Scale() if scale is None and self.family != "bernoulli" else None

    @property
    def log_scale(self) -> Tensor | float:
        """log s; 0 of bernoulli, which has none."""
        if self.scale is not None:
            return self.scale.log
        return math.log(self.fixed or 1.0)

    def mean(self, z: Tensor) -> Tensor:
        """The raw view in the middle of the distribution, (B, p)."""
        decoded = self.decoder(z)
        return standardised(decoded.sigmoid()) if self.family == "bernoulli" else decoded

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x | z), (B,)."""
        decoded = self.decoder(z).float() if z.dtype != torch.float64 else self.decoder(z)
        if self.family == "bernoulli":
            return -F.binary_cross_entropy_with_logits(decoded, light(x).clamp(0, 1), reduction="none").sum(1)
        log_scale = torch.as_tensor(self.log_scale, dtype=decoded.dtype, device=decoded.device)
        off = (x - decoded) * (-log_scale).exp()
        if self.family == "laplace":
            return -(off.abs() + log_scale + math.log(2)).sum(1)
        return -(off.square() / 2 + log_scale + math.log(2 * math.pi) / 2).sum(1)


def check_family(family: str, shape: Sequence[int]) -> None:
    """UsageError for no distribution, or one that does not suit the view."""
    if family not in FAMILIES:
        raise UsageError(f"no likelihood {family!r}{nearest(family, FAMILIES)}")
    if family == "bernoulli" and len(shape) != 3:
        raise UsageError("bernoulli is the likelihood of pictures; take gaussian or laplace for other views")
