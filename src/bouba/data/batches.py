"""Batches on a device, the next one made ready while one is used."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, TypeVar

import torch
from torch import Tensor

from bouba.batch import Batch, Inputs
from bouba.data.loader import Rows
from bouba.data.workers import WORTH, Prepared, Workers, worker_count
from bouba.device import moved

T = TypeVar("T")
SHARE = 1 / 3  # of a GPU's free memory, which prepared cells may take
READY = 2  # batches that wait on a GPU


class Batches:
    """Batches of rows in a sampler's order.

    Prepared cells that are in memory are picked from there; on a GPU of CUDA they lie in its memory, if they fit into
    SHARE of what is free. All others are prepared on as many cores as there are, ahead of their use, and copied to the
    GPU while it computes. Nothing depends on how many cores there are.

    Args:
        rows: all rows. sampler: gives the numbers of the rows of each batch, as a list or array, every time it is
            iterated over.
        device: where the batches go. workers: processes that prepare cells that are not in memory; by the cores when
            None, and where it is worth it.
    """

    def __init__(self, rows: Rows, sampler: Iterable[Any], device: torch.device, *, workers: int | None = None):
        self.rows, self.sampler, self.device, self.count = rows, sampler, device, workers
        self.resident = _on_gpu(rows, device)
        self._workers: Workers | None = None

    def __len__(self) -> int:
        assert isinstance(self.sampler, Sized), "a sampler has a length"
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        stretches = (torch.as_tensor(numbers, dtype=torch.int64) for numbers in self.sampler)
        if len(self.resident) == len(self.rows.encoders) or self.device.type != "cuda":
            return self._made(stretches)
        return ahead(self._made(stretches))

    def close(self) -> None:
        """End the processes that prepare cells, if there are any."""
        if self._workers is not None:
            self._workers.close()
        self._workers = None

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _made(self, stretches: Iterator[Tensor]) -> Iterator[Batch]:
        names = [name for name in self.rows.encoders if name not in self.rows.cached]
        if not names:
            yield from (self._batch(rows, {}) for rows in stretches)
            return
        if self._workers is None:
            for done, rows in enumerate(stretches, 1):
                started = time.perf_counter()
                prepared = {name: self.rows.prepare(name, rows)[0] for name in names}
                seconds = time.perf_counter() - started
                yield self._batch(rows, prepared)
                if self._start_workers(names, prepared, seconds * (len(self) - done)):
                    break
        if self._workers is not None:
            yield from (self._batch(rows, prepared) for rows, prepared in self._workers.prepared(stretches))

    def _start_workers(self, names: Sequence[str], sample: Prepared, left: float) -> bool:
        """Start them where they are wanted; whether they are there.

        Args:
            left: seconds that an epoch would still take in this process.
        """
        count = self.count
        if count is None:
            count = worker_count() if left > WORTH and self.rows.prepares_apart(names) else 0
        if count:
            self._workers = Workers(self.rows, names, count, sample)
        return self._workers is not None

    def _batch(self, rows: Tensor, prepared: Prepared) -> Batch:
        elsewhere: dict[str, Inputs] = {name: {} for name in self.resident}
        batch = self.rows.batch(rows, prepared | elsewhere).to(self.device)
        here = {name: {part: t[batch.rows] for part, t in of.items()} for name, of in self.resident.items()}
        return batch.replace(inputs=batch.inputs | here) if here else batch


def _on_gpu(rows: Rows, device: torch.device) -> dict[str, Inputs]:
    """The prepared cells that lie in a GPU's memory, by view, the smallest first."""
    if device.type != "cuda":
        return {}
    room = SHARE * torch.cuda.mem_get_info(device)[0]
    sizes = {name: sum(tensor.nbytes for tensor in cells.values()) for name, cells in rows.cached.items()}
    resident: dict[str, Inputs] = {}
    for name in sorted(sizes, key=lambda name: sizes[name]):
        room -= sizes[name]
        if room < 0:
            break
        resident[name] = {part: moved(tensor, device) for part, tensor in rows.cached[name].items()}
    return resident


def ahead(values: Iterator[T], most: int = READY) -> Iterator[T]:
    """The same values, the next ones made in a thread while one is used."""
    made: queue.Queue[tuple[Callable[[], T] | None]] = queue.Queue(most)
    ended = threading.Event()

    def put(value: Any) -> bool:
        while not ended.is_set():
            try:
                made.put((value,), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for value in values:
                if not put(lambda value=value: value):
                    return
            put(None)
        except BaseException as error:
            put(lambda error=error: _raise(error))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (give := made.get()[0]) is not None:
            yield give()
    finally:
        ended.set()
        thread.join()


def _raise(error: BaseException) -> Any:
    raise error
