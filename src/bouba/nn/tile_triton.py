# ruff: noqa: PLR0913 - a kernel takes each number and each table by itself
"""What is done with a tile of a table of pairs on a GPU, in Triton: each number is read once.

A program has a block of BLOCK_ROWS x BLOCK_COLUMNS numbers. What it adds to the sums of its rows and columns goes into
tables with a line a block, which are added up afterwards. The functions are those of `tile_torch`, described there.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from bouba.nn.tile_torch import FAINTEST, LOWEST, OfDistances, Sums, Tile

BLOCK_ROWS, BLOCK_COLUMNS, WARPS = 64, 128, 8  # 32 numbers a thread; 64 would spill registers
NEAR = 0.01  # of |a|^2 + |b|^2: a smaller squared distance has lost digits


@triton.jit
def _block(m, n, rows: tl.constexpr, columns: tl.constexpr):
    """Its rows, its columns, which of its numbers there are, where the first stands, and the others from there."""
    i, j = tl.program_id(0), tl.program_id(1)
    of_rows, of_columns = tl.arange(0, rows), tl.arange(0, columns)
    r, c = i * rows + of_rows, j * columns + of_columns
    inside = (r < m)[:, None] & (c < n)[None, :]
    first = (i * rows).to(tl.int64) * n + j * columns
    return r, c, inside, first, of_rows[:, None] * n + of_columns[None, :]


@triton.jit
def _counted(r, c, m, n, offset, row_codes, column_codes, has_codes: tl.constexpr):
    """Where codes differ, or what is off the diagonal."""
    if has_codes:
        of_rows = tl.load(row_codes + r, mask=r < m, other=0)
        of_columns = tl.load(column_codes + c, mask=c < n, other=0)
        counted = of_rows[:, None] != of_columns[None, :]
    else:
        counted = (r + offset)[:, None] != c[None, :]
    return counted


@triton.jit
def _distances(products, counted, r, c, m, n, points_a, points_b, squares_a, squares_b, width, near):
    """||a - b|| of a block; made anew from differences where a pair that counts lies too near for expanded squares."""
    of_rows = tl.load(squares_a + r, mask=r < m, other=0.0)
    of_columns = tl.load(squares_b + c, mask=c < n, other=0.0)
    squares = tl.maximum(of_rows[:, None] + of_columns[None, :] - 2 * products, 0.0)
    nearest = tl.min(tl.where(counted, squares, float("inf")))
    if nearest < near * (tl.max(of_rows) + tl.max(of_columns)):
        squares = tl.zeros_like(squares)
        for k in range(width):
            a = tl.load(points_a + r.to(tl.int64) * width + k, mask=r < m, other=0.0)
            b = tl.load(points_b + c.to(tl.int64) * width + k, mask=c < n, other=0.0)
            difference = a[:, None] - b[None, :]
            squares += difference * difference
    return tl.sqrt(squares)


@triton.jit
def _sums_kernel(
    products, scale, row_codes, column_codes, points_a, points_b, squares_a, squares_b, row_top, row_sum, column_top,
    column_sum, m, n, width, offset, near, has_codes: tl.constexpr, euclidean: tl.constexpr, rows: tl.constexpr,
    columns: tl.constexpr,
):  # fmt: skip
    r, c, inside, first, at = _block(m, n, rows, columns)
    x = tl.load(products + first + at, mask=inside, other=0.0)
    counted = inside & _counted(r, c, m, n, offset, row_codes, column_codes, has_codes)
    factor = tl.load(scale)
    if euclidean:
        x = _distances(x, counted, r, c, m, n, points_a, points_b, squares_a, squares_b, width, near)
        factor = -factor
    s = tl.where(counted, factor * x, float("-inf"))
    top_r, top_c = tl.max(s, 1), tl.max(s, 0)
    safe_r, safe_c = tl.where(top_r == float("-inf"), 0.0, top_r), tl.where(top_c == float("-inf"), 0.0, top_c)
    i, j = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    tl.store(row_top + j * m + r, top_r, mask=r < m)
    tl.store(row_sum + j * m + r, tl.sum(tl.exp(s - safe_r[:, None]), 1), mask=r < m)
    tl.store(column_top + i * n + c, top_c, mask=c < n)
    tl.store(column_sum + i * n + c, tl.sum(tl.exp(s - safe_c[None, :]), 0), mask=c < n)


@triton.jit
def _merge_kernel(
    row_total, row_top, row_sum, row_lines, m, column_total, column_top, column_sum, column_lines, n,
    block: tl.constexpr, together: tl.constexpr,
):  # fmt: skip
    """row_total (m,) becomes log(e^row_total + sum over lines of row_sum e^row_top), and so column_total (n,)."""
    if tl.program_id(1) == 0:
        _merge(row_total, row_top, row_sum, row_lines, m, block, together)
    else:
        _merge(column_total, column_top, column_sum, column_lines, n, block, together)


@triton.jit
def _merge(total, tops, sums, lines, m, block: tl.constexpr, together: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    top = tl.load(total + at, mask=at < m, other=float("-inf"))
    weight = tl.where(top == float("-inf"), 0.0, 1.0)
    for first in range(0, lines, together):
        line = first + tl.arange(0, together)
        inside = (line < lines)[:, None] & (at < m)[None, :]
        place = line[:, None].to(tl.int64) * m + at[None, :]
        tops_here = tl.load(tops + place, mask=inside, other=float("-inf"))
        sums_here = tl.load(sums + place, mask=inside, other=0.0)
        higher = tl.maximum(top, tl.max(tops_here, 0))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        weight = weight * tl.exp(top - safe) + tl.sum(sums_here * tl.exp(tops_here - safe[None, :]), 0)
        top = higher
    tl.store(total + at, tl.where(weight > 0, top + tl.log(tl.maximum(weight, 1e-38)), float("-inf")), mask=at < m)


@triton.jit
def _gradient_kernel(
    products, scale, row_codes, column_codes, points_a, points_b, squares_a, squares_b, row_total, row_outer,
    column_total, column_outer, largest, out, of_rows, of_columns, of_scale, m, n, width, offset, near,
    has_codes: tl.constexpr, euclidean: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    r, c, inside, first, at = _block(m, n, rows, columns)
    x = tl.load(products + first + at, mask=inside, other=0.0)
    counted = inside & _counted(r, c, m, n, offset, row_codes, column_codes, has_codes)
    factor = tl.load(scale)
    if euclidean:
        x = _distances(x, counted, r, c, m, n, points_a, points_b, squares_a, squares_b, width, near)
        factor = -factor
    s = tl.where(counted, factor * x, float("-inf"))
    total_r, outer_r = tl.load(row_total + r, mask=r < m, other=0.0), tl.load(row_outer + r, mask=r < m, other=0.0)
    total_c, outer_c = (
        tl.load(column_total + c, mask=c < n, other=0.0),
        tl.load(column_outer + c, mask=c < n, other=0.0),
    )
    total_r = tl.where(total_r == float("-inf"), float("inf"), total_r)  # of an empty row no pair counts
    total_c = tl.where(total_c == float("-inf"), float("inf"), total_c)
    share = 1 / tl.load(largest)
    g = (outer_r * share)[:, None] * tl.exp(s - total_r[:, None])
    g += (outer_c * share)[None, :] * tl.exp(s - total_c[None, :])
    if euclidean:
        i, j = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
        tl.store(of_scale + i * tl.num_programs(1) + j, tl.sum(g * x))
        g = tl.where(x > 0, g / tl.where(x > 0, x, 1.0), 0.0)
        tl.store(of_rows + j * m + r, tl.sum(g, 1), mask=r < m)
        tl.store(of_columns + i * n + c, tl.sum(g, 0), mask=c < n)
    tl.store(out + first + at, g.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _softplus_kernel(
    products, scale, bias, row_codes, column_codes, out, totals, slopes, m, n, offset, lowest,
    has_codes: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    r, c, inside, first, at = _block(m, n, rows, columns)
    x = tl.load(products + first + at, mask=inside, other=0.0)
    counted = inside & _counted(r, c, m, n, offset, row_codes, column_codes, has_codes)
    x = tl.maximum(tl.load(scale) * x + tl.load(bias), lowest)
    e = tl.exp(-tl.abs(x))
    series = e * (1 - e * (1 / 2 - e * (1 / 3 - e * (1 / 4 - e * (1 / 5 - e / 6)))))
    log_one_plus_e = tl.where(e < 1 / 32, series, tl.log(1 + e))  # the logarithm is exact to 1e-7 only, absolutely
    value = tl.where(counted, tl.maximum(x, 0.0) + log_one_plus_e, 0.0)
    slope = tl.where(counted, tl.where(x > 0, 1.0, e) / (1 + e), 0.0)
    place = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    tl.store(totals + place, tl.sum(value))
    tl.store(slopes + place, tl.sum(slope))
    tl.store(out + first + at, slope.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _gaussians_kernel(
    products, half_rows, half_columns, rates, out, totals, of_rows, of_columns, m, n, offset, faintest,
    count: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    r, c, inside, first, at = _block(m, n, rows, columns)
    x = tl.load(products + first + at, mask=inside, other=0.0)
    off_diagonal = (r + offset)[:, None] != c[None, :]
    half_r, half_c = tl.load(half_rows + r, mask=r < m, other=0.0), tl.load(half_columns + c, mask=c < n, other=0.0)
    e = tl.where(off_diagonal, tl.minimum(x - half_r[:, None] - half_c[None, :], 0.0), 0.0)
    value, slope = tl.zeros_like(e), tl.zeros_like(e)
    for k in range(count):
        rate = tl.load(rates + k)
        kernel = tl.where(rate * e < faintest, 0.0, tl.exp(rate * e))
        value += kernel
        slope += rate * kernel
    i, j = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    tl.store(totals + i * tl.num_programs(1) + j, tl.sum(tl.where(inside, value, 0.0)))
    slope = tl.where(inside & off_diagonal, slope, 0.0).to(out.dtype.element_ty)
    tl.store(out + first + at, slope, mask=inside)
    slope = slope.to(tl.float32)
    tl.store(of_rows + j * m + r, tl.sum(slope, 1), mask=r < m)
    tl.store(of_columns + i * n + c, tl.sum(slope, 0), mask=c < n)


def _grid(tile: Tile) -> tuple[int, int]:
    m, n = tile.products.shape
    return triton.cdiv(m, BLOCK_ROWS), triton.cdiv(n, BLOCK_COLUMNS)


def _lines(tile: Tile, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """Tables for what each block has of the rows, and of the columns: `count` of each."""
    (of_rows, of_columns), (m, n) = _grid(tile), tile.products.shape
    by_row = tile.products.new_empty(count, of_columns, m, dtype=torch.float32)
    by_column = tile.products.new_empty(count, of_rows, n, dtype=torch.float32)
    return list(by_row), list(by_column)


def _codes(tile: Tile) -> tuple[Tensor, Tensor]:
    """Of rows and columns; anything where there are none, which is not read."""
    if tile.row_codes is None or tile.column_codes is None:
        return tile.products, tile.products
    return tile.row_codes, tile.column_codes


def _points(tile: Tile) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Of rows and columns, their squared lengths and their width; anything where there are none."""
    if tile.rows is None or tile.columns is None:
        return (tile.products,) * 4 + (0,)
    a, b = tile.rows.contiguous(), tile.columns.contiguous()
    return a, b, a.square().sum(1), b.square().sum(1), a.shape[1]


