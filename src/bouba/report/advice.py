"""Whether a model is good enough, and what would help most: two sentences, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.evaluation.differences import Difference
from bouba.report.contest import Contest
from bouba.report.headline import headline, ordered
from bouba.report.scores import Row, Score, read_rows
from bouba.report.wording import percent

WIDE = 0.3  # width of an interval that says too little
RELIABLE, USEFUL = 0.8, 0.4  # of the way from chance to 1
GAIN = 0.02  # that all training rows bring over half of them, to be worth naming
LITTLE = 0.03  # the upper end of such a gain, below which more rows would bring little
GAP, NO_GAP = 0.1, 0.05  # between rows of training and new ones
FEWEST = 5  # epochs in which a course can be seen
RECENT = 0.2  # of the epochs: the last ones
FALLING = 0.02  # of all that validation fell: as much in the last epochs is still falling
UNKNOWN = "What would help most cannot be said from what was measured"


@dataclass(frozen=True)
class Evidence:
    """What was measured besides the numbers that a page shows.

    Args:
        pairs: rows of training. solved: whether the model is solved, not trained.
        half: of the model and the same fitted on half of these rows, on the same held-out rows.
        seen: records of the model on rows that it was trained on, as many as were held out.
        history: a row an epoch; "validation" is a loss.
    """

    pairs: int = 0
    solved: bool = False
    half: Sequence[Difference] = ()
    seen: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, Any]] = ()


NO_EVIDENCE = Evidence()


def advice(
    records: Sequence[Mapping[str, Any]], contest: Contest, evidence: Evidence, *, target: str | None = None
) -> str:
    """Whether the model of a contest is good enough in the first number of its page, and what would help most; '' where
    nothing was measured of it."""
    tiles = headline(ordered(read_rows(records), target), target, contest=contest)
    row = tiles[0].row if tiles else None
    if row is None or contest.model not in row.scores:
        return ""
    score = row.scores[contest.model]
    if score.low is None or score.high is None:
        return "Whether the model is good enough cannot be said: its number has no interval."
    if score.high - score.low > WIDE:
        held_out = "few rows were held out" if score.n is None else f"{score.n:,} rows were judged"
        return (
            f"Whether the model is good enough cannot be said: {held_out}, and the range is {_range(score)}. "
            "More rows held out would tell: --holdout, or a larger table."
        )
    if contest.is_behind(row):
        return "The model is not good enough: a baseline does better."
    verdict = _verdict(row, score)
    if _share(row, score.low) >= RELIABLE:
        return f"{verdict}."
    return f"{verdict}. {_help(row, score, evidence)}"


def _verdict(row: Row, score: Score) -> str:
    assert score.low is not None
    assert score.high is not None
    if score.like_chance:
        return f"The model is not good enough: {_range(score)} is no better than blind choice"
    if _share(row, score.low) >= RELIABLE:
        return f"The model is good enough to rely on: {_range(score)} of rows like these"
    if _share(row, score.high) < USEFUL:
        return f"The model is not good enough yet: {_range(score)}"
    return f"The model is good enough to help a person, not to be relied on alone: {_range(score)}"


def _share(row: Row, value: float) -> float:
    """How far a value lies on the way from chance to 1."""
    chance = row.chance or 0.0
    return (value - chance) / (1 - chance) if chance < 1 else 0.0


def _range(score: Score) -> str:
    return f"{100 * (score.low or 0):.0f} to {100 * (score.high or 0):.0f}%"


def _help(row: Row, score: Score, evidence: Evidence) -> str:
    """What would help most, by the first of what was measured that tells."""
    task = (row.domain, row.direction, row.metric)
    half = next((d for d in evidence.half if (d.domain, d.direction, d.metric) == task), None)
    seen = next((r["value"] for r in evidence.seen if (r["domain"], r["direction"], r["metric"]) == task), None)
    falling = still_falling(evidence.history)
    longer = "the validation loss still fell in the last epochs (--resume with more --epochs goes on)"
    if half is not None and half.low > 0 and half.value >= GAIN:
        shares = f"{percent(score.value - half.value, 0)} with half of them, {percent(score.value, 0)} with all"
        return f"More rows would help most: it learnt from {evidence.pairs:,}, and got {shares}."
    if falling:
        return f"Longer training would help most: {longer}."
    if half is not None and half.high < LITTLE:
        return (
            f"More rows of this kind would bring little, as half of the {evidence.pairs:,} did about as well; other "
            "encoders would help most (bouba encoders), or cleaner pairs (bouba inspect --pairs)."
        )
    if seen is not None and seen - score.value >= GAP:
        return (
            f"More rows would help most: it is right for {percent(seen, 0)} of rows that it learnt from and "
            f"{percent(score.value, 0)} of new ones."
        )
    if seen is not None and seen - score.value < NO_GAP:
        others = "other encoders" if evidence.solved or falling is False else "longer training or other encoders"
        return f"It is no better on rows that it learnt from ({percent(seen, 0)}), so {others} would help most."
    if not evidence.solved and falling is None:
        return f"{UNKNOWN}; with --validation 0.1 it would be known whether longer training does."
    return f"{UNKNOWN}."


def still_falling(history: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether the validation loss fell to the end; None where there is none, or too few epochs."""
    losses = [float(row["validation"]) for row in history if row.get("validation") is not None]
    if len(losses) < FEWEST:
        return None
    recent = max(1, round(RECENT * len(losses)))
    before, last = min(losses[:-recent]), min(losses[-recent:])
    return before - last > FALLING * (losses[0] - min(losses)) > 0
