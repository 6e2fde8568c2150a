"""What is done with a tile of a table of pairs on a GPU, in plain torch: for where Triton is missing.

Nothing here waits for the device. `tile_triton` has the same functions and reads each tile once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LOWEST = -60.0
"""Logits of `softplus` are clamped here."""
FAINTEST = -40.0
"""Below exp of this a Gaussian kernel counts as 0."""


class Tile(NamedTuple):
    """Products of some rows and some columns, and which pairs count."""

    products: Tensor  # (I, J), <a_i, b_j>, at least float32; it may be written to where nothing else is said
    first_row: int
    first_column: int
    row_codes: Tensor | None = None  # int64 (I,): pairs of equal codes do not count; None: those of the diagonal
    column_codes: Tensor | None = None  # int64 (J,)
    rows: Tensor | None = None  # (I, D): logits are -scale times distances of these
    columns: Tensor | None = None  # (J, D)


class Sums(NamedTuple):
    """Of a tile's rows or columns, for the way back: each (I,)."""

    total: Tensor  # the log-sum-exp over the whole row; -inf where empty
    outer: Tensor  # the gradient that came in


class OfDistances(NamedTuple):
    """What distances add to a gradient G, where G' = G / distance, 0 at distance 0."""

    of_rows: Tensor  # (I,), sum_j G'
    of_columns: Tensor  # (J,), sum_i G'
    of_scale: Tensor  # scalar, sum G * distance


def add_sums(tile: Tile, scale: Tensor, rows: Tensor, columns: Tensor | None) -> None:
    """Take a tile's logits into the log-sum-exps of its rows (I,) and, if given, of its columns (J,), in place."""
    logits, _ = _logits(tile, scale)
    rows.copy_(torch.logaddexp(rows, logits.logsumexp(1)))
    if columns is not None:
        columns.copy_(torch.logaddexp(columns, logits.logsumexp(0)))


def gradient(
    tile: Tile, scale: Tensor, rows: Sums, columns: Sums, largest: Tensor, dtype: torch.dtype
) -> tuple[Tensor, OfDistances | None]:
    """G (I, J) of a tile, in `dtype`, divided by the largest incoming gradient; of distances G' and what goes with it.

    G_ij = g_i exp(s_ij - rows_i) + g_j exp(s_ij - columns_j), and 0 where pairs do not count.
    """
    logits, distance = _logits(tile, scale)
    of_row, of_column = (total.masked_fill(total.isneginf(), torch.inf) for total in (rows.total, columns.total))
    by_row = (logits - of_row[:, None]).exp_().mul_((rows.outer / largest)[:, None])
    g = logits.sub_(of_column).exp_().mul_(columns.outer / largest).add_(by_row)
    if distance is None:
        return g.to(dtype), None
    of_scale = (g * distance).sum()
    g = torch.where(distance > 0, g / distance, 0.0)
    return g.to(dtype), OfDistances(g.sum(1), g.sum(0), of_scale)


def softplus(tile: Tile, scale: Tensor, bias: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Of x = scale * products + bias: the sum of log(1 + e^x), the sum of its slopes, and those (I, J) in `dtype`."""
    x = _excluding(tile, (tile.products * scale).add_(bias).clamp_(min=LOWEST), -torch.inf)
    slopes = x.sigmoid()
    return F.softplus(x, threshold=40.0).sum(), slopes.sum(), slopes.to(dtype)


def gaussians(
    tile: Tile, half_rows: Tensor, half_columns: Tensor, rates: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of e = products - |x_i|^2 / 2 - |x_j|^2 / 2: the sum of exp(rate e) over pairs and rates; the sum of
    rate * exp(rate e) over rates, (I, J) in `dtype`, and its sums over columns (I,) and rows (J,).

    The diagonal has e = 0 and no gradient.
    """
    e = _excluding(tile, (tile.products - half_rows[:, None]).sub_(half_columns).clamp_(max=0.0), 0.0)
    total, slopes = e.new_zeros((), dtype=torch.float64), torch.zeros_like(e)
    for rate in rates.unbind():
        power = e * rate
        kernel = torch.where(power < FAINTEST, 0.0, power.exp())
        total += kernel.sum(dtype=torch.float64)
        slopes.addcmul_(kernel, rate)
    slopes = _excluding(tile, slopes, 0.0).to(dtype)
    exact = slopes.to(e.dtype)
    return total, slopes, exact.sum(1), exact.sum(0)


def _logits(tile: Tile, scale: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits, -inf where pairs do not count, and distances if logits are made of them."""
    if tile.rows is None or tile.columns is None:
        return _excluding(tile, tile.products * scale, -torch.inf), None
    distance = torch.cdist(tile.rows, tile.columns, compute_mode="donot_use_mm_for_euclid_dist")
    return _excluding(tile, -scale * distance, -torch.inf), distance


def _excluding(tile: Tile, numbers: Tensor, value: float) -> Tensor:
    """A number where pairs do not count, in place."""
    if tile.row_codes is not None and tile.column_codes is not None:
        return numbers.masked_fill_(tile.row_codes[:, None] == tile.column_codes, value)
    numbers.diagonal(tile.first_row - tile.first_column).fill_(value)
    return numbers
