"""The global batch on every process, with gradients.

Every rank computes the whole objective on the gathered embeddings. The backward pass of the gather adds the
gradients of all ranks, DistributedDataParallel then averages: together the exact gradient of one process that
held the whole batch, for any term. Ranks may hold different numbers of rows.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from bouba.batch import Batch


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
        dist.all_reduce(gradient)
        start = sum(ctx.sizes[: dist.get_rank()])
        return gradient[start : start + ctx.sizes[dist.get_rank()]], None


def world_size() -> int:
    """How many processes train together; 1 outside torchrun / accelerate launch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def gather(batch: Batch) -> Batch:
    """The rows of all processes, in rank order; the batch itself when there is one process. Inputs stay behind.

    A view no row of this rank has reached no tower and has no gradient; it still takes part in the backward pass,
    because the other ranks wait for it there.
    """
    if world_size() == 1:
        return batch
    size = torch.tensor([len(batch)], device=batch.rows.device)
    sizes = [torch.empty_like(size) for _ in range(world_size())]
    dist.all_gather(sizes, size)
    counts = [int(s) for s in sizes]

    def rows(tensor: Tensor) -> Tensor:
        as_number = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
        return _GatherRows.apply(as_number, counts).to(tensor.dtype)

    def taking_part(e: Tensor) -> Tensor:
        return e if e.requires_grad or not torch.is_grad_enabled() else e.detach().requires_grad_()

    z, twin = ({name: taking_part(e) for name, e in views.items()} for views in (batch.z, batch.twin))
    fused = None if batch.fused is None else taking_part(batch.fused)
    return batch.replace(inputs={}, z=z, twin=twin, fused=fused).map(rows)
