"""What a fit does after, and besides, training: a line a stage, with the time left where it can be known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")
PAUSE = 5.0
"""Seconds between two lines of one stage."""
TIME = "time on this machine"
"""What `time_spent` is called among the facts of a report."""


class Stages:
    """Says what is being done.

    Args:
        say: takes a line. clock: seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self.say, self.clock = say, clock

    def begin(self, stage: str, detail: str) -> None:
        """A stage of which no part can be counted."""
        self.say(f"{stage}: {detail}")

    def each(self, stage: str, parts: Sequence[Item], detail: Callable[[Item], str]) -> Iterator[Item]:
        """The parts of a stage one by one; a line for the first, and then one when some seconds have passed.

        Args:
            stage: its name. parts: what is done one after another, each about as long as the others.
            detail: what is done with a part, in words.
        """
        began = last = self.clock()
        for done, part in enumerate(parts):
            now = self.clock()
            if not done:
                self.say(f"{stage}: {detail(part)}")
            elif now - last >= PAUSE:
                left = (now - began) / done * (len(parts) - done)
                self.say(f"{stage}: {detail(part)}, {done} of {len(parts)} done, about {duration(left)} left")
                last = now
            yield part


class Clock:
    """Where the time went, in seconds: called at the end of a stage, with its name."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.last, self.spent = clock, clock(), dict[str, float]()

    def __call__(self, stage: str) -> None:
        now = self.clock()
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self.last
        self.last = now


def time_spent(seconds: Mapping[str, float]) -> str:
    """Where the time went, in words; stages of less than half a second count in the sum alone.

    >>> time_spent({"read": 0.2, "train": 41.3, "index": 3.1})
    '45 s: train 41 s, index 3 s'
    """
    parts = ", ".join(f"{stage} {duration(spent)}" for stage, spent in seconds.items() if spent >= 0.5)
    return ": ".join(filter(None, (duration(sum(seconds.values())), parts)))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
