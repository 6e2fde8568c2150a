"""The processes that torchrun starts: all of them train, the first writes, prints and measures for all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

Result = TypeVar("Result")
Part = TypeVar("Part")
PATIENCE = timedelta(days=30)
"""How long the others wait for the first, which may measure for hours."""


def process_count() -> int:
    """How many processes torchrun or `accelerate launch` started; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_number() -> int:
    """This process's number among those of torchrun or `accelerate launch`, from 0, before they have joined."""
    return int(os.environ.get("RANK", "0")) if process_count() > 1 else 0


class Processes:
    """Several processes that make one run.

    Attributes:
        number: of this one, from 0. count: of all. first: whether this is the one that writes and speaks.
    """

    def __init__(self, number: int = 0, count: int = 1, group: Any = None) -> None:
        self.number, self.count, self._group = number, count, group  # use Processes.joined, or Processes() for one

    @property
    def first(self) -> bool:
        return self.number == 0

    @classmethod
    def joined(cls) -> Processes:
        """Those that the launcher started, or this one alone."""
        if process_count() == 1:
            return cls()
        import torch.distributed as dist

        from bouba.train import accelerator

        accelerator()
        return cls(dist.get_rank(), dist.get_world_size(), dist.new_group(backend="gloo", timeout=PATIENCE))

    def lead(self, step: Callable[[], Result]) -> Result | None:
        """What a step gives that the first takes while the others wait; None for them.

        Raises:
            SystemExit: of the others, in silence, where the step failed; the first raises what it raised.
        """
        if self._group is None:
            return step()
        if not self.first:
            self._hear()
            return None
        try:
            result = step()
        except BaseException:
            self._tell(failed=True)
            raise
        self._tell(failed=False)
        return result

    def share(self, step: Callable[[], Result]) -> Result:
        """What a step gives that the first takes while the others wait, for all of them.

        Raises:
            SystemExit: as in `lead`.
        """
        result = self.lead(step)
        if self._group is None:
            return result  # type: ignore[return-value]
        import torch.distributed as dist

        shared = [result]
        dist.broadcast_object_list(shared, src=0, group=self._group)
        return shared[0]  # type: ignore[return-value]

    def deal(
        self,
        parts: Sequence[Part],
        step: Callable[[Part], Result],
        each: Callable[[Sequence[Part]], Iterable[Part]] = iter,
    ) -> list[Result] | None:
        """What a step gives of each part, in their order, for the first; None for the others. Each process takes every
        `count`-th part, one by one through `each`, which may say how far it has come.

        Raises:
            As in `agree`.
        """
        own = self.agree(lambda: [step(part) for part in each(parts[self.number :: self.count])])
        if self._group is None:
            return own
        import torch.distributed as dist

        shares: list[list[Result]] | None = [[] for _ in range(self.count)] if self.first else None
        dist.gather_object(own, shares, dst=0, group=self._group)
        return None if shares is None else [shares[i % self.count][i // self.count] for i in range(len(parts))]

    def agree(self, step: Callable[[], Result]) -> Result:
        """What a step gives that every process takes by itself.

        Raises:
            SystemExit: in silence, where it failed on a process before this one; the first to fail raises its error.
        """
        if self._group is None:
            return step()
        import torch.distributed as dist

        failure: BaseException | None = None
        try:
            result = step()
        except BaseException as error:
            failure = error
        failures = [False] * dist.get_world_size()
        dist.all_gather_object(failures, failure is not None, group=self._group)
        if any(failures[: dist.get_rank()]) or (any(failures) and failure is None):
            raise SystemExit(1)
        if failure is not None:
            raise failure
        return result

    def together(self, step: Callable[[], Result]) -> Result:
        """What a step gives in which the processes wait for one another, as training does.

        Raises:
            SystemExit: in silence, where all processes failed alike and this is not the first.
        """
        try:
            return step()
        except BaseException:
            if self._group is not None and self._all_failed() and not self.first:
                raise SystemExit(1) from None
            raise

    def _all_failed(self) -> bool:
        """Whether every process comes here within a moment: one that still trains does not."""
        import torch.distributed as dist

        try:
            dist.monitored_barrier(self._group, timeout=timedelta(seconds=10))
        except RuntimeError:
            return False
        return True

    def _tell(self, *, failed: bool) -> None:
        import torch.distributed as dist

        dist.broadcast_object_list([failed], src=0, group=self._group)

    def _hear(self) -> None:
        import torch.distributed as dist

        outcome = [True]
        with contextlib.suppress(RuntimeError):  # the first has died
            dist.broadcast_object_list(outcome, src=0, group=self._group)
        if outcome[0]:
            raise SystemExit(1)
