"""What a model's numbers are worth on held-out rows that have a near-duplicate in training, and on those without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.evaluation import evaluate_predictions
from bouba.evaluation.evaluate import query_scores
from bouba.evaluation.model import as_model
from bouba.evaluation.predictions import domains

FEWEST = 10  # rows without a near-duplicate, below which nothing is said of them
K = 10


def compared(model: Any, judged: Views, twin: np.ndarray) -> str:
    """A sentence with the numbers on all rows and on those without a near-duplicate in training; "" where these are too
    few, or nothing is compared.

    Args:
        judged: held-out rows. twin: bool (n,), those that have one.
    """
    alone = int((~twin).sum())
    if alone < FEWEST or not twin.any():
        return ""
    numbers = [*(_found(model, judged, twin) if model.aligns else ()), *_predicted(model, judged, twin)]
    shown = "; ".join(f"{name} {on_all:.2f}, without them {on_rest:.2f}" for name, on_all, on_rest in numbers)
    return f"On all rows and on the {alone:,} without one: {shown}." if shown else ""


def _found(model: Any, judged: Views, twin: np.ndarray) -> Iterator[tuple[str, float, float]]:
    """Recall of each direction; every row stays in the gallery."""
    embedded = model.embed(judged.observed())
    hits: dict[str, list[np.ndarray]] = {}
    for _, rows in domains(judged, True):
        part = {view: np.asarray(z)[rows] for view, z in embedded.items()}
        for a, b, both, scores in query_scores(judged[rows], part, as_model(model)):
            of_direction = hits.setdefault(f"{a} -> {b}", [])
            of_direction.append(np.stack([scores[f"recall@{K}"], twin[rows][both]], 1))
    for direction, parts in hits.items():
        hit, has_twin = np.concatenate(parts).T
        if (has_twin == 0).sum() >= FEWEST:
            yield f"recall@{K} {direction}", float(hit.mean()), float(hit[has_twin == 0].mean())


def _predicted(model: Any, judged: Views, twin: np.ndarray) -> Iterator[tuple[str, float, float]]:
    """What is predicted from all views."""
    if not model.predicts:
        return
    both = [
        {
            record.metric: record.value
            for record in evaluate_predictions(model, rows, by_domain=False)
            if record.direction == "all" and record.metric.endswith(("_accuracy", "_r2"))
        }
        for rows in (judged, judged[~twin])
    ]
    for metric, value in both[0].items():
        if metric in both[1]:
            yield metric, value, both[1][metric]
