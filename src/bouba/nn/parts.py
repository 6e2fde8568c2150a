"""A table of pairs that several processes make together, each a part of it.

Where every process holds the same rows, each makes some rows of the table against all columns, and sums over the table
come from sums over its parts. On the way back a process has the gradient of its own part, times the number of
processes: the backward pass of the gather adds the gradients of all, and DistributedDataParallel averages them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from bouba.nn.gather import rank, world_size


def _over_processes(tensor: Tensor, operation: str) -> None:
    dist.all_reduce(tensor, {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX}[operation])


@dataclass(frozen=True)
class Part:
    """Which part of a table is made here.

    Args:
        number: from 0. count: of parts, one a process.
        all_reduce: makes a tensor, in place, the "sum" or "max" of those of all processes; for one it is not called.
    """

    number: int = 0
    count: int = 1
    all_reduce: Callable[[Tensor, str], None] = _over_processes

    def stretches(self, rows: int, *, upper: bool = False) -> list[tuple[int, int]]:
        """First and last + 1 of the rows of the table that are made here.

        Args:
            upper: only what is on and above the diagonal is made. A long row and a short one then go together.

        >>> Part(0, 2).stretches(8), Part(0, 2).stretches(8, upper=True)
        ([(0, 4)], [(0, 2), (6, 8)])
        """
        if not upper or self.count == 1:
            return [self._stretch(rows, self.number, self.count)]
        folded = self.number, 2 * self.count - 1 - self.number
        return [self._stretch(rows, number, 2 * self.count) for number in folded]

    @staticmethod
    def _stretch(rows: int, number: int, count: int) -> tuple[int, int]:
        return rows * number // count, rows * (number + 1) // count

    def sum(self, x: Tensor) -> Tensor:
        """The sum of what each process has. It may replace x."""
        if self.count > 1:
            self.all_reduce(x, "sum")
        return x

    def logsumexp(self, x: Tensor) -> Tensor:
        """log sum exp of what each process has, elementwise; -inf where all are."""
        if self.count == 1:
            return x
        top = x.clone()
        self.all_reduce(top, "max")
        top.nan_to_num_(neginf=0.0)
        return self.sum((x - top).exp_()).log_().add_(top)

    def sum_of_costs(self, cost: Tensor) -> Tensor:
        """The sum of what each process has, with a gradient; a scalar."""
        return cost if self.count == 1 else _SumOfCosts.apply(cost, self)


class _SumOfCosts(Function):
    @staticmethod
    def forward(ctx, cost, part):
        ctx.count = part.count
        return part.sum(cost.clone())

    @staticmethod
    def backward(ctx, outer):
        return ctx.count * outer, None


_part: ContextVar[Part | None] = ContextVar("part of a table", default=None)


def current_part() -> Part:
    """What is made here: all of a table, outside of `in_parts`."""
    return _part.get() or Part()


@contextmanager
def in_parts(part: Part | None = None) -> Iterator[None]:
    """Inside, tables are made in parts; all processes hold the same rows and compute the same.

    Args:
        part: which one is made here; by default one a process that trains.
    """
    token = _part.set(Part(rank(), world_size()) if part is None else part)
    try:
        yield
    finally:
        _part.reset(token)
