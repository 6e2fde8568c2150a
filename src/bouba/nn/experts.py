"""Gaussian beliefs about the code of a row: one of each view, and what they say together.

An embedding of 2k numbers is the belief of one view about k numbers: the mean, then the logarithm of the variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError, nearest
from bouba.nn.fusion import Fusion

KINDS = ("product", "mixture", "mopoe", "mvtcae")
MOST_LOG_VARIANCE = 10.0  # either way: exp(10) is as good as knowing nothing


def belief(z: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings (..., 2k) as mean and log-variance (..., k), of at least float32."""
    mean, log_variance = z.to(torch.promote_types(z.dtype, torch.float32)).chunk(2, -1)
    return mean, log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)


def product(mean: Tensor, log_variance: Tensor, present: Tensor, *, prior: bool) -> tuple[Tensor, Tensor]:
    """The normalised product of the Gaussians of the views that are present: precisions add up.

        q(z) ~ prod_v N(z; m_v, s_v^2)  [N(z; 0, 1)],    1 / s^2 = sum_v 1 / s_v^2 [+ 1],   m = s^2 sum_v m_v / s_v^2

    Args:
        mean, log_variance: (..., V, k). present: bool (..., V). prior: whether N(0, 1) is one of the factors.

    Returns:
        mean and log-variance (..., k); of N(0, 1) where no view is present.
    """
    here = present[..., None]
    precision = torch.where(here, (-log_variance).exp(), 0)
    total = precision.sum(-2)
    total = total + 1 if prior else torch.where(here.any(-2), total, 1)
    return (precision * torch.where(here, mean, 0)).sum(-2) / total, -total.log()


def divergence(
    mean: Tensor, log_variance: Tensor, of_mean: Tensor | float = 0.0, of_log: Tensor | float = 0.0
) -> Tensor:
    """KL(N(mean, .) || N(of_mean, .)) in nats, summed over the last dimension; from N(0, 1) by default."""
    of_log = torch.as_tensor(of_log, dtype=mean.dtype, device=mean.device)
    spread = (log_variance - of_log).exp() + (mean - of_mean).square() * (-of_log).exp()
    return (spread - 1 - log_variance + of_log).sum(-1) / 2


def log_density(z: Tensor, mean: Tensor | float = 0.0, log_variance: Tensor | float = 0.0) -> Tensor:
    """log N(z; mean, exp(log_variance)) in nats, summed over the last dimension."""
    log_variance = torch.as_tensor(log_variance, dtype=z.dtype, device=z.device)
    squared = (z - mean).square() * (-log_variance).exp()
    return -(squared + log_variance + math.log(2 * math.pi)).sum(-1) / 2


class _Experts(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        mean, log_variance = belief(z)
        if self.kind != "mixture":
            return product(mean, log_variance, present, prior=self.kind == "product")[0]
        return torch.where(present[:, :, None], mean, 0).sum(1) / present.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Experts(Fusion):
    """The mean of what the views that are present believe together: the code of a MultimodalVAE. Nothing is trained.

    Args:
        kind: as in ELBO: "product" with the prior, "mixture" (the mean of the means), "mopoe" and "mvtcae" (the product
            of all that is present, without the prior). drop: not used by ELBO, which reads each view's belief itself.
    """

    kind: str = "product"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_experts(self.kind)

    def embedding_width(self, dim: int) -> int:
        """A mean and a log-variance for each number of the code."""
        return 2 * dim

    def build(self, views: int, dim: int) -> nn.Module:
        return _Experts(self.kind)


def check_experts(kind: str) -> None:
    """UsageError unless it is one of KINDS."""
    if kind not in KINDS:
        raise UsageError(f"no experts {kind!r}{nearest(kind, KINDS)}")
