"""The two log-sum-exps of a contrastive loss, over everything but the positives, in memory O(tile^2 + B D).

With logits s_ij = scale * <a_i, b_j>, or -scale * ||a_i - b_j||, and N the pairs that count as negatives (i != j,
and not the same key):

    rows_i = log sum_{j: (i, j) in N} exp s_ij          cols_j = log sum_{i: (i, j) in N} exp s_ij

The B x B matrix is never held: a tile of logits is made, used for both sums, and made again on the way back,
where its gradient G gives  grad a = scale G b,  grad b = scale G' a. Four matrix products are all the arithmetic
that matters, as long as nothing else goes through main memory and no number is denormal (a hundred times slower).

Departure from the textbook: one exponential a tile instead of two. E = exp(s - m) with one m serves the rows and
the columns wherever their own maxima are near enough to m; where they are not, each side gets its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _Reach(NamedTuple):
    """How far from the shift m, in nats, a dtype's exponential serves; products with weights stay normal."""

    lowest: float  # s - m is clamped here: nothing becomes denormal
    below: float  # rows may lie this far under m: a clamped entry errs by exp(lowest + below)
    above: float  # and this far over it
    negligible: float  # incoming gradients smaller than this part of the largest are dropped


_REACH = {
    torch.float32: _Reach(lowest=-50.0, below=20.0, above=40.0, negligible=math.exp(-27)),
    torch.float64: _Reach(lowest=-400.0, below=160.0, above=200.0, negligible=math.exp(-200)),
}


class _Tile(NamedTuple):
    i: slice
    j: slice
    logits: Tensor  # (I, J), to be overwritten; -inf is not set on excluded pairs
    excluded: Tensor | None  # bool (I, J), or None where every pair counts
    distance: Tensor | None  # (I, J) for euclidean logits


def off_diagonal_logsumexp(
    a: Tensor,
    b: Tensor,
    scale: Tensor,
    *,
    floor: Tensor,
    key: Tensor | None = None,
    euclidean: bool = False,
    tile: int = 1024,
) -> tuple[Tensor, Tensor]:
    """rows and cols as in the head of this file, with gradients to a, b and scale.

    Args:
        a, b: float32 or float64 (B, D).
        scale: scalar tensor of the same dtype; any sign, zero included.
        floor: (B,), no gradient. Row i and column i are accurate relative to exp(max(value, floor_i)); -inf asks
            for full accuracy. The gradient that comes back must not exceed the order of exp(value - floor_i),
            which holds for softplus(value - floor_i).
        key: int64 (B,); pairs of equal keys are excluded like the diagonal; a negative key equals no other.
        euclidean: distances instead of dot products.
        tile: side of a tile of the logits.

    Returns:
        rows (B,) and cols (B,), in nats; -inf with zero gradient where nothing is left.

    >>> a = torch.eye(3)
    >>> rows, cols = off_diagonal_logsumexp(a, a, torch.tensor(1.0), floor=torch.full((3,), -torch.inf))
    >>> rows.exp()  # two negatives each, both at logit 0
    tensor([2.0000, 2.0000, 2.0000])
    """
    if euclidean:  # distances ignore a common shift; a centred cloud loses fewer digits
        centre = a.detach().mean(0)
        a, b = a - centre, b - centre
    return _OffDiagonal.apply(a, b, scale, floor.detach(), key, euclidean, tile)


class _OffDiagonal(Function):
    @staticmethod
    def forward(ctx, a, b, scale, floor, key, euclidean, tile):
        rows, cols = torch.full_like(floor, -math.inf), torch.full_like(floor, -math.inf)
        for i, j, logits, excluded, _ in _tiles(a, b, scale, key, euclidean, tile):
            # what the sums hold already is a floor too: a negligible tile need not be accurate
            row, col = _sums(logits, excluded, floor[i].maximum(rows[i]), floor[j].maximum(cols[j]))
            rows[i], cols[j] = rows[i].logaddexp(row), cols[j].logaddexp(col)
        ctx.save_for_backward(a, b, scale, floor, key, rows, cols)
        ctx.euclidean, ctx.tile = euclidean, tile
        return rows, cols

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rows, grad_cols):
        a, b, scale, floor, key, rows, cols = ctx.saved_tensors
        reach = _REACH[a.dtype]
        # solved batches have gradients near exp(-70): without a common factor G would be denormal
        factor = grad_rows.abs().amax().maximum(grad_cols.abs().amax()).clamp(min=torch.finfo(a.dtype).tiny)
        outer_rows, outer_cols = (
            torch.where(g.abs() < reach.negligible * factor, 0.0, g / factor) for g in (grad_rows, grad_cols)
        )
        grad_a, grad_b, grad_scale = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(scale)
        work = a.new_empty(min(len(a), ctx.tile) ** 2)
        for i, j, logits, excluded, distance in _tiles(a, b, scale, key, ctx.euclidean, ctx.tile):
            gradient = _gradient(
                logits,
                excluded,
                _Side(rows[i], floor[i], outer_rows[i]),
                _Side(cols[j], floor[j], outer_cols[j]),
                work[: logits.numel()].view_as(logits),
            )
            if distance is not None:
                grad_scale -= (gradient * distance).sum()
                # d distance / d a = (a - b) / distance, and 0 at distance 0
                gradient.div_(distance).masked_fill_(distance == 0, 0.0)
                grad_a[i] -= gradient.sum(1, keepdim=True) * a[i]
                grad_b[j] -= gradient.sum(0)[:, None] * b[j]
            grad_a[i].addmm_(gradient, b[j])
            grad_b[j].addmm_(gradient.T, a[i])
        if not ctx.euclidean:
            grad_scale = torch.linalg.vecdot(grad_a, a).sum()
        whole = factor * scale
        return grad_a.mul_(whole), grad_b.mul_(whole), grad_scale * factor, None, None, None, None


