"""Patches that are hidden from a network, and which numbers of a picture lie in them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GRID = 8  # patches a side, of pictures and spectrograms alike


def hidden_patches(rows: int, patches: int, share: float, device) -> Tensor:
    """bool (rows, patches): in each row a share of all patches, rounded, but one at least, and not all of two or more.
    Uses torch's generator.

    Reference: He et al. 2022, Masked Autoencoders Are Scalable Vision Learners, section 3 (random sampling).
    """
    count = min(max(1, round(share * patches)), max(1, patches - 1))
    order = torch.rand(rows, patches, device=device).argsort(1)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :count], True)


def spread_out(hidden: Tensor, height: int, width: int) -> Tensor:
    """bool (B, GRID^2) -> bool (B, height, width), each place as the patch that it lies in."""
    grid = hidden.view(-1, 1, GRID, GRID).float()
    return F.interpolate(grid, (height, width), mode="nearest")[:, 0].bool()
