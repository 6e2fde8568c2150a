"""Walking a B x B table of pairs in pieces."""

from __future__ import annotations

import torch
from torch import Tensor

from bouba.device import waits


def slices(rows: int, tile: int) -> list[slice]:
    """0 .. rows in stretches of `tile`, the last one shorter.

    >>> slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + tile, rows)) for start in range(0, rows, tile)]


def pair_codes(rows: int, key: Tensor | None, device) -> tuple[Tensor, bool]:
    """int64 (rows,), equal for two rows that are no negatives of each other; and whether different rows may be.

    Rows of equal keys share a code. A negative key is unknown: such a row is like no other.
    """
    unique = -1 - torch.arange(rows, device=device)
    has_keys = key is not None and (waits(key.device) or bool((key >= 0).any()))
    return (unique if key is None else torch.where(key < 0, unique, key)), has_keys
