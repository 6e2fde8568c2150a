"""The sums of off_diagonal, off_diagonal_softplus and mmd as a GPU makes them, in memory O(tile + B D).

Matrix products read `operands`, bfloat16 under mixed precision, and add up in float32. A tile of products is then read
once on the way forward and once on the way back, where it is made again, unless the whole table is small (DENSE). The
gradient of a tile is written in the type of the operands, divided by the largest that came in. Tiles are large,
since small ones cost a GPU one launch after another. Nothing here waits for the device.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import Function

from bouba.nn import tile_torch
from bouba.nn.first_order import refuse_second
from bouba.nn.parts import Part, current_part
from bouba.nn.tile_torch import Sums, Tile
from bouba.nn.tiles import walk

TILE = 8192, 16384
"""Rows and columns: 512 MB of products, 256 MB of a gradient in bfloat16."""
DENSE = 2048 * 2048
"""A table of this many numbers or fewer is kept for the way back: three products, not four."""


def is_gpu(z: Tensor) -> bool:
    """Whether sums over pairs of these rows are made here. So are those of the meta device, which has no
    numbers: none is asked for."""
    return z.device.type in ("cuda", "meta")


def operand_dtype(*z: Tensor) -> torch.dtype:
    """What products over pairs of rows read: bfloat16 on a GPU where the rows are, or under autocast to it; else at
    least float32."""
    dtype, kind = torch.float32, z[0].device.type
    for rows in z:
        dtype = torch.promote_types(dtype, rows.dtype)
    if not is_gpu(z[0]) or dtype == torch.float64:
        return dtype
    can_mix = torch.amp.is_autocast_available(kind)
    mixed = can_mix and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16
    return torch.bfloat16 if mixed or all(rows.dtype == torch.bfloat16 for rows in z) else dtype


class Options(NamedTuple):
    """How a table is walked over."""

    symmetric: bool
    euclidean: bool
    tile: tuple[int, int]
    operands: torch.dtype
    part: Part
    tiles: ModuleType

    @classmethod
    def of(
        cls, a: Tensor, tile: int | None, operands: torch.dtype | None, *, symmetric=False, euclidean=False
    ) -> Options:
        """For rows a (B, D); the operands of distances are never rounded, since near ones would have no digit left."""
        operands = a.dtype if operands is None or euclidean else operands
        shape = TILE if tile is None else (tile, tile)
        return cls(symmetric, euclidean, shape, operands, current_part(), tile_functions(operands, a.device))


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def tile_functions(operands: torch.dtype, device: torch.device) -> ModuleType:
    """`tile_triton` where there is Triton and it can (not in float64), else `tile_torch`."""
    if device.type != "cuda" or operands == torch.float64 or not _has_triton():
        return tile_torch
    return importlib.import_module("bouba.nn.tile_triton")


def product(x: Tensor, y: Tensor) -> Tensor:
    """x @ y, added up and returned in float32 where they are bfloat16."""
    if x.dtype != torch.bfloat16:
        return torch.mm(x, y)
    if x.device.type != "cpu" and "dtype" in torch.ops.aten.mm.overloads():
        return torch.mm(x, y, out_dtype=torch.float32)
    return torch.mm(x.float(), y.float())


class LogSumExp(Function):
    """What `off_diagonal_logsumexp` returns. codes: int64 (B,) or None."""

    @staticmethod
    def forward(ctx, a, b, scale, codes, options: Options):
        symmetric = options.symmetric
        x = a.to(options.operands)
        y = x if symmetric else b.to(options.operands)
        sums = torch.full((2, len(a)), -torch.inf, device=a.device, dtype=a.dtype)
        rows, columns = sums[0], sums[0 if symmetric else 1]
        keeps = any(ctx.needs_input_grad) and len(a) * len(b) <= DENSE
        kept, products, tile = [], None, None
        for i, j in walk(len(a), options.tile, options.part, symmetric=symmetric):
            del products, tile  # so that the next one takes its memory
            products = product(x[i], y[j].T)
            tile = _tile(products, i, j, x, y, codes, options.euclidean)
            options.tiles.add_sums(tile, scale, rows[i], None if symmetric and i == j else columns[j])
            if keeps:
                kept.append(products)
        if symmetric:
            columns = sums[1].copy_(rows)
        sums = options.part.logsumexp(sums)
        ctx.options = options
        ctx.save_for_backward(a, scale, codes, x, y, sums, *kept)
        return sums

    @staticmethod
    def backward(ctx, outer):
        refuse_second("a sum of exponentials over tiles")
        options: Options = ctx.options
        a, scale, codes, x, y, sums, *kept = ctx.saved_tensors
        symmetric, euclidean = options.symmetric, options.euclidean
        outer = outer.sum(0).expand(2, -1).contiguous() if symmetric else outer.contiguous()
        largest = torch.linalg.vector_norm(outer, ord=torch.inf).clamp_(min=torch.finfo(a.dtype).tiny)
        grad_a = grad_b = products = tile = g = None
        of_scale = torch.zeros_like(scale) if euclidean else None
        for number, (i, j) in enumerate(walk(len(a), options.tile, options.part, symmetric=symmetric)):
            del products, tile, g
            products = kept[number] if kept else product(x[i], y[j].T)
            tile = _tile(products, i, j, x, y, codes, euclidean)
            sides = Sums(sums[0, i], outer[0, i]), Sums(sums[1, j], outer[1, j])
            g, distances = options.tiles.gradient(tile, scale, *sides, largest, options.operands)
            if distances is not None:
                of_scale -= distances.of_scale
            grad_a = _added(grad_a, i, g, y[j], None if distances is None else (distances.of_rows, x[i]), a)
            if symmetric and i == j:
                continue
            of_columns = grad_a if symmetric else grad_b
            of_columns = _added(
                of_columns, j, g.T, x[i], None if distances is None else (distances.of_columns, y[j]), a
            )
            grad_a, grad_b = (of_columns, None) if symmetric else (grad_a, of_columns)
        grad_a, grad_b = (torch.zeros_like(a) if g is None else g for g in (grad_a, grad_b))
        if of_scale is None and ctx.needs_input_grad[2]:
            of_scale = torch.dot(grad_a.flatten(), a.flatten())
            of_scale = of_scale / 2 if symmetric else of_scale  # grad_a holds both sides
        if options.part.count > 1:
            largest = largest * options.part.count
        whole, of_scale = largest * scale, None if of_scale is None else of_scale * largest
        return grad_a.mul_(whole), None if symmetric else grad_b.mul_(whole), of_scale, None, None


def _added(
    total: Tensor | None, at: slice, g: Tensor, others: Tensor, own: tuple[Tensor, Tensor] | None, like: Tensor
) -> Tensor:
    """The total (B, D), None for zeros, with g (I, J) times other rows (J, D) added to some of its rows.

    Args:
        own: numbers (I,) and rows (I, D); their products are subtracted.
    """
    value = product(g, others)
    if own is not None:
        value.addcmul_(own[0][:, None], own[1], value=-1)
    if total is None:
        if len(value) == len(like):
            return value  # a table of one tile needs no zeros
        total = torch.zeros_like(like)
    total[at].add_(value)
    return total


def _tile(products, i, j, x, y, codes, euclidean) -> Tile:
    of_codes = (None, None) if codes is None else (codes[i], codes[j])
    return Tile(products, i.start, j.start, *of_codes, *((x[i], y[j]) if euclidean else ()))


class Softplus(Function):
    """The sum that `off_diagonal_softplus` returns; its gradients are made on the way forward."""

    @staticmethod
    def forward(ctx, a, b, scale, bias, codes, options: Options):
        total, learns = torch.zeros_like(scale), any(ctx.needs_input_grad)
        x, y = a.to(options.operands), b.to(options.operands)
        grad_a = grad_b = products = tile = slopes = None
        grad_bias = torch.zeros_like(bias)
        for i, j in walk(len(a), options.tile, options.part):
            del products, tile, slopes
            products = product(x[i], y[j].T)
            tile = _tile(products, i, j, x, y, codes, euclidean=False)
            value, slope, slopes = options.tiles.softplus(tile, scale, bias, options.operands)
            total += value
            if learns:
                grad_bias += slope
                grad_a = _added(grad_a, i, slopes, y[j], None, a)
                grad_b = _added(grad_b, j, slopes.T, x[i], None, b)
        grad_a, grad_b = (torch.zeros_like(a) if grad is None else grad for grad in (grad_a, grad_b))
        grad_scale = torch.dot(grad_a.flatten(), a.flatten())
        ctx.save_for_backward(grad_a.mul_(scale), grad_b.mul_(scale), grad_scale, grad_bias)
        ctx.count = options.part.count
        return options.part.sum(total)

    @staticmethod
    def backward(ctx, outer):
        refuse_second("a sum of softplus over tiles")
        outer = outer * ctx.count
        return *(outer * gradient for gradient in ctx.saved_tensors), None, None


class Gaussians(Function):
    """The value that `gaussian_mmd` returns, of rates 1 / s^2 (R,); its gradients are made on the way forward.

    weights: of a pair within a, within b and between. excess: what the diagonals add too much.
    """

    @staticmethod
    def forward(ctx, a, b, rates, weights, excess, options: Options):
        n, learns = len(a), any(ctx.needs_input_grad)
        pooled = torch.cat([a, b])
        pooled -= pooled.mean(0)
        x = pooled.to(options.operands)
        exact = pooled.copy_(x)  # distances and gradients are those of what products read
        half = torch.linalg.vecdot(exact, exact) / 2
        grad, pull = torch.zeros_like(exact), torch.zeros_like(half)
        total = torch.zeros((), device=a.device, dtype=torch.float64)
        products = tile = slopes = None
        for i, j in walk(len(x), options.tile, options.part, symmetric=True, seam=n):
            del products, tile, slopes
            weight = (weights[0] if j.stop <= n else weights[1] if i.start >= n else weights[2]) / len(rates)
            products = product(x[i], x[j].T)
            tile = Tile(products, i.start, j.start)
            value, slopes, of_rows, of_columns = options.tiles.gaussians(
                tile, half[i], half[j], rates, options.operands
            )
            total += value * (weight if i == j else 2 * weight)
            if learns:
                grad[i].add_(product(slopes, x[j]), alpha=weight)
                pull[i].add_(of_rows, alpha=weight)
                if i != j:
                    grad[j].add_(product(slopes.T, x[i]), alpha=weight)
                    pull[j].add_(of_columns, alpha=weight)
        grad.addcmul_(exact, pull[:, None], value=-1).mul_(2)
        ctx.save_for_backward(grad[:n], grad[n:])
        ctx.count = options.part.count
        return (options.part.sum(total) - excess).to(a.dtype)

    @staticmethod
    def backward(ctx, outer):
        refuse_second("mmd of Gaussian kernels")
        outer = outer * ctx.count
        return *(outer * gradient for gradient in ctx.saved_tensors), None, None, None, None
