"""Cells prepared on all cores: in forked processes, which give back memory that is shared; else in threads."""

from __future__ import annotations

import logging
import mmap
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from bouba.batch import Inputs

log = logging.getLogger("bouba")
MOST = 16  # workers
WORTH = 1.0  # seconds of preparing left, below which it is done before workers have begun
AHEAD = 2  # stretches of rows under way for each worker
SPARE = 1.25  # room for what a stretch gives, of what the first one gave
ALIGNED = 64  # bytes
ORPHANED = 5.0  # seconds within which a worker ends whose parent has died

Prepared = dict[str, Inputs]
"""View -> what its encoder's `prepare` gave."""
Losses = dict[str, dict[int, str]]
"""View -> row -> why its cell, which seemed to be there, cannot be decoded."""


class PreparesRows(Protocol):
    """What workers need of `bouba.data.loader.Rows`."""

    def prepares_apart(self, names: Iterable[str]) -> bool: ...

    def prepare(self, name: str, rows: Tensor) -> tuple[Inputs, dict[int, str]]: ...

    def lose(self, name: str, lost: Mapping[int, str]) -> None: ...


def core_count() -> int:
    """Cores that this process may use, of those that processes of one launcher share on a machine."""
    import joblib

    return max(1, joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def worker_count() -> int:
    """One for each core; none on one core, or in a process that may have no children."""
    cores = core_count()
    return 0 if cores < 2 or multiprocessing.current_process().daemon else min(cores, MOST)


class Workers:
    """Prepares stretches of rows ahead of their use, and gives them in their order.

    What an encoder draws at random in preparing comes from a seed that the rows give, whichever worker does it.

    Args:
        rows: of which. names: views. count: of workers. sample: what an earlier stretch gave, to know sizes by.
    """

    def __init__(self, rows: PreparesRows, names: Sequence[str], count: int, sample: Prepared):
        self.rows, self.names, self.count = rows, tuple(names), count
        self._executor: Executor
        self._slots: list[mmap.mmap] = []
        if (
            sys.platform != "linux"
        ):  # elsewhere a fork is unsafe, and a spawned process cannot be given what is not a file
            self._executor = ThreadPoolExecutor(count)
            return
        room = (
            int(SPARE * sum(_room(tensor) for inputs in sample.values() for tensor in inputs.values())) + mmap.PAGESIZE
        )
        self._slots = [mmap.mmap(-1, room) for _ in range(AHEAD * count)]
        self._executor = ProcessPoolExecutor(
            count, multiprocessing.get_context("fork"), initializer=_begin, initargs=(rows, self._slots, os.getpid())
        )

    def prepared(self, stretches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Prepared]]:
        """(rows, what was prepared of them) of each stretch, in order. Cells that break are lost as they come.

        Raises:
            DataError: of an encoder, or of cells that cannot be read.
        """
        under_way: deque[tuple[Tensor, int, Future | None]] = deque()
        free, remaining = list(range(max(1, AHEAD * self.count))), iter(stretches)
        try:
            while True:
                while free and (rows := next(remaining, None)) is not None:
                    slot = free.pop()
                    under_way.append((rows, slot, self._submit(rows, slot)))
                if not under_way:
                    return
                rows, slot, future = under_way.popleft()
                prepared = self._result(rows, slot, future)
                free.append(slot)
                yield rows, prepared
        finally:
            for _, _, future in under_way:
                if future is not None:
                    future.cancel()

    def close(self) -> None:
        """End the workers; what is under way is finished first."""
        self._executor.shutdown(cancel_futures=True)

    def _submit(self, rows: Tensor, slot: int) -> Future | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the other threads here hold no lock of Python's
                if not self._slots:
                    return self._executor.submit(_prepare_all, self.rows, self.names, rows)
                return self._executor.submit(_prepare_into, slot, self.names, rows.numpy())
        except BrokenProcessPool:
            return None

    def _result(self, rows: Tensor, slot: int, future: Future | None) -> Prepared:
        """What a worker gave; where one has died, as of too little memory, this process prepares instead."""
        try:
            if future is None:
                raise BrokenProcessPool
            prepared, losses = future.result()
        except BrokenProcessPool:
            if future is not None:
                log.warning("a process that prepares cells was killed; the rest is prepared in this one")
            prepared, losses = _prepare_all(self.rows, self.names, rows)
        for name, lost in losses.items():
            self.rows.lose(name, lost)
        if not self._slots:
            return prepared
        return {name: {part: _read(self._slots[slot], t) for part, t in of.items()} for name, of in prepared.items()}


