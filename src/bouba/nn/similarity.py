"""Dot products and negative distances of embeddings; of unit rows a dot product is their cosine."""

from __future__ import annotations

import torch
from torch import Tensor


def row_similarity(a: Tensor, b: Tensor, *, euclidean: bool = False) -> Tensor:
    """<a, b> or -||a - b|| over the last axis, for a and b (..., D) that broadcast against each other."""
    return -(a - b).norm(dim=-1) if euclidean else torch.linalg.vecdot(a, b)


def similarity_table(a: Tensor, b: Tensor, *, euclidean: bool = False, exact: bool = False) -> Tensor:
    """<a_i, b_j> or -||a_i - b_j|| for every i and j: (I, D), (J, D) -> (I, J).

    Args:
        exact: of distances, subtract coordinates first. The expanded square |a|^2 + |b|^2 - 2 <a, b> takes a fortieth
            of the time, but errs by sqrt(eps) |a|, which is good enough to rank and too bad for a gradient.
    """
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist_if_necessary"
    return -torch.cdist(a, b, compute_mode=mode) if euclidean else a @ b.T
