"""The two log-sum-exps of a contrastive loss, over everything but the positives, in memory O(tile^2 + B D).

With logits s_ij = scale * <a_i, b_j>, or -scale * ||a_i - b_j||, and N the negatives (i != j, keys differ):

    rows_i = log sum_{j: (i, j) in N} exp s_ij          cols_j = log sum_{i: (i, j) in N} exp s_ij

The B x B matrix is never held: a tile of logits is made, used for both sums, and made again on the way back (the
first 24 MB are kept instead), where its gradient G gives  grad a = scale G b,  grad b = scale G' a. Four matrix
products are all that takes time, as long as nothing else leaves the cache and no number is denormal.
Where a is b the matrix is symmetric: rows = cols, and the tiles above the diagonal serve for both, half the work.
One exponential a tile, not two: E = exp(s - m) serves rows and columns whose own maxima are near m; else two.
This is the way of a CPU; that of a GPU is in `gpu_tables`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function

from bouba.nn import gpu_tables
from bouba.nn.first_order import refuse_second
from bouba.nn.parts import Part, current_part
from bouba.nn.tiles import pair_codes, tile_side, walk

CACHED = 6 * 2**20  # logits kept for the way back: all of a batch of 2,508, which so needs three products, not four


class _Reach(NamedTuple):
    """How far from the shift m, in nats, one exponential serves; its products with weights stay normal numbers."""

    lowest: float  # s - m is clamped here: exp of a denormal result takes a hundred times longer
    below: float  # a row may lie this far under m (clamped entries then err by exp(lowest + below))
    above: float  # and this far over it
    negligible: float  # incoming gradients smaller than this part of the largest are dropped


_REACH = {
    torch.float32: _Reach(lowest=-50.0, below=20.0, above=40.0, negligible=math.exp(-27)),
    torch.float64: _Reach(lowest=-400.0, below=160.0, above=200.0, negligible=math.exp(-200)),
}


class _Side(NamedTuple):
    """Of a tile's rows, or of its columns, for the way back: each (I,)."""

    total: Tensor  # the log-sum-exp over the whole row; -inf where empty
    floor: Tensor
    outer: Tensor  # the gradient that came in, divided by a factor common to all


class _Options(NamedTuple):
    has_keys: bool  # different rows may be no negatives of each other
    euclidean: bool
    symmetric: bool  # rows and columns are the same
    tile: int
    part: Part


def off_diagonal_logsumexp(
    a: Tensor,
    b: Tensor,
    scale: Tensor,
    *,
    floor: Tensor,
    key: Tensor | None = None,
    euclidean: bool = False,
    tile: int | None = None,
    operands: torch.dtype | None = None,
) -> Tensor:
    """rows and cols as in the head of this file, with gradients to a, b and scale.

    Args:
        a, b: float32 or float64 (B, D).
        scale: scalar tensor of the same dtype; any sign, zero included.
        floor: (B,), no gradient. Row i and column i are exact relative to exp(max(value, floor_i)); -inf asks for
            full accuracy. The gradient must not exceed the order of exp(value - floor_i), as softplus's does not.
        key: int64 (B,); pairs of equal keys are excluded like the diagonal; a negative key equals no other.
        euclidean: distances instead of dot products.
        tile: side of a tile of the logits; None picks one.
        operands: what matrix products read on a GPU, see `operand_dtype`; for None, a and b as they are.

    Returns:
        (2, B), rows and cols, in nats; -inf with zero gradient where nothing is left.

    >>> a = torch.eye(3)
    >>> rows, cols = off_diagonal_logsumexp(a, a, torch.tensor(1.0), floor=torch.full((3,), -torch.inf))
    >>> rows.exp()  # two negatives each, both at logit 0
    tensor([2., 2., 2.])
    """
    symmetric = a is b and not euclidean
    if euclidean:  # distances ignore a common shift; a centred cloud loses fewer digits
        a, b = a - a.detach().mean(0), b - a.detach().mean(0)
    if gpu_tables.is_gpu(a):
        of_gpu = gpu_tables.Options.of(a, tile, operands, symmetric=symmetric, euclidean=euclidean)
        codes = None if key is None else pair_codes(len(a), key, a.device)[0]
        return gpu_tables.LogSumExp.apply(a, b, scale, codes, of_gpu)
    codes, has_keys = pair_codes(len(a), key, a.device)
    options = _Options(has_keys, euclidean, symmetric, tile_side(tile, a), current_part())
    return _OffDiagonal.apply(a, b, scale, floor.detach(), codes, options)