def prepared_in_turn(rows: PreparesRows, name: str, stretches: Sequence[Tensor]) -> Iterator[Inputs]:
    """What is prepared of a view, stretch by stretch: in this process while little is left, else by workers."""
    for done, stretch in enumerate(stretches, 1):
        started = time.perf_counter()
        sample, _ = rows.prepare(name, stretch)
        left = (time.perf_counter() - started) * (len(stretches) - done)
        yield sample
        count = worker_count() if left > WORTH and rows.prepares_apart([name]) else 0
        if count:
            workers = Workers(rows, [name], count, {name: sample})
            try:
                yield from (prepared[name] for _, prepared in workers.prepared(stretches[done:]))
            finally:
                workers.close()
            return


class _Place(NamedTuple):
    """A tensor in a slot."""

    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Work(NamedTuple):
    rows: PreparesRows
    slots: list[mmap.mmap]


_work: _Work  # in a worker


def _begin(rows: PreparesRows, slots: list[mmap.mmap], parent: int) -> None:
    """In a worker, once: it leaves signals to its parent, says nothing and takes one core."""
    global _work
    _work = _Work(rows, slots)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log.setLevel(logging.CRITICAL)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHANED)
    os._exit(1)


def _prepare_all(rows: PreparesRows, names: Sequence[str], numbers: Tensor) -> tuple[Prepared, Losses]:
    prepared, losses = Prepared(), Losses()
    for name in names:
        prepared[name], losses[name] = rows.prepare(name, numbers)
    return prepared, losses


def _prepare_into(slot: int, names: Sequence[str], numbers: Any) -> tuple[dict[str, dict], Losses]:
    """In a worker: tensors are written into a slot, in so far as it has room; the others travel."""
    torch.manual_seed(zlib.crc32(numbers.tobytes()))
    prepared, losses = _prepare_all(_work.rows, names, torch.from_numpy(numbers))
    start = 0
    placed: dict[str, dict] = {}
    for name, inputs in prepared.items():
        placed[name] = {}
        for part, tensor in inputs.items():
            fits = start + _room(tensor) <= len(_work.slots[slot])
            placed[name][part] = _written(_work.slots[slot], start, tensor) if fits else tensor.numpy()
            start += _room(tensor) if fits else 0
    return placed, losses


def _room(tensor: Tensor) -> int:
    return -(-tensor.nbytes // ALIGNED) * ALIGNED


def _written(slot: mmap.mmap, start: int, tensor: Tensor) -> _Place:
    place = _Place(start, tuple(tensor.shape), tensor.dtype)
    if tensor.numel():
        _seen(slot, place).copy_(tensor)
    return place


def _read(slot: mmap.mmap, value: Any) -> Tensor:
    if not isinstance(value, _Place):
        return torch.from_numpy(value) if not isinstance(value, Tensor) else value
    return _seen(slot, value).clone() if 0 not in value.shape else torch.empty(value.shape, dtype=value.dtype)


def _seen(slot: mmap.mmap, place: _Place) -> Tensor:
    """The memory of a slot as a tensor."""
    count = 1
    for side in place.shape:
        count *= side
    return torch.frombuffer(slot, dtype=place.dtype, count=count, offset=place.start).view(place.shape)
