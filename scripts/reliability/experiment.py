"""An experiment, and the tally of its trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Trial = Callable[[int, Path], str | None]
"""(seed, empty folder) -> None where it went well, else what went wrong in a line."""


@dataclass(frozen=True)
class Experiment:
    """Trials of one kind.

    Args:
        name: on the command line. tried: what a trial does. survived: what counts as survived.
        trial: one of them; its seed decides everything that is random.
        trials: how many. few: how many in the short version. seconds: for all of them; those left then are not tried.
        clock: seconds after which a trial hangs. memory: bytes that a worker may ask for on top of what it has after
            importing the trial, None without a limit.
        alone: one trial at a time, where a clock is read.
    """

    name: str
    tried: str
    survived: str
    trial: Trial
    trials: int
    few: int
    seconds: float
    clock: float = 120.0
    memory: int | None = None
    alone: bool = False


@dataclass
class Tally:
    """How the trials of an experiment went: failures are seed -> what went wrong."""

    experiment: Experiment
    planned: int
    tried: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def survived(self) -> int:
        return self.tried - len(self.failures)

    @property
    def whole(self) -> bool:
        """All that was planned was tried, and survived."""
        return self.tried == self.planned and not self.failures

    def row(self) -> str:
        """A row of the table in Markdown."""
        count = str(self.tried) if self.tried == self.planned else f"{self.tried} of {self.planned}"
        experiment = self.experiment
        cells = (experiment.name, experiment.tried, count, self.survived, experiment.survived, f"{self.seconds:.0f}")
        return f"| {' | '.join(map(str, cells))} |"