class _OffDiagonal(Function):
    @staticmethod
    def forward(ctx, a, b, scale, floor, codes, options):
        symmetric, tile = options.symmetric, options.tile
        cache: dict | None = {} if any(ctx.needs_input_grad) else None
        rows = torch.full_like(floor, -math.inf)
        cols = rows if symmetric else rows.clone()
        work = a.new_empty(min(len(a), tile) ** 2)
        for i, j, logits, exclude, _ in _tiles(a, b, scale, codes, options, cache):
            # what the sums hold already is a floor too: a negligible tile need not be exact
            floors = floor[i].maximum(rows[i]), floor[j].maximum(cols[j])
            row, col = _sums(logits, exclude, *floors, work[: logits.numel()].view_as(logits))
            rows[i] = rows[i].logaddexp(row)
            if not (symmetric and i == j):
                cols[j] = cols[j].logaddexp(col)
        sums = options.part.logsumexp(torch.stack([rows, cols]))
        ctx.options = options, list(cache or ())
        ctx.save_for_backward(a, b, scale, floor, codes, sums, *(cache or {}).values())
        return sums

    @staticmethod
    def backward(ctx, outer):
        refuse_second("a sum of exponentials over tiles")
        a, b, scale, floor, codes, (rows, cols), *cache = ctx.saved_tensors
        grad_rows, grad_cols = outer
        options, places = ctx.options
        euclidean, symmetric, tile = options.euclidean, options.symmetric, options.tile
        if symmetric:
            grad_rows = grad_cols = grad_rows + grad_cols
        # a solved batch has gradients near exp(-70): without a common factor G would be denormal
        factor = grad_rows.abs().amax().maximum(grad_cols.abs().amax()).clamp(min=torch.finfo(a.dtype).tiny)
        least = _REACH[a.dtype].negligible * factor
        outer, outer_cols = (torch.where(g.abs() < least, 0.0, g / factor) for g in (grad_rows, grad_cols))
        grad_a, grad_b, grad_scale = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(scale)
        grad_b = grad_a if symmetric else grad_b
        work = a.new_empty(2, min(len(a), tile) ** 2)
        for i, j, logits, exclude, distance in _tiles(a, b, scale, codes, options, dict(zip(places, cache))):
            sides = _Side(rows[i], floor[i], outer[i]), _Side(cols[j], floor[j], outer_cols[j])
            gradient = _gradient(logits, exclude, *sides, work[:, : logits.numel()].view(2, *logits.shape))
            if distance is not None:
                grad_scale -= (gradient * distance).sum()
                # d distance / d a = (a - b) / distance, and 0 at distance 0
                gradient.div_(distance).masked_fill_(distance == 0, 0.0)
                grad_a[i] -= gradient.sum(1, keepdim=True) * a[i]
                grad_b[j] -= gradient.sum(0)[:, None] * b[j]
            grad_a[i].addmm_(gradient, b[j])
            if not (symmetric and i == j):
                grad_b[j].addmm_(gradient.T, a[i])
        if not euclidean:
            grad_scale = torch.einsum("bd,bd->b", grad_a, a).sum()  # vecdot would hold another (B, D)
            grad_scale = grad_scale / 2 if symmetric else grad_scale  # grad_a holds both sides
        factor = factor * options.part.count
        grad_a.mul_(factor * scale)
        if not symmetric:
            grad_b.mul_(factor * scale)
        return grad_a, None if symmetric else grad_b, grad_scale * factor, None, None, None


def _tiles(a, b, scale, codes, options, cache) -> Iterator:
    """Per tile i, j, logits (I, J), exclude (fills what is no negative with a number), distance (or None).
    Tiles that have no room in `cache` share one buffer: use one before asking for the next."""
    _, euclidean, symmetric, tile, part = options
    buffer, row = a.new_empty(min(len(a), tile) ** 2), slice(0, 0)
    for i, j in walk(len(a), (tile, tile), part, symmetric=symmetric):
        if i != row:
            row, left = i, a[i] if euclidean else scale * a[i]
        exclude = _exclusion(codes, i, j, options.has_keys)
        shape = i.stop - i.start, j.stop - j.start
        table = None if cache is None else cache.get((i.start, j.start))
        if table is None:
            has_room = cache is not None and sum(map(torch.numel, cache.values())) + math.prod(shape) <= CACHED
            table = a.new_empty(shape) if has_room else buffer[: math.prod(shape)].view(shape)
            _distances(left, b[j], exclude, out=table) if euclidean else torch.mm(left, b[j].T, out=table)
            if has_room:
                cache[i.start, j.start] = table
        yield (i, j, -scale * table, exclude, table) if euclidean else (i, j, table, exclude, None)


