"""Walking a B x B table of pairs in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bouba.device import waits
from bouba.nn.parts import Part


def slices(rows: int, tile: int, *, start: int = 0, seam: int = 0) -> list[slice]:
    """start .. rows in stretches of `tile`, the last one shorter, and none across the seam.

    >>> slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    >>> slices(5, 2, seam=3)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 5, None)]
    """
    if start < seam < rows:
        return slices(seam, tile, start=start) + slices(rows, tile, start=seam)
    return [slice(first, min(first + tile, rows)) for first in range(start, rows, tile)]


def walk(
    rows: int, tile: tuple[int, int], part: Part, *, symmetric: bool = False, seam: int = 0
) -> Iterator[tuple[slice, slice]]:
    """The tiles of one part of a table: rows i and columns j.

    Args:
        tile: rows and columns of a tile.
        symmetric: only what is on and above the diagonal: for each i the square (i, i), then what is right of it.
        seam: no tile lies across this row or column.

    >>> [(i.start, j.start) for i, j in walk(4, (2, 2), Part(), symmetric=True)]
    [(0, 0), (0, 2), (2, 2)]
    """
    height, width = tile
    for start, stop in part.stretches(rows, upper=symmetric):
        for i in slices(stop, height, start=start, seam=seam):
            if symmetric:
                yield i, i
            for j in slices(rows, width, start=i.stop if symmetric else 0, seam=seam):
                yield i, j


def tile_side(tile: int | None, z: Tensor, *, cpu: int = 1024) -> int:
    """`tile`, or for None one that stays in a CPU's cache, or fills another device."""
    if tile is not None:
        return tile
    return cpu if z.device.type == "cpu" else 4096


def pair_codes(rows: int, key: Tensor | None, device) -> tuple[Tensor, bool]:
    """int64 (rows,), equal for two rows that are no negatives of each other; and whether different rows may be.

    Rows of equal keys share a code. A negative key is unknown: such a row is like no other.
    """
    unique = -1 - torch.arange(rows, device=device)
    has_keys = key is not None and (waits(key.device) or bool((key >= 0).any()))
    return (unique if key is None else torch.where(key < 0, unique, key)), has_keys
