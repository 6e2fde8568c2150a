"""Choosing a light alignment by cross-validated retrieval on the training pairs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bouba.align.light import Anchored, Coordinates, Correlated, Pairs, Regressed
from bouba.align.maps import Joined, Map, main_directions, mean_weights, unit
from bouba.align.things import Things
from bouba.metrics.hubs import csls_offsets

Alignment = Correlated | Regressed | Anchored
FAMILIES: dict[str, tuple[Alignment, ...]] = {
    "cca": (*map(Correlated, (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)), Correlated(0.5, 2.0), Correlated(0.7, 2.0)),
    "kernel-cca": tuple(map(Correlated, (0.1, 0.3, 0.5, 0.7, 0.9))),
    "procrustes": (Correlated(0.5, 0.0), Correlated(0.95, 0.0)),
    "pls": (Correlated(1.0, 0.5), Correlated(1.0, 1.0)),
    "ridge": (Regressed(0.1), Regressed(0.5), Regressed(0.9)),
    "ridge back": (Regressed(0.1, True), Regressed(0.5, True), Regressed(0.9, True)),
    "asif": (Anchored(32, 4.0), Anchored(100, 8.0)),
}
"""Family -> its alignments. Those of "kernel-cca" work on the coordinates of a Gaussian kernel."""
MEANS = (
    ("kernel-cca", "cca", "ridge", "ridge back", "asif"),
    ("kernel-cca", "ridge", "asif"),
)
"""Families whose standardised scores are averaged, each by its best alignment."""
FOLDS = ((300, 5), (800, 3))  # things below which so many folds are made; two above
MANY, KEPT = 300, 1  # things from which only so many alignments of a family go on after the first fold
JUDGED, KNOWN = 300, 400  # things that judge a fold, and cells that its hubness is measured by, at most
CORRECTED = 1.0  # of the offsets, where hubness is corrected
FEWEST = 6  # things below which nothing is chosen, and DEFAULT is taken
DEFAULT = ("cca", Correlated(0.9))
WIDTH = 512  # of what is joined, at most


@dataclass(frozen=True)
class Candidate:
    """One way that was tried.

    Args:
        name: of a family, or of several joined by "+". settings: of its alignment, for people.
        score: mean over folds and both directions of 1 / log2(1 + rank of the first right answer), from 0 to 1.
        corrected: the same with hubness corrected. chosen: whether it was taken.
    """

    name: str
    settings: str
    score: float
    corrected: float
    chosen: bool = False

    @property
    def best(self) -> float:
        return max(self.score, self.corrected)


@dataclass
class Trial:
    """What folds found of one way."""

    plain: list[float] = field(default_factory=list)
    corrected: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        return float(max(np.mean(self.plain), np.mean(self.corrected)))


@dataclass(frozen=True)
class Problem:
    """Cells of two sides and the pairs among them.

    Args:
        linear, kernel: (coordinates of a, of b). rows_a, rows_b: (p,) the cells of each pair.
        things: what the pairs show.
    """

    linear: tuple[Coordinates, Coordinates]
    kernel: tuple[Coordinates, Coordinates]
    rows_a: np.ndarray
    rows_b: np.ndarray
    things: Things

    @classmethod
    def of(
        cls, a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray, things: Things, random_state: int
    ) -> Problem:
        """From features of the cells, (n_a, d_a) and (n_b, d_b)."""
        linear = (Coordinates.linear(a), Coordinates.linear(b))
        kernel = (Coordinates.gaussian(a, random_state), Coordinates.gaussian(b, random_state))
        return cls(linear, kernel, rows_a, rows_b, things)

    def coordinates(self, family: str) -> tuple[Coordinates, Coordinates]:
        return self.kernel if family == "kernel-cca" else self.linear

    def solved(self, ways: Mapping[str, Sequence[Alignment]], pairs: np.ndarray) -> dict[tuple[str, Alignment], tuple]:
        """(family, alignment) -> maps of coordinates, from some of the pairs."""
        rows = self.rows_a[pairs], self.rows_b[pairs]
        by_kernel = {name: Pairs(*self.coordinates(name), *rows) for name in ("cca", "kernel-cca")}
        return {
            (family, way): way.solve(by_kernel["kernel-cca" if family == "kernel-cca" else "cca"])
            for family, alignments in ways.items()
            for way in alignments
        }


def choose(problem: Problem, families: Sequence[str], random_state: int) -> tuple[list[Candidate], list, bool]:
    """The candidates, tried; the (family, alignment, weight) that are taken; and whether hubness is corrected."""
    ways: dict[str, Sequence[Alignment]] = {family: FAMILIES[family] for family in families}
    if problem.things.apart < FEWEST:
        family, way = next(((f, ways[f][0]) for f in families if f != DEFAULT[0]), DEFAULT)
        family, way = DEFAULT if DEFAULT[0] in families else (family, way)
        return [Candidate(family, _settings(way), np.nan, np.nan, True)], [(family, way, 1.0)], False
    trials: dict[tuple, Trial] = {}
    for number, (training, judged) in enumerate(folds(problem.things.together, random_state)):
        if number == 1 and problem.things.apart >= MANY:
            ways = {f: _best(f, ways[f], trials, KEPT) for f in families}
        _try(problem, ways, training, judged, trials, random_state)
    best = {f: (f, *_best(f, ways[f], trials, 1)) for f in families}
    means = [names for names in MEANS if set(names) <= set(families)]
    for training, judged in folds(problem.things.together, random_state) if means else ():
        _try_means(problem, [[best[name] for name in names] for names in means], training, judged, trials, random_state)
    return _chosen(trials)


def _best(family: str, alignments: Sequence[Alignment], trials: Mapping[tuple, Trial], n: int) -> list[Alignment]:
    """The n best alignments of a family so far."""
    return sorted(alignments, key=lambda way: -trials[family, way].best)[:n]


def _chosen(trials: Mapping[tuple, Trial]) -> tuple[list[Candidate], list, bool]:
    most = max(len(trial.plain) for trial in trials.values())
    key = max((each for each, trial in trials.items() if len(trial.plain) == most), key=lambda each: trials[each].best)
    taken = key if isinstance(key[0], tuple) else (key,)
    weights = mean_weights([float(np.mean(trials[part].spread)) for part in taken])
    candidates = [
        Candidate(
            " + ".join(family for family, _ in parts),
            " + ".join(_settings(way) for _, way in parts),
            float(np.mean(trial.plain)),
            float(np.mean(trial.corrected)),
            each == key,
        )
        for each, trial in trials.items()
        for parts in [each if isinstance(each[0], tuple) else (each,)]
    ]
    candidates.sort(key=lambda candidate: -candidate.best)
    corrects = bool(np.mean(trials[key].corrected) > np.mean(trials[key].plain))
    return candidates, [(family, way, w) for (family, way), w in zip(taken, weights, strict=True)], corrects


def _settings(way: Alignment) -> str:
    match way:
        case Correlated(ridge, power):
            return f"ridge {ridge:g}" + (f", rho^{power:g}" if power != 1 else "")
        case Regressed(ridge, _):
            return f"ridge {ridge:g}"
        case Anchored(largest, power):
            return f"{largest} largest, power {power:g}"


def folds(together: np.ndarray, random_state: int):
    """(training, judged) numbers of rows; those with an equal number in `together` (n,) are on one side."""
    distinct, of_pair = np.unique(together, return_inverse=True)
    random = np.random.default_rng(random_state)
    count = min(len(distinct), next((folds for below, folds in FOLDS if len(distinct) < below), 2))
    fold = np.empty(len(distinct), int)
    fold[random.permutation(len(distinct))] = np.arange(len(distinct)) % count
    for number in range(count):
        judged = np.flatnonzero(fold == number)[:JUDGED]
        yield np.flatnonzero(fold[of_pair] != number), np.flatnonzero(np.isin(of_pair, judged))


@dataclass(frozen=True)
class _Fold:
    """Embeddings of a fold's cells: judged, and known ones that hubness is measured by; and which judged cells fit."""

    judged: tuple[np.ndarray, np.ndarray]
    known: tuple[np.ndarray, np.ndarray]
    fits: np.ndarray

    def scores(self) -> tuple[float, float, float]:
        """Without and with hubness corrected, and the spread of similarities."""
        a, b = self.judged
        similarities = a @ b.T
        plain, corrected = [], []
        for scores, gallery, asking, fits in (
            (similarities, b, self.known[0], self.fits),
            (similarities.T, a, self.known[1], self.fits.T),
        ):
            plain.append(discounted(scores, fits))
            corrected.append(discounted(scores - CORRECTED * csls_offsets(gallery, asking) / 2, fits))
        return float(np.mean(plain)), float(np.mean(corrected)), float(similarities.std())


