"""The squared maximum mean discrepancy of Gaussian kernels between two samples, in memory O(tile^2 + (n + m) D).

With k(x, y) = mean over s of exp(-|x - y|^2 / 2 s^2), and c_n = 1 / n(n - 1), or 1 / n^2 [biased]:

    V = c_n sum_{i != j} k(a_i, a_j) + c_m sum_{i != j} k(b_i, b_j) - 2 / nm sum_{i, j} k(a_i, b_j)  [+ 1/n + 1/m]

Pooled into x it is one signed sum, sum_{p != q} w_pq k(x_p, x_q), and its gradient a weighted difference of rows:

    grad_p = -2 (x_p sum_q w_pq g_pq - sum_q w_pq g_pq x_q),     g_pq = mean over s of exp(-|x_p - x_q|^2 / 2 s^2) / s^2

The matrix is symmetric: only tiles on and above its diagonal are made, each once. One product gives a tile's distances,
two more the gradients of its rows and of its columns; nothing is left for the way back but to multiply.

Precision: x is centred first, so that a common offset costs no digits. Kernels, their sums over a row of a tile and
gradients are made in the precision of the input; what is summed, weighted and subtracted from there on is float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.autograd.function import Function
from torch.nn import functional as F

from bouba.nn import gpu_tables
from bouba.nn.first_order import refuse_second
from bouba.nn.parts import Part, current_part
from bouba.nn.tiles import tile_side, walk

LOWEST = {torch.float32: -40.0, torch.float64: -300.0}
"""Below exp of this a kernel counts as 0. Its square is still a normal number; denormal ones are 20 times slower."""
SMALLEST = 1e-30  # s^2, whose inverse is finite in float32


def gaussian_mmd(
    a: Tensor,
    b: Tensor,
    variances: Tensor,
    *,
    unbiased: bool = True,
    tile: int | None = None,
    operands: torch.dtype | None = None,
) -> Tensor:
    """V as in the head of this file, with gradients to a and b; UsageError for a second derivative.

    Args:
        a, b: float32 or float64 (n, D) and (m, D), n and m at least 1.
        variances: float64 (R,), s^2 of each kernel, above 0, in any order. On a CPU one that halves the next larger
            one squares its kernel and costs no exponential.
        unbiased: leave out the pairs of a row with itself. A sample of one row keeps its only pair, k(x, x) = 1.
        tile: side of a tile of the kernel's matrix; None picks one.
        operands: what matrix products read on a GPU, see `operand_dtype`; for None, a and b as they are.

    >>> gaussian_mmd(torch.zeros(2, 1), torch.ones(2, 1), torch.tensor([0.5]))  # 1 + 1 - 2 / e
    tensor(1.2642)
    """
    if gpu_tables.is_gpu(a):
        (own_a, excess_a), (own_b, excess_b) = (_within(len(rows), unbiased) for rows in (a, b))
        weights, of_gpu = (own_a, own_b, -1 / (len(a) * len(b))), 1 / variances.clamp(min=SMALLEST).to(a.dtype)
        options = gpu_tables.Options.of(a, tile, operands)
        return gpu_tables.Gaussians.apply(a, b, of_gpu, weights, excess_a + excess_b, options)
    rates = tuple(1 / max(s2, SMALLEST) for s2 in sorted(variances.tolist(), reverse=True))
    return _GaussianMMD.apply(a, b, rates, unbiased, tile_side(tile, a, cpu=512), current_part())


class _GaussianMMD(Function):
    @staticmethod
    def forward(ctx, a, b, rates, unbiased, tile, part):
        n, m = len(a), len(b)
        (own_a, excess_a), (own_b, excess_b) = _within(n, unbiased), _within(m, unbiased)
        x = torch.cat([a, b])
        x -= x.mean(0)
        grad = torch.zeros_like(x) if any(ctx.needs_input_grad) else None  # sum_q w g x_q
        pull = x.new_zeros(n + m)  # sum_q w g
        total = x.new_zeros((), dtype=torch.float32 if x.device.type == "mps" else torch.float64)
        for i, j, exponents, work in _tiles(x, n, tile, part):
            weight = (own_a if j.stop <= n else own_b if i.start >= n else -1 / (n * m)) / len(rates)
            gradient = work[1].zero_()
            for rate, kernel in _kernels(exponents, rates, out=work[0]):
                total += kernel.sum(1).to(total.dtype).sum() * (weight if i == j else 2 * weight)
                if grad is not None:
                    gradient.add_(kernel, alpha=rate)
            if grad is None:
                continue
            if i == j:
                gradient.fill_diagonal_(0.0)  # what rounding would leave of x_p - x_p
            grad[i].addmm_(gradient, x[j], alpha=weight)
            pull[i].add_(gradient.sum(1), alpha=weight)
            if i != j:
                grad[j].addmm_(gradient.T, x[i], alpha=weight)
                pull[j].add_(gradient.sum(0), alpha=weight)
        if grad is not None:
            grad.addcmul_(x, pull[:, None], value=-1).mul_(2)
            ctx.save_for_backward(grad[:n], grad[n:])
        ctx.count = part.count
        return (part.sum(total) - excess_a - excess_b).to(a.dtype)

    @staticmethod
    def backward(ctx, outer):
        refuse_second("mmd of Gaussian kernels")
        outer = outer * ctx.count
        return *(outer * gradient for gradient in ctx.saved_tensors), None, None, None, None


def _within(rows: int, unbiased: bool) -> tuple[float, float]:
    """The weight of a pair inside a sample, and what the diagonal then adds to the sum and does not belong there."""
    if unbiased and rows > 1:
        return 1 / (rows * (rows - 1)), 1 / (rows - 1)
    return 1 / rows**2, 0.0


def _tiles(x: Tensor, n: int, tile: int, part: Part) -> Iterator[tuple[slice, slice, Tensor, list[Tensor]]]:
    """Tiles on and above the diagonal, none across the seam at row n: rows i, columns j, -|x_i - x_j|^2 / 2 (I, J), and
    two tiles to work in. All tiles share one buffer: use one before asking for the next."""
    buffer = x.new_empty(3, min(max(n, len(x) - n), tile) ** 2)
    half = torch.einsum("nd,nd->n", x, x) / 2  # (n + m,); x.square() would hold another x
    for i, j in walk(len(x), (tile, tile), part, symmetric=True, seam=n):
        shape = i.stop - i.start, j.stop - j.start
        exponents, *work = buffer[:, : math.prod(shape)].view(3, *shape)
        torch.mm(x[i], x[j].T, out=exponents).sub_(half[i, None]).sub_(half[j])
        if i == j:
            exponents.fill_diagonal_(0.0)  # which the expanded square misses by rounding
        yield i, j, exponents, work


def _kernels(exponents: Tensor, rates: Iterable[float], out: Tensor) -> Iterator[tuple[float, Tensor]]:
    """Each rate and exp(rate * exponents), in `out`."""
    lowest, last = LOWEST[exponents.dtype], None
    for rate in rates:
        if last is not None and rate == 2 * last:
            out.square_()
        else:
            torch.mul(exponents, rate, out=out).clamp_(lowest - 1, 0.0).exp_()
        yield rate, F.threshold(out, math.exp(lowest), 0.0, inplace=True)
        last = rate