def add_sums(tile: Tile, scale: Tensor, rows: Tensor, columns: Tensor | None) -> None:
    m, n = tile.products.shape
    (row_top, row_sum), (column_top, column_sum) = _lines(tile, 2)
    *points, width = _points(tile)
    _sums_kernel[_grid(tile)](
        tile.products, scale, *_codes(tile), *points, row_top, row_sum, column_top, column_sum, m, n, width,
        tile.first_row - tile.first_column, NEAR, tile.row_codes is not None, tile.rows is not None, BLOCK_ROWS,
        BLOCK_COLUMNS, num_warps=WARPS,
    )  # fmt: skip
    grid = triton.cdiv(m if columns is None else max(m, n), 64), 1 if columns is None else 2
    of_columns = (rows if columns is None else columns), column_top, column_sum, len(column_top), n
    _merge_kernel[grid](rows, row_top, row_sum, len(row_top), m, *of_columns, 64, 32)


def gradient(
    tile: Tile, scale: Tensor, rows: Sums, columns: Sums, largest: Tensor, dtype: torch.dtype
) -> tuple[Tensor, OfDistances | None]:
    m, n = tile.products.shape
    out = tile.products.new_empty(m, n, dtype=dtype)
    euclidean = tile.rows is not None
    ([of_rows], [of_columns]), of_scale = _lines(tile, 1) if euclidean else ([out], [out]), out
    if euclidean:
        of_scale = tile.products.new_empty(_grid(tile))
    *points, width = _points(tile)
    _gradient_kernel[_grid(tile)](
        tile.products, scale, *_codes(tile), *points, rows.total, rows.outer, columns.total, columns.outer, largest,
        out, of_rows, of_columns, of_scale, m, n, width, tile.first_row - tile.first_column, NEAR,
        tile.row_codes is not None, euclidean, BLOCK_ROWS, BLOCK_COLUMNS, num_warps=WARPS,
    )  # fmt: skip
    return out, OfDistances(of_rows.sum(0), of_columns.sum(0), of_scale.sum()) if euclidean else None


