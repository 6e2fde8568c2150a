"""Flat records -> comparable rows, and what can be concluded from them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.errors import DataError
from bouba.report.wording import has_best, in_units, lower_is_better, number, percent


@dataclass(frozen=True)
class Score:
    """One method on one task: a value, its interval, and what chance would give."""

    method: str
    metric: str
    value: float
    low: float | None
    high: float | None
    chance: float | None
    n: int | None
    runs: int = 1

    @property
    def like_chance(self) -> bool:
        """Whether the interval does not lie on the good side of chance."""
        if self.chance is None or self.low is None or self.high is None:
            return False
        return self.high >= self.chance if lower_is_better(self.metric) else self.low <= self.chance


@dataclass(frozen=True)
class Row:
    """One task (split x domain x direction x metric) with the score of every method that did it."""

    split: str
    domain: str
    direction: str
    metric: str
    scores: Mapping[str, Score]

    @property
    def fraction(self) -> bool:
        """Whether values are shares in [0, 1], shown as percentages."""
        values = [score.value for score in self.scores.values()]
        return not in_units(self.metric) and all(0 <= value <= 1 for value in values)

    @property
    def chance(self) -> float | None:
        """What blind choice would score."""
        return next((score.chance for score in self.scores.values() if score.chance is not None), None)

    @property
    def n(self) -> int | None:
        """How many questions were asked."""
        return next((score.n for score in self.scores.values() if score.n is not None), None)

    @property
    def ranked(self) -> list[Score]:
        """Scores, best first."""
        sign = 1 if lower_is_better(self.metric) else -1
        return sorted(self.scores.values(), key=lambda score: sign * score.value)

    @property
    def winner(self) -> str | None:
        """The best method if its interval lies clear of every other one's, else None."""
        if not has_best(self.metric):
            return None
        best, *others = self.ranked
        intervals = all(score.low is not None and score.high is not None for score in (best, *others))
        return best.method if others and intervals and not any(self.overlap(best, o) for o in others) else None

    @staticmethod
    def overlap(one: Score, other: Score) -> bool:
        """Whether two intervals, both known, share a value."""
        if one.low is None or one.high is None or other.low is None or other.high is None:
            return False
        return one.low <= other.high and other.low <= one.high

    def show(self, value: float | None) -> str:
        """A value in the unit of this row; '' for none."""
        if value is None:
            return ""
        return percent(value) if self.fraction else number(value)

    def interval(self, score: Score) -> str:
        """'38.0–44.1%', or '' where there is none."""
        if score.low is None or score.high is None:
            return ""
        if self.fraction:
            return f"{100 * score.low:.1f}–{100 * score.high:.1f}%"
        return f"{number(score.low)}–{number(score.high)}"


def read_rows(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Records -> rows, in order of first appearance.

    Records that differ only in their seed become one score: the mean value, and the interval that covers the
    intervals of all runs.
    """
    cells: dict[tuple[str, str, str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for place, record in enumerate(records):
        missing = [key for key in ("method", "metric", "value") if record.get(key) is None]
        if missing:
            raise DataError(f"record {place} lacks {', '.join(missing)}; give one flat mapping per score")
        if _finite(record["value"]) is None:
            continue
        keys = ("split", "domain", "direction")
        split, domain, direction = ("" if record.get(key) is None else str(record[key]) for key in keys)
        task = (split, domain, direction, str(record["metric"]))
        cells.setdefault(task, {}).setdefault(str(record["method"]), []).append(record)
    return [
        Row(*task, {method: _merge(method, task[-1], runs) for method, runs in methods.items()})
        for task, methods in cells.items()
    ]


def _merge(method: str, metric: str, runs: Sequence[Mapping[str, Any]]) -> Score:
    def column(key: str) -> list[float]:
        values = (_finite(run.get(key)) for run in runs)
        return [value for value in values if value is not None]

    values, lows, highs = column("value"), column("low"), column("high")
    chances, sizes = column("chance"), column("n")
    return Score(
        method=method,
        metric=metric,
        value=sum(values) / len(values),
        low=min(lows) if len(lows) == len(runs) else None,
        high=max(highs) if len(highs) == len(runs) else None,
        chance=sum(chances) / len(chances) if chances else None,
        n=int(sizes[0]) if sizes else None,
        runs=len(runs),
    )


def _finite(value: object) -> float | None:
    """A finite float, else None."""
    if value is None or isinstance(value, str):
        return None
    try:
        converted = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return converted if math.isfinite(converted) else None
