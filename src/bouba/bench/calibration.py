"""bouba bench calibration: do sets hold the true partner as often as they promise, and is a confidence what it says?

FewPairs is fitted on half of the emoji concepts in one style (Noto), by frozen encoders. The other half are questions,
English captions asked for their drawing among all of that half and back. They are cut in two at random, again and
again: one part gives the cut and the curve of confidence, as the held-out rows of a run do, the other part is judged.

    coverage, %     share of questions whose partner is in its set; should be what --sure says
    set             rows in a set, the median
    false alarm, %  share of questions with an answer of which "nothing here fits" is said
    alarm, %        the same where the answer was taken away
    AUROC           of the best score, with the answer against without
    confidence, %   expected calibration error of the confidence of the ten best hits
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import FewPairs
from bouba.bench.frozen_emoji import TOWERS, captioned_drawings
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.data.split import split
from bouba.data.views import Views
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table, with_interval
from bouba.metrics import expected_calibration_error
from bouba.metrics.similarity import similarities
from bouba.search.certainty import LOOKED_AT, Direction

COLUMNS = ("coverage", "set", "false alarm", "alarm", "AUROC", "confidence")
PERCENT = ("coverage", "false alarm", "alarm", "confidence")


def command(
    sure: Annotated[float, typer.Option(help="What sets promise.")] = 0.9,
    splits: Annotated[int, typer.Option(help="Cuts of the questions, a seed.")] = 200,
    seeds: Annotated[int, typer.Option(help="Models, each of concepts of its own.")] = 3,
    out: Out = None,
) -> None:
    """Coverage of sets, false alarms and the calibration of confidence on questions that gave no cut."""
    views = captioned_drawings()
    keeper = Keeper(out, lambda: fingerprint(views))
    directions: dict[str, list[dict[str, float]]] = {}
    for seed in range(seeds):
        parts = split(views, {"train": 0.5, "test": 0.5}, random_state=seed)
        for direction, scores in scored(parts["train"], parts["test"]).items():
            directions.setdefault(direction, []).append(measure(scores, sure, splits, seed))
    figures = {"sure": sure, "splits": splits, "directions": directions}
    keeper.write(figures)
    print_tables(tables(figures))


def scored(training: Views, test: Views) -> dict[str, np.ndarray]:
    """Direction -> scores (n, n) of n questions among n cells, that of the partner on the diagonal, hubness corrected
    where the model does."""
    model = FewPairs(TOWERS).fit(training)
    z = model.embed(test)
    offsets = model.hub_offsets(z)
    return {f"{a}->{b}": similarities(z[a], z[b]) - offsets.get(b, 0.0) / 2 for a in z for b in z if a != b}


def measure(scores: np.ndarray, sure: float, splits: int, seed: int) -> dict[str, float]:
    """COLUMNS, means over splits of the questions; how many splits, and how many cells.

    Args:
        scores: (n, n), that of the partner on the diagonal. sure: what sets promise.
    """
    random = np.random.default_rng(seed)
    own = np.eye(len(scores), dtype=bool)
    rows = []
    for _ in range(splits):
        order = random.permutation(len(scores))
        known, new = order[: len(order) // 2], order[len(order) // 2 :]
        direction = Direction.of("question", "answer", [(scores[i], own[i]) for i in known])
        cut, rest = direction.cut(sure), scores[new]
        wrong = np.where(own[new], -np.inf, rest)
        best = np.argsort(-rest, axis=1)[:, :LOOKED_AT]
        sureness = np.interp(np.take_along_axis(rest, best, 1), *direction.curve).ravel()
        right = np.take_along_axis(own[new], best, 1).ravel()
        rows.append(
            {
                "coverage": float((scores[new, new] >= cut).mean()),
                "set": float(np.median((rest >= cut).sum(1))),
                "false alarm": float((rest.max(1) < cut).mean()),
                "alarm": float((wrong.max(1) < cut).mean()),
                "AUROC": direction.auroc,
                "confidence": expected_calibration_error(right.astype(int), np.stack([1 - sureness, sureness], 1)),
            }
        )
    means = {name: float(np.mean([row[name] for row in rows])) for name in COLUMNS}
    return means | {"splits": len(rows), "cells": len(scores)}


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "calibration": a line a direction."""
    lines = []
    for direction, seeds in figures["directions"].items():
        percent = {name: 100.0 if name in PERCENT else 1.0 for name in COLUMNS}
        columns = {name: [percent[name] * seed[name] for seed in seeds] for name in COLUMNS}
        lines.append([direction, *(with_interval(columns[name], 2 if name == "AUROC" else 1) for name in COLUMNS)])
    header = ["question->answer", *(f"{name}, %" if name in PERCENT else name for name in COLUMNS)]
    first = next(iter(figures["directions"].values()))
    note = (
        f"Sets of {figures['sure']:.0%} among {first[0]['cells']:,} cells. Means of {len(first)} models, each of "
        f"concepts of its own, with 95% intervals (Student t); {figures['splits']} cuts of the questions each. Alarm: "
        "what has no answer here is called so; false alarm: what has one."
    )
    return {"calibration": Table(header, lines, note=note)}