def discounted(scores: np.ndarray, fits: np.ndarray) -> float:
    """Mean of 1 / log2(1 + rank) of the first cell that fits, ties against it."""
    best = np.where(fits, scores, -np.inf).max(1, keepdims=True)
    ranks = 1 + ((scores >= best) & ~fits).sum(1)
    return float(np.mean(1 / np.log2(1 + ranks)))


def _fold_of(
    problem: Problem, maps: Sequence[tuple], weights: Sequence[float], training, judged, random_state
) -> _Fold:
    """Of several (family, maps of coordinates), joined by weights."""
    random = np.random.default_rng(random_state)
    known = np.sort(random.permutation(training)[:KNOWN])
    cells = [(np.unique(rows[judged]), np.unique(rows[known])) for rows in (problem.rows_a, problem.rows_b)]
    embedded = [
        [
            np.hstack(
                [
                    np.sqrt(w) * unit(found[side](problem.coordinates(family)[side].values[rows]))
                    for (family, found), w in zip(maps, weights, strict=True)
                ]
            )
            for rows in cells[side]
        ]
        for side in (0, 1)
    ]
    thing = [
        dict(zip(rows[judged].tolist(), problem.things.shown[judged])) for rows in (problem.rows_a, problem.rows_b)
    ]
    of_a, of_b = (np.array([thing[side][cell] for cell in cells[side][0].tolist()]) for side in (0, 1))
    (a, known_a), (b, known_b) = embedded
    return _Fold((a, b), (known_a, known_b), of_a[:, None] == of_b)


