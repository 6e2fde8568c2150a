"""The global batch on every process, with gradients.

Every rank computes the whole objective on the gathered embeddings. The backward pass of the gather adds the
gradients of all ranks, DistributedDataParallel then averages: together the exact gradient of one process that
held the whole batch, for any term. Ranks may hold different numbers of rows.
"""

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from bouba.batch import Batch

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others within a step."""
_groups: dict[Any, Any] = {}


def _group() -> Any:
    """For backward passes alone: DistributedDataParallel sends the gradients of what a rank does not use before those
    that it waits for here, and the two must not be taken for each other."""
    world = dist.group.WORLD
    if world not in _groups:
        _groups[world] = dist.new_group(timeout=PATIENCE)
    return _groups[world]


class _GatherRows(Function):
    @staticmethod
    def forward(ctx, x, sizes):
        ctx.sizes = sizes
        padded = x.new_zeros((max(sizes), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone(memory_format=torch.contiguous_format)  # autograd may share it with other paths
        dist.all_reduce(gradient, group=_group())
        start = sum(ctx.sizes[: dist.get_rank()])
        return gradient[start : start + ctx.sizes[dist.get_rank()]], None


def world_size() -> int:
    """How many processes train together; 1 outside torchrun / accelerate launch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def gather(batch: Batch) -> Batch:
    """The rows of all processes, in the order of one that holds them all; the batch itself when there is one process.
    Inputs stay behind.

    A view no row of this rank has reached no tower and has no gradient; it still takes part in the backward pass,
    because the other ranks wait for it there.
    """
    if world_size() == 1:
        return batch
    counts, _ = _counts(batch.rows), _group()  # all make it here together

    def taking_part(e: Tensor) -> Tensor:
        return e if e.requires_grad or not torch.is_grad_enabled() else e.detach().requires_grad_()

    parts = (batch.z, batch.twin, batch.masked, batch.rest)
    z, twin, masked, rest = ({name: taking_part(e) for name, e in views.items()} for views in parts)
    fused = None if batch.fused is None else taking_part(batch.fused)
    whole = batch.replace(inputs={}, z=z, twin=twin, masked=masked, rest=rest, fused=fused)
    return whole.map(lambda tensor: _gathered(tensor, counts))


def gathered_rows(tensor: Tensor) -> Tensor:
    """The rows (B, ...) of every process, (N, ...), in the order of one that holds them all."""
    return _gathered(tensor, _counts(tensor))


def _counts(tensor: Tensor) -> list[int]:
    """How many rows each process has."""
    size = torch.tensor([len(tensor)], device=tensor.device)
    sizes = [torch.empty_like(size) for _ in range(world_size())]
    dist.all_gather(sizes, size)
    return [int(s) for s in sizes]


def _gathered(tensor: Tensor, counts: list[int]) -> Tensor:
    as_number = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
    places = [r + world_size() * torch.arange(count, device=tensor.device) for r, count in enumerate(counts)]
    order = torch.cat(places).argsort(stable=True)  # each process takes every world-th row of a batch
    return _GatherRows.apply(as_number, counts)[order].to(tensor.dtype)
