"""Random numbers of a step under several processes: each draws those of the whole batch and takes its rows'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bouba.batch import Batch
from bouba.nn.gather import gathered_rows, rank, world_size

_aten = torch.ops.aten
_OF_SIZE = {_aten.rand.default: 0, _aten.randn.default: 0, _aten.randint.default: 1, _aten.randint.low: 2}
"""Where the size stands among the arguments."""
_LIKE = {_aten.rand_like.default, _aten.randn_like.default}
_IN_PLACE = {_aten.bernoulli_.float, _aten.uniform_.default, _aten.normal_.default}


class _WholeBatch(TorchDispatchMode):
    """Draws for `rows` of `total` rows come from numbers that are drawn for all.

    Args:
        rows: int64 (k,), which of all rows are here. Draws without a dimension of k numbers are left as they are.
    """

    def __init__(self, rows: Tensor, total: int):
        super().__init__()
        self.rows, self.total = rows, total

    def __torch_dispatch__(self, operation, types, args=(), kwargs: Mapping[str, Any] | None = None):
        kwargs = kwargs or {}
        if operation in _OF_SIZE:
            at = _OF_SIZE[operation]
            size = list(args[at])
            if (axis := self._axis(size)) is not None:
                whole = operation(*args[:at], self._whole(size, axis), *args[at + 1 :], **kwargs)
                return whole.index_select(axis, self.rows.to(whole.device))
        elif operation in _LIKE or operation in _IN_PLACE or operation is _aten.native_dropout.default:
            here: Tensor = args[0]
            if (axis := self._axis(here.shape)) is not None:
                rows, whole = self.rows.to(here.device), here.new_ones(self._whole(here.shape, axis))
                if operation is _aten.native_dropout.default:
                    kept = operation(whole, *args[1:], **kwargs)[1].index_select(axis, rows)
                    return here * kept / (1 - args[1]), kept
                drawn = operation(whole, *args[1:], **kwargs).index_select(axis, rows)
                return here.copy_(drawn) if operation in _IN_PLACE else drawn
        return operation(*args, **kwargs)

    def _axis(self, size) -> int | None:
        return next((axis for axis, length in enumerate(size) if length == len(self.rows)), None)

    def _whole(self, size, axis: int) -> list[int]:
        return [*size[:axis], self.total, *size[axis + 1 :]]


@dataclass(frozen=True)
class Draws:
    """Which rows of the whole batch a process has.

    Args:
        here: int64 (B,), the places of its rows in the whole batch.
        present: view -> bool (N,), of the rows of all processes.
        holders: view -> the process with most rows of it.
        fullest: the process with most rows.
    """

    here: Tensor
    present: dict[str, Tensor]
    holders: dict[str, int]
    fullest: int

    @classmethod
    def of(cls, batch: Batch) -> Draws | None:
        """Of a batch in training; None where there is one process. All of them call it together."""
        if world_size() == 1:
            return None
        present = {name: gathered_rows(mask) for name, mask in batch.present.items()}
        total = len(next(iter(present.values())))
        turn = torch.arange(total, device=batch.rows.device) % world_size()
        counts = {
            name: torch.bincount(turn[mask], minlength=world_size()).argmax().item() for name, mask in present.items()
        }
        return cls((turn == rank()).nonzero(as_tuple=True)[0], present, counts, 0)  # type: ignore[arg-type]

    def of_view(self, name: str, rows: Tensor | slice) -> _WholeBatch:
        """For some of the process's rows, of those of a view."""
        mask = self.present[name]
        return _WholeBatch((mask.cumsum(0) - 1)[self.here[rows]], int(mask.sum()))

    def of_rows(self) -> _WholeBatch:
        """For all of the process's rows."""
        return _WholeBatch(self.here, len(next(iter(self.present.values()))))

    @contextmanager
    def alike_after(self, name: str | None = None) -> Iterator[None]:
        """After it all draw what comes next as the one does that had most rows: one without any drew none."""
        yield
        source, device = (self.fullest if name is None else self.holders[name]), self.here.device
        state = torch.get_rng_state().to(device)
        dist.broadcast(state, source)
        torch.set_rng_state(state.cpu())
        if device.type == "cuda":
            state = torch.cuda.get_rng_state(device).to(device)
            dist.broadcast(state, source)
            torch.cuda.set_rng_state(state.cpu(), device)