def _try(problem: Problem, ways, training, judged, trials: dict[tuple, Trial], random_state: int) -> None:
    for (family, way), found in problem.solved(ways, training).items():
        fold = _fold_of(problem, [(family, found)], [1.0], training, judged, random_state)
        _note(trials.setdefault((family, way), Trial()), fold.scores())


def _try_means(problem: Problem, means, training, judged, trials: dict[tuple, Trial], random_state: int) -> None:
    needed = dict.fromkeys(part for parts in means for part in parts)
    ways = {family: [way for f, way in needed if f == family] for family, _ in needed}
    solved = problem.solved(ways, training)
    for parts in means:
        weights = mean_weights([float(np.mean(trials[part].spread)) for part in parts])
        maps = [(part[0], solved[part]) for part in parts]
        fold = _fold_of(problem, maps, weights, training, judged, random_state)
        _note(trials.setdefault(tuple(parts), Trial()), fold.scores())


def _note(trial: Trial, scores: tuple[float, float, float]) -> None:
    for values, score in zip((trial.plain, trial.corrected, trial.spread), scores, strict=True):
        values.append(score)


def joined(
    problem: Problem, taken: Sequence[tuple[str, Alignment, float]], width: int = WIDTH
) -> tuple[tuple[Joined, Joined], tuple[np.ndarray, np.ndarray]]:
    """Maps of features of what was taken, solved from all pairs, onto so many directions of training cells at most; and
    the embeddings of the cells of both sides."""
    everything = np.arange(len(problem.things))
    weights = tuple(weight for _, _, weight in taken)
    solved = problem.solved({family: [way] for family, way, _ in taken}, everything)
    parts: tuple[list[Map], list[Map]] = ([], [])
    vectors: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for family, way, weight in taken:
        found = solved[family, way]
        for side, coordinates in enumerate(problem.coordinates(family)):
            parts[side].append(coordinates.on_features(found[side]))
            vectors[side].append(np.sqrt(weight) * unit(found[side](coordinates.values)))
    a, b = (np.hstack(side) for side in vectors)
    projection = None
    if a.shape[1] > width:
        projection = main_directions(a, b, width)
        a, b = unit(a @ projection), unit(b @ projection)
    maps = Joined(tuple(parts[0]), weights, projection), Joined(tuple(parts[1]), weights, projection)
    return maps, (a, b)
