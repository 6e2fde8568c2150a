"""What a search for settings tried, as plain data: kept in the run folder, shown in the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bouba.declared import refuse_misfits
from bouba.errors import DataError
from bouba.files import read_json

FILE = "study.json"
DONE, PRUNED, FAILED, OUT_OF_TIME = "done", "stopped early", "failed", "out of time"


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    Args:
        number: from 0, in the order of time. method: name. plain: whether it is the recipe that nobody tuned.
        settings: name -> value, of what differs from the plain recipe.
        state: "done", "stopped early" (others were ahead of it), "out of time" or "failed".
        score: on the validation rows, higher is better; None where it was not finished.
        seconds: that it took. ended: seconds of the whole search when it ended. why: what failed.
    """

    number: int
    method: str
    plain: bool
    settings: Mapping[str, Any]
    state: str
    score: float | None
    seconds: float
    ended: float
    why: str = ""


@dataclass(frozen=True)
class Study:
    """The trials of a search, and which was taken.

    Args:
        metric: what the score is called. fitted, judged: rows that each trial was fitted and judged on.
        limit: seconds that the search had. clock: "minutes" or "CPU minutes".
        trials: in the order of time. chosen: number of the one that was taken. why: in a sentence.
        refused: method -> why it does not suit the table.
    """

    metric: str
    fitted: int
    judged: int
    limit: float
    clock: str
    trials: Sequence[Trial]
    chosen: int
    why: str
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def winner(self) -> Trial:
        """The trial that was taken."""
        return next(trial for trial in self.trials if trial.number == self.chosen)

    @property
    def limit_words(self) -> str:
        """The time it had, in words."""
        return f"{self.limit / 60:g} {self.clock}"

    @property
    def best_so_far(self) -> list[tuple[float, float]]:
        """(seconds since the start, best score by then), each time that it rose."""
        curve: list[tuple[float, float]] = []
        for trial in self.trials:
            if trial.state == DONE and trial.score is not None and (not curve or trial.score > curve[-1][1]):
                curve.append((trial.ended, trial.score))
        return curve

    @property
    def by_score(self) -> list[Trial]:
        """The trials, best first; those without a score last."""
        worst = float("-inf")
        return sorted(self.trials, key=lambda t: (t.state != DONE, -(worst if t.score is None else t.score), t.number))

    def save(self, folder: Path) -> None:
        """Write study.json into a run folder."""
        from bouba import durable

        durable.write_text(folder / FILE, json.dumps(asdict(self), ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Study | None:
        """The search that a run folder came of; None where there was none. DataError where the file is damaged."""
        if not (folder / FILE).exists():
            return None
        facts = read_json(folder / FILE)
        try:
            refuse_misfits(cls, facts)
            for trial in facts["trials"]:
                refuse_misfits(Trial, trial)
            return cls(**{**facts, "trials": [Trial(**trial) for trial in facts["trials"]]})
        except (TypeError, ValueError, KeyError) as error:
            raise DataError(f"{folder / FILE} is damaged: {error}") from error
