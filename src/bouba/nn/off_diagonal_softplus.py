"""The sum of softplus over all logits but the positives' own, in memory O(tile^2 + B D).

    S = sum over (i, j) in N of log(1 + exp x_ij),    x_ij = scale * <a_i, b_j> + bias,    N: i != j, keys differ

The gradient of a tile, G_ij = 1 / (1 + exp -x_ij), waits for nothing but the one number that multiplies S. So each
tile is made once and gives its share of S and of the gradients at once: three matrix products, none on the way back.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import Function

from bouba.nn import gpu_tables
from bouba.nn.first_order import refuse_second
from bouba.nn.parts import current_part
from bouba.nn.tiles import pair_codes, tile_side, walk

LOWEST = {torch.float32: -60.0, torch.float64: -600.0}
"""Logits are clamped here, where one costs 1e-26: products with denormal numbers take 20 times longer."""


def off_diagonal_softplus(
    a: Tensor,
    b: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    key: Tensor | None = None,
    tile: int | None = None,
    operands: torch.dtype | None = None,
) -> Tensor:
    """S as in the head of this file, with gradients to a, b, scale and bias.

    Args:
        a, b: float32 or float64 (B, D).
        scale, bias: scalar tensors of the same dtype.
        key: int64 (B,); pairs of equal keys are excluded like the diagonal; a negative key equals no other.
        tile: side of a tile of the logits; None picks one.
        operands: what matrix products read on a GPU, see `operand_dtype`; for None, a and b as they are.

    >>> a = torch.eye(3)
    >>> off_diagonal_softplus(a, a, torch.tensor(1.0), torch.tensor(0.0))  # six logits of 0: 6 log 2
    tensor(4.1589)
    """
    if gpu_tables.is_gpu(a):
        of_gpu = gpu_tables.Options.of(a, tile, operands)
        codes = None if key is None else pair_codes(len(a), key, a.device)[0]
        return gpu_tables.Softplus.apply(a, b, scale, bias, codes, of_gpu)
    codes, has_keys = pair_codes(len(a), key, a.device)
    return _OffDiagonalSoftplus.apply(a, b, scale, bias, codes, has_keys, tile_side(tile, a), current_part())


class _OffDiagonalSoftplus(Function):
    @staticmethod
    def forward(ctx, a, b, scale, bias, codes, has_keys, tile, part):
        total, learns = torch.zeros_like(scale), any(ctx.needs_input_grad)
        grad_a, grad_b, grad_bias = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(bias)
        buffers = a.new_empty(2, min(len(a), tile) ** 2)
        row = slice(0, 0)
        for i, j in walk(len(a), (tile, tile), part):
            if i != row:
                row, left = i, scale * a[i]
            shape = len(codes[i]), len(codes[j])
            x, work = (buffer[: shape[0] * shape[1]].view(shape) for buffer in buffers)
            torch.addmm(bias, left, b[j].T, out=x).clamp_(min=LOWEST[a.dtype])
            if has_keys or (i.start < j.stop and j.start < i.stop):
                x.masked_fill_(codes[i, None] == codes[j], -torch.inf)  # (I, J)
            total += _softplus_sum(x, work)
            if learns:
                gradient = x.sigmoid_()
                grad_bias += gradient.sum()
                grad_a[i].addmm_(gradient, b[j])
                grad_b[j].addmm_(gradient.T, a[i])
        grad_scale = torch.einsum("bd,bd->", grad_a, a)
        ctx.save_for_backward(grad_a.mul_(scale), grad_b.mul_(scale), grad_scale, grad_bias)
        ctx.count = part.count
        return part.sum(total)

    @staticmethod
    def backward(ctx, outer):
        refuse_second("a sum of softplus over tiles")
        outer = outer * ctx.count
        return *(outer * gradient for gradient in ctx.saved_tensors), None, None, None, None


def _softplus_sum(x: Tensor, work: Tensor) -> Tensor:
    """sum of log(1 + e^x) = max(x, 0) + log(1 + e^-|x|) over x (I, J), with one logarithm for up to 32 numbers.

    With m = e^-|x| <= 1, (1 + m)(1 + m') = 1 + (m + m' + m m'), where nothing cancels: rows are folded in halves.
    """
    total = torch.clamp(x, min=0, out=work).sum()
    m = torch.abs(x, out=work).neg_().exp_()
    for _ in range(5):  # products stay below 2^32
        half, odd = divmod(len(m), 2)
        if odd:
            total = total + m[-1].log1p().sum()
        upper, lower = m[:half], m[half : 2 * half]
        m = torch.addcmul(upper + lower, upper, lower)
    return total + m.log1p().sum()
