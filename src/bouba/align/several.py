"""Three sides or more in one space: CCA of several views, its ridge chosen by held-out retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from bouba.align.canonical import most_components, solve
from bouba.align.choosing import FEWEST, Candidate, Trial, discounted, folds
from bouba.align.maps import Joined, Linear, Map
from bouba.align.moments import Moments
from bouba.align.things import Things
from bouba.metrics.hubs import csls_offsets

RIDGES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
USUAL = 0.7  # where things are too few to choose by


def joined_of_several(
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    things: Things,
    *,
    width: int,
    random_state: int,
) -> tuple[dict[str, Map], list[Candidate], list[np.ndarray]]:
    """view -> its map; the candidates; and the embeddings of every view's training cells.

    Args:
        features: view -> (n, d). present: view -> bool (n,). things: what the rows show.
        width: of the shared space, at most.
    """
    trials = {ridge: Trial() for ridge in RIDGES}
    enough = things.apart >= FEWEST
    for training, judged in folds(things.together, random_state) if enough else ():
        for ridge, trial in trials.items():
            maps = _solved(_rows(features, training), _rows(present, training), ridge, width)
            scores = _scores(maps, features, present, things.shown, training, judged)
            trial.plain.append(scores[0])
            trial.corrected.append(scores[1])
    best = max(trials, key=lambda ridge: trials[ridge].best) if enough else USUAL
    candidates = [
        Candidate("cca", f"ridge {ridge:g}", *_means(trial), ridge == best)
        for ridge, trial in trials.items()
        if enough or ridge == best
    ]
    maps = _solved(features, present, best, width)
    embedded = [maps[view](values[present[view]]) for view, values in features.items()]
    return maps, sorted(candidates, key=lambda candidate: -candidate.best), embedded


def _means(trial: Trial) -> tuple[float, float]:
    return (float(np.mean(trial.plain)), float(np.mean(trial.corrected))) if trial.plain else (np.nan, np.nan)


def _rows(views: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {view: values[rows] for view, values in views.items()}


def _solved(
    features: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray], ridge: float, width: int
) -> dict[str, Map]:
    moments = Moments.of(dict(features), dict(present))
    solution = solve(moments, min(width, most_components(moments.widths)), dict.fromkeys(features, ridge))
    return {
        view: Joined((Linear(side.mean, side.weights * side.emphasis),), (1.0,))
        for view, side in solution.sides.items()
    }


def _scores(maps, features, present, shown, training, judged) -> tuple[float, float]:
    """Held-out retrieval, mean over all directions, without and with hubness corrected."""
    plain, corrected = [], []
    for a, b in combinations(features, 2):
        both = judged[present[a][judged] & present[b][judged]]
        if len(both) < 2:
            continue
        fits = shown[both][:, None] == shown[both]
        for asking, found in ((a, b), (b, a)):
            gallery = maps[found](features[found][both])
            known = maps[asking](features[asking][training[present[asking][training]]])
            scores = maps[asking](features[asking][both]) @ gallery.T
            plain.append(discounted(scores, fits))
            corrected.append(discounted(scores - csls_offsets(gallery, known) / 2, fits))
    return (float(np.mean(plain)), float(np.mean(corrected))) if plain else (0.0, 0.0)