def _tiles(a, b, scale, key, euclidean, tile) -> Iterator[_Tile]:
    """All tiles of the logits, row by row of tiles; they share one buffer."""
    size = len(a)
    buffer = a.new_empty(min(size, tile) ** 2)
    own = -1 - torch.arange(size, device=a.device)  # an unknown key: unlike all others
    key = own if key is None else torch.where(key < 0, own, key)
    known = bool((key >= 0).any())
    slices = [slice(start, min(start + tile, size)) for start in range(0, size, tile)]
    for i in slices:
        left = a[i] if euclidean else scale * a[i]
        for j in slices:
            logits = buffer[: (i.stop - i.start) * (j.stop - j.start)].view(i.stop - i.start, -1)
            excluded = key[i, None] == key[None, j] if known or i == j else None
            distance = None
            if euclidean:
                distance = _distances(a[i], b[j], excluded)
                torch.mul(distance, -scale, out=logits)
            else:
                torch.mm(left, b[j].T, out=logits)
            yield _Tile(i, j, logits, excluded, distance)


def _distances(a, b, excluded) -> Tensor:
    """||a_i - b_j||, finite but meaningless where excluded."""
    squares_a, squares_b = a.square().sum(1), b.square().sum(1)
    far = squares_a.amax() + squares_b.amax()
    squares = torch.mm(a, b.T).mul_(-2).add_(squares_a[:, None]).add_(squares_b).clamp_(min=0)
    if excluded is not None:
        squares.masked_fill_(excluded, far)
    if squares.amin() < 0.01 * far:  # near pairs lose their digits in the expanded square: the slow way, 40x
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return squares.sqrt_()


def _exp(logits, shift, excluded, out) -> Tensor:
    """exp(logits - shift), 0 where excluded."""
    torch.sub(logits, shift, out=out).clamp_(min=_REACH[logits.dtype].lowest).exp_()
    return out if excluded is None else out.masked_fill_(excluded, 0.0)


def _sums(logits, excluded, row_floor, col_floor) -> tuple[Tensor, Tensor]:
    """One tile's log-sum-exp over its rows and over its columns."""
    if excluded is not None:
        logits.masked_fill_(excluded, -math.inf)
    row_max, col_max = logits.amax(1), logits.amax(0)
    top = row_max.amax()
    empty = torch.isneginf(top)
    nearest = torch.cat([row_max.maximum(row_floor), col_max.maximum(col_floor)])
    nearest = nearest.masked_fill(torch.cat([row_max, col_max]).isneginf(), math.inf)  # an empty sum needs no care
    if empty or (top - nearest).amax() <= _REACH[logits.dtype].below:
        top = top.nan_to_num(neginf=0.0)
        shares = _exp(logits, top, excluded, out=logits)
        return shares.sum(1).log_().add_(top), shares.sum(0).log_().add_(top)
    row_max, col_max = (x.masked_fill(x.isneginf(), 0.0) for x in (row_max, col_max))
    row = _exp(logits, row_max[:, None], excluded, out=torch.empty_like(logits)).sum(1).log_().add_(row_max)
    return row, _exp(logits, col_max, excluded, out=logits).sum(0).log_().add_(col_max)


class _Side(NamedTuple):
    """What the backward pass knows of a tile's rows, or of its columns: each (I,)."""

    total: Tensor  # the log-sum-exp over the whole row; -inf where empty
    floor: Tensor
    outer: Tensor  # the gradient that came in, divided by the common factor


def _gradient(logits, excluded, rows: _Side, cols: _Side, work) -> Tensor:
    """G_ij = g_i exp(s_ij - rows_i) + g_j exp(s_ij - cols_j), and 0 where excluded."""
    reach = _REACH[logits.dtype]
    row_total, col_total = (side.total.masked_fill(side.total.isneginf(), math.inf) for side in (rows, cols))
    low = torch.minimum(row_total.maximum(rows.floor).amin(), col_total.maximum(cols.floor).amin())
    high = torch.minimum(rows.total.amax(), cols.total.amax())  # no logit of the tile is larger
    shift = high.minimum(low + reach.below)
    if high - shift <= reach.above:
        u = rows.outer * (shift - row_total).clamp(max=-reach.lowest).exp()
        v = cols.outer * (shift - col_total).clamp(max=-reach.lowest).exp()
        torch.add(u[:, None], v, out=work)
        return _exp(logits, shift, excluded, out=logits).mul_(work)
    by_row = _exp(logits, row_total[:, None], excluded, out=work).mul_(rows.outer[:, None])
    return _exp(logits, col_total, excluded, out=logits).mul_(cols.outer).add_(by_row)
