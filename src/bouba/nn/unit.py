"""Rows of length one."""

import torch
from torch import Tensor


def unit_rows(z: Tensor, *, smallest: float = 1e-6) -> Tensor:
    """z / |z| for z (B, d). A row shorter than `smallest` has no direction and stays as it is: its gradient is then
    of order 1, not of order 1 / |z|, which would drown all others."""
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return z * torch.where(length < smallest, torch.ones_like(length), length).reciprocal()  # keeps less than dividing
