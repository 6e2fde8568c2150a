"""Sinkhorn's plan between two sets that are shared out evenly."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def log_sinkhorn(affinity: Tensor, sharpness: float, *, steps: int = 500) -> Tensor:
    """log P (n, m), P = diag(u) exp(affinity / sharpness) diag(v), rows of sum 1/n and columns of sum 1/m.

    It is the plan that maximises <P, affinity> + sharpness * entropy(P), solved over logarithms.

    Args:
        affinity: (n, m). sharpness: epsilon, above 0. steps: at most; it ends where
            sums are right to some roundings.

    Reference: Cuturi 2013, Sinkhorn Distances.

    >>> log_sinkhorn(torch.eye(2), 0.1).exp().round(decimals=3)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    n, m = affinity.shape
    log_kernel = affinity / sharpness
    v = affinity.new_zeros(m)
    enough = 16 * torch.finfo(affinity.dtype).eps
    for _ in range(steps):
        u = -math.log(n) - (log_kernel + v).logsumexp(1)
        new = -math.log(m) - (log_kernel + u[:, None]).logsumexp(0)
        moved = (new - v).abs().max()
        v = new
        if moved < enough:
            break
    u = -math.log(n) - (log_kernel + v).logsumexp(1)
    return log_kernel + u[:, None] + v
