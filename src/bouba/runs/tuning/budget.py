"""The time that a search has, of the clock on the wall or of the processor."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bouba.errors import UsageError

MINUTES, CPU_MINUTES = "minutes", "CPU minutes"


@dataclass(frozen=True)
class Limit:
    """How long a search may take.

    Args:
        seconds: in all, of the trials and of the fit of the winner; measuring, index and report come on top.
        clock: "minutes" or "CPU minutes". trials: how many at most; None for no limit.
    """

    seconds: float
    clock: str = MINUTES
    trials: int | None = None

    @classmethod
    def of(cls, minutes: float, cpu_minutes: float | None, trials: int | None) -> Limit:
        """From what a caller says. UsageError for no time at all."""
        given = minutes if cpu_minutes is None else cpu_minutes
        if not 0 < given < float("inf") or (trials is not None and trials < 1):
            raise UsageError(f"a search needs minutes above 0 and a trial or more, got {given!r} and {trials!r}")
        return cls(60 * given, MINUTES if cpu_minutes is None else CPU_MINUTES, trials)


class Budget:
    """Seconds spent and left.

    Args:
        limit: see Limit. used: seconds that an earlier process spent on the same search.
    """

    def __init__(self, limit: Limit, used: float = 0.0):
        self.limit, self.used = limit, used
        self._clock = time.process_time if limit.clock == CPU_MINUTES else time.monotonic
        self._began = self._clock()

    @property
    def spent(self) -> float:
        """Seconds of the whole search."""
        return self.used + self._clock() - self._began

    def is_over(self, reserve: float) -> bool:
        """Whether what is left is less than so many seconds, those that the winner's fit will take."""
        return self.spent + reserve >= self.limit.seconds