def softplus(tile: Tile, scale: Tensor, bias: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    m, n = tile.products.shape
    out, (totals, slopes) = tile.products.new_empty(m, n, dtype=dtype), tile.products.new_empty(2, *_grid(tile))
    _softplus_kernel[_grid(tile)](
        tile.products, scale, bias, *_codes(tile), out, totals, slopes, m, n, tile.first_row - tile.first_column,
        LOWEST, tile.row_codes is not None, BLOCK_ROWS, BLOCK_COLUMNS, num_warps=WARPS,
    )  # fmt: skip
    return totals.sum(), slopes.sum(), out


def gaussians(
    tile: Tile, half_rows: Tensor, half_columns: Tensor, rates: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    m, n = tile.products.shape
    out, totals = tile.products.new_empty(m, n, dtype=dtype), tile.products.new_empty(_grid(tile))
    [of_rows], [of_columns] = _lines(tile, 1)
    _gaussians_kernel[_grid(tile)](
        tile.products, half_rows, half_columns, rates, out, totals, of_rows, of_columns, m, n,
        tile.first_row - tile.first_column, FAINTEST, len(rates), BLOCK_ROWS, BLOCK_COLUMNS, num_warps=WARPS,
    )  # fmt: skip
    return totals.sum(dtype=torch.float64), out, of_rows.sum(0), of_columns.sum(0)
