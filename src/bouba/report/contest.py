"""A model among what stands beside it: who is ahead on the same rows, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bouba.evaluation.differences import Difference
from bouba.report.scores import Row, Score
from bouba.report.wording import Methods, lower_is_better, method_title, number


@dataclass(frozen=True)
class Contest:
    """The model that a page is about, and how it differs from its rivals.

    Args:
        model: its name in the records; "" where a page is about several alike.
        differences: of it and each rival, on the same rows. instead: rival -> what to do where it is no worse.
    """

    model: str = ""
    differences: Sequence[Difference] = ()
    instead: Mapping[str, str] = field(default_factory=dict)

    def difference(self, row: Row, rival: str) -> Difference | None:
        """Of the model and a rival in a row of scores; for R^2 that of the mean errors. None where it is not known."""
        metric = row.metric.removesuffix("_r2") + "_mae" if row.metric.endswith("_r2") else row.metric
        task = (self.model, rival, row.domain, row.direction, metric)
        return next((d for d in self.differences if (d.method, d.rival, d.domain, d.direction, d.metric) == task), None)

    def verdict(self, row: Row, methods: Methods) -> str:
        """Whether the model is ahead of its nearest rival; '' where they were not compared row by row."""
        rivals = [score for score in row.ranked if score.method != self.model]
        if self.model not in row.scores or not rivals:
            return ""
        difference = self.difference(row, rivals[0].method)
        if difference is None:
            return ""
        model, rival = (method_title(name, methods) for name in (self.model, rivals[0].method))
        if _is_clear(difference):
            ahead, behind = (model, rival) if _is_better(difference) else (rival, model)
            return f"{ahead} is ahead of {behind} by {_amount(difference)}."
        return f"{model} and {rival} cannot be told apart: they differ by {_amount(difference)}."

    def is_behind(self, row: Row) -> bool:
        """Whether a rival is clearly ahead of the model on the same rows."""
        difference = self.difference(row, row.ranked[0].method)
        return difference is not None and _is_clear(difference) and not _is_better(difference)

    def warning(self, row: Row, methods: Methods) -> str:
        """A sentence for a model that a rival is ahead of, with what to do; '' where none is."""
        best = row.ranked[0]
        if self.model not in row.scores or best.method == self.model or _equal(best, row.scores[self.model]):
            return ""
        model, rival = (method_title(name, methods) for name in (self.model, best.method))
        difference = self.difference(row, best.method)
        if difference is None:
            text = f"A baseline, {rival}, does better than {model}"
        elif _is_clear(difference):
            text = f"A baseline, {rival}, beats {model} by {_amount(difference)}"
        else:
            text = f"{model} is no better than a baseline: {rival} is ahead by {_amount(difference)}, perhaps by chance"
        instead = self.instead.get(best.method)
        return f"{text}. {instead}" if instead else f"{text}."


def _is_clear(difference: Difference) -> bool:
    return difference.low > 0 or difference.high < 0


def _is_better(difference: Difference) -> bool:
    return (difference.value < 0) == lower_is_better(difference.metric)


def _equal(one: Score, other: Score) -> bool:
    return one.value == other.value


def _amount(difference: Difference) -> str:
    """'9.2 points (95% interval 3.1 to 15.3, the same 184 rows)', without a sign where it is clear who is ahead."""
    sign = 1 if difference.value >= 0 else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    in_units = difference.metric.endswith("_mae")
    show = (lambda x: number(float(f"{x:.3g}"))) if in_units else (lambda x: f"{round(100 * x, 1) + 0.0:.1f}")
    unit = " of mean error" if in_units else " points"
    interval = f"95% interval {show(low)} to {show(high)}, the same {difference.n:,} rows"
    return f"{show(abs(difference.value))}{unit} ({interval})"
