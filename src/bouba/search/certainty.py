"""What a score is worth: how true pairs score that were kept out of training, so that a new score can be judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba import durable
from bouba.errors import DataError
from bouba.files import read_json
from bouba.metrics.conformal import (
    confidence,
    confidence_curve,
    conformal_cut,
    coverage,
    false_alarm_rate,
    presence_auroc,
)

SURE = 0.9
"""Where nobody says how sure a set must be."""
FEWEST = 20  # things held out, below which nothing is said of scores
TOO_WEAK = 0.7  # AUROC below which "nothing here fits" is not said; Hosmer & Lemeshow 2000, section 5.2.4: acceptable
LOOKED_AT = 10  # hits of a question whose confidence is measured
FORMAT = 1


@dataclass(frozen=True)
class Direction:
    """Scores of held-out questions of one view among the cells of another.

    Args:
        question, answer: the views. true: score of each question's true partner, its best where it has several.
        curve: scores, and the confidence at each; see `confidence_curve`.
        auroc: how well the best score tells that the partner is there. cells: that were searched.
        in_set: median number of cells in sets that hold the partner with probability SURE.
    """

    question: str
    answer: str
    true: tuple[float, ...]
    curve: tuple[tuple[float, ...], tuple[float, ...]]
    auroc: float
    cells: int
    in_set: float

    @classmethod
    def of(cls, question: str, answer: str, rows: Iterable[tuple[np.ndarray, np.ndarray]]) -> Direction:
        """From each question's scores (N,) of all cells, and which of them are right (N,), one or more but not all."""
        true, best, best_wrong, looked_at, ordered = [], [], [], [], []
        for scores, right in rows:
            true.append(scores[right].max())
            best.append(scores.max())
            best_wrong.append(scores[~right].max())
            first = np.argsort(-scores, kind="stable")[:LOOKED_AT]
            looked_at.append((scores[first], right[first]))
            ordered.append(np.sort(scores))
        curve = confidence_curve(*(np.concatenate(part) for part in zip(*looked_at, strict=True)))
        cut = conformal_cut(true, SURE)
        sizes = [len(scores) - np.searchsorted(scores, cut) for scores in ordered]
        return cls(
            question,
            answer,
            tuple(map(float, true)),
            (tuple(curve[0].tolist()), tuple(curve[1].tolist())),
            presence_auroc(best, best_wrong),
            len(ordered[0]),
            float(np.median(sizes)),
        )

    @property
    def too_weak(self) -> bool:
        """Whether scores hardly tell whether anything fits."""
        return self.auroc < TOO_WEAK

    def cut(self, sure: float) -> float:
        """The score from which on cells belong to the set; see `conformal_cut`."""
        return conformal_cut(self.true, sure)

    def coverage(self, sure: float = SURE) -> float:
        """Share of true partners in their sets, when half of the questions give the cut for the others."""
        return float(coverage(self.true, sure).mean())

    def confidence(self, score: float) -> float:
        """The probability that a hit with this score is right."""
        return float(confidence(self.curve, score))

    def remark(self, best: float, sure: float) -> str | None:
        """What is to be said of a search whose best score is this one; None where something may fit."""
        if best >= self.cut(sure):
            return None
        if self.too_weak:
            return self.weakness
        rate = false_alarm_rate(self.true, best)
        held_out = f"by {len(self.true):,} that were held out"
        return f"nothing here fits; that is wrong for {rate:.0%} of the questions whose answer is there, {held_out}"

    @property
    def weakness(self) -> str:
        """What is to be said of scores that hardly tell."""
        return (
            f"this model is too weak to tell whether anything fits: the best score tells questions with an answer from "
            f"those without with AUROC {self.auroc:.2f}, a coin with 0.5"
        )


@dataclass(frozen=True)
class Certainty:
    """All directions that were measured."""

    directions: tuple[Direction, ...]

    def direction(self, question: str, answer: str) -> Direction | None:
        """From one view to another; None where it was not measured."""
        return next((each for each in self.directions if (each.question, each.answer) == (question, answer)), None)

    def save(self, file: Path) -> None:
        """Write JSON that `load` restores to the bit."""
        facts = {"format": FORMAT, "directions": [asdict(direction) for direction in self.directions]}
        durable.write_text(file, json.dumps(facts, ensure_ascii=False))

    @classmethod
    def load(cls, file: Path) -> Certainty:
        """What `save` wrote. DataError where it is damaged or of a later bouba."""
        facts = read_json(file)
        try:
            if facts["format"] != FORMAT:
                raise DataError(f"{file} is of format {facts['format']}, this bouba reads {FORMAT}; upgrade bouba")
            return cls(tuple(_direction(**each) for each in facts["directions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{file} is damaged ({error!s:.80}); make the run again") from error


def _direction(true: Sequence[float], curve: Sequence[Sequence[float]], **facts: Any) -> Direction:
    scores, shares = (tuple(map(float, line)) for line in curve)
    return Direction(true=tuple(map(float, true)), curve=(scores, shares), **facts)
