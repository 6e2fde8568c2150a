"""Ctrl-C and signals during training: the step under way is finished first."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
import torch.distributed as dist

from bouba.nn.gather import world_size

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SAME = 1.0
"""Seconds within which a launcher of several processes repeats a signal that reached them already."""


class Stopping:
    """Notes the first signal; the second of its kind does at once what it did before."""

    def __init__(self) -> None:
        self.number, self._when = 0, 0.0
        self._before: dict[int, object] = {}

    def install(self) -> None:
        """Take the signals over, but those that are ignored, as under nohup."""
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._note)

    def restore(self) -> None:
        """Hand the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number != number:
            self.number, self._when = number, time.monotonic()
        elif world_size() == 1 or time.monotonic() - self._when > SAME:
            self.restore()
            signal.raise_signal(number)

    def agreed(self, device: torch.device, *, now: bool = True) -> int:
        """The number of the signal that any of the processes got; 0 for none. All of them call it together.

        Args:
            now: whether to wait for the device, if the others have to be asked; else none is told of.
        """
        if world_size() == 1:
            return self.number
        if not now:
            return 0
        number = torch.tensor(self.number, device=device)
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return int(number)

    @property
    def name(self) -> str:
        """What stopped it, in words."""
        number = signal.Signals(self.number or signal.SIGINT)
        return "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"


@contextmanager
def signals_noted(folder: object) -> Iterator[Stopping]:
    """Inside, signals are noted, in the main thread and where there is a folder to save into."""
    stopping = Stopping()
    if folder is None or threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    stopping.install()
    try:
        yield stopping
    finally:
        stopping.restore()