def _exclusion(codes, i: slice, j: slice, has_keys: bool) -> Callable[[Tensor, float], Tensor]:
    """In place, a tile with a number where the codes are equal; without known keys that is the table's diagonal."""
    if has_keys:
        same = codes[i, None] == codes[j]  # (I, J)
        return lambda tile, number: tile.masked_fill_(same, number)

    def exclude(tile: Tensor, number: float) -> Tensor:
        tile.diagonal(i.start - j.start).fill_(number)
        return tile

    meets_diagonal = i.start < j.stop and j.start < i.stop
    return exclude if meets_diagonal else lambda tile, number: tile


def _distances(a, b, exclude, out) -> None:
    """||a_i - b_j||; finite but meaningless where excluded."""
    squares_a, squares_b = a.square().sum(1), b.square().sum(1)
    far = squares_a.amax() + squares_b.amax()
    torch.mm(a, b.T, out=out).mul_(-2).add_(squares_a[:, None]).add_(squares_b).clamp_(min=0)
    exclude(out, far.item())
    near = out.amin() < 0.01 * far  # such pairs lose their digits in the expanded square: take the slow way, 40x
    out.copy_(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")) if near else out.sqrt_()


def _exp(logits, shift, exclude, out) -> Tensor:
    """exp(logits - shift), 0 where excluded."""
    return exclude(torch.sub(logits, shift, out=out).clamp_(min=_REACH[logits.dtype].lowest).exp_(), 0.0)


def _sums(logits, exclude, row_floor, col_floor, work) -> tuple[Tensor, Tensor]:
    """One tile's log-sum-exp over its rows and over its columns."""
    exclude(logits, -math.inf)
    row_max, col_max = logits.amax(1), logits.amax(0)
    top, maxima = row_max.amax(), torch.cat([row_max, col_max])
    nearest = maxima.maximum(torch.cat([row_floor, col_floor])).masked_fill(maxima.isneginf(), math.inf)
    if top - nearest.amin() <= _REACH[logits.dtype].below:  # an empty row or column asks for nothing
        top = top.nan_to_num(neginf=0.0)
        shares = _exp(logits, top, exclude, out=work)
        return shares.sum(1).log_().add_(top), shares.sum(0).log_().add_(top)
    row_max, col_max = (x.masked_fill(x.isneginf(), 0.0) for x in (row_max, col_max))
    row = _exp(logits, row_max[:, None], exclude, out=work).sum(1).log_().add_(row_max)
    return row, _exp(logits, col_max, exclude, out=work).sum(0).log_().add_(col_max)


def _gradient(logits, exclude, rows: _Side, cols: _Side, work) -> Tensor:
    """G_ij = g_i exp(s_ij - rows_i) + g_j exp(s_ij - cols_j), and 0 where excluded."""
    reach = _REACH[logits.dtype]
    row_total, col_total = (side.total.masked_fill(side.total.isneginf(), math.inf) for side in (rows, cols))
    low = torch.minimum(row_total.maximum(rows.floor).amin(), col_total.maximum(cols.floor).amin())
    high = torch.minimum(rows.total.amax(), cols.total.amax())  # no logit of the tile is larger
    shift = high.minimum(low + reach.below)
    if high - shift <= reach.above:
        u = rows.outer * (shift - row_total).clamp(max=-reach.lowest).exp()
        v = cols.outer * (shift - col_total).clamp(max=-reach.lowest).exp()
        return _exp(logits, shift, exclude, out=work[0]).mul_(torch.add(u[:, None], v, out=work[1]))
    by_row = _exp(logits, row_total[:, None], exclude, out=work[0]).mul_(rows.outer[:, None])
    return _exp(logits, col_total, exclude, out=work[1]).mul_(cols.outer).add_(by_row)
