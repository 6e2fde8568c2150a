"""Cells without a partner teach, too: what pairs have taught guesses their partners, and the guesses teach again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bouba.align.canonical import solve
from bouba.align.light import Coordinates
from bouba.align.maps import Joined, Linear, Map, mean_weights, unit
from bouba.align.moments import Moments
from bouba.metrics.hubs import csls_offsets

NEAREST = 10  # cells that a walk can step to
ONWARD, STEPS = 0.8, 30  # the share of walks that take another step, and after how many none does
LANDMARKS = 500  # pairs that walks may meet, at most
SINGLES = 3000  # cells without a partner that are used of a side, at most
SHARPNESS = 2.0  # of guesses, over standardised scores
GUESSED = 0.3  # what a guessed pair counts, as a share of a true one
RIDGE, WIDTH = 0.7, 128  # of the map that guesses teach
FEWEST = 2  # cells of each side without a partner, below which they teach nothing


class Cells(NamedTuple):
    """Features of one side: of the cells of each pair (p, d), and of cells without a partner (n, d)."""

    paired: np.ndarray
    single: np.ndarray


def cells_of(
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    sides: Mapping[str, str],
    paired: Mapping[str, np.ndarray],
    random_state: int,
) -> dict[str, Cells]:
    """Side -> its cells, from the features (n, d) of every view.

    Args:
        sides: view -> its side. paired: side -> (p, d) features of the cells of each pair.
    """
    random, cells = np.random.default_rng(random_state), {}
    for side, of_pairs in paired.items():
        others = np.any([present[view] for view, of in sides.items() if of != side], axis=0)
        single = [features[view][present[view] & ~others] for view, of in sides.items() if of == side]
        stacked = np.concatenate(single)
        cells[side] = Cells(of_pairs, stacked[np.sort(random.permutation(len(stacked))[:SINGLES])])
    return cells


def taught_by_singles(
    maps: tuple[Map, Map], sides: tuple[Cells, Cells], rounds: int, random_state: int
) -> tuple[Map, Map]:
    """Maps of two sides that also know cells without a partner.

        scores    CSLS of the given maps, of random walks, and from the second round on of what guesses have taught,
                  each standardised, in sum
        guesses   P = Sinkhorn(exp(2 scores)): every cell has one partner in all, and so has its partner
        taught    kernel CCA of true pairs, and of guessed ones by P, weighed 0.3
        walks     over the 10 nearest neighbours of each cell within its own view, paired or not: which pairs they
                  meet is compared, so that a cell far from every pair is known by the cells between

    The dot product of the joined maps is the mean of the given one's and the taught one's, each divided by its spread
    over the true pairs. Without cells on both sides the maps are returned as they are.

    Args:
        maps: of features, learnt from pairs. rounds: how often guesses are made and learnt from, 1 or more.
        random_state: of the cells that the kernels are spanned by.

    Reference: Artetxe, Labaka and Agirre 2018, A robust self-learning method for fully unsupervised cross-lingual
    mappings (self-learning over CSLS); Cuturi 2013 (Sinkhorn). Departures: guesses are soft and as many as there are
    cells, instead of mutual nearest neighbours; walks.
    """
    if min(len(side.single) for side in sides) < FEWEST:
        return maps
    kernels = [Coordinates.gaussian(np.vstack(side), random_state) for side in sides]
    walks = _standard_scores(*_met(sides))
    views = [maps]
    for _ in range(rounds):
        scores = sum(_standard_scores(a(sides[0].single), b(sides[1].single)) for a, b in views) + walks
        views = [maps, _taught(kernels, len(sides[0].paired), guesses(scores))]
    spreads = [float((unit(a(sides[0].paired)) @ unit(b(sides[1].paired)).T).std()) for a, b in views]
    weights = mean_weights(spreads)
    left, right = (Joined(tuple(pair[side] for pair in views), weights) for side in (0, 1))
    return left, right


def guesses(scores: np.ndarray, *, steps: int = 50) -> np.ndarray:
    """Soft partners P (n, m) by scores (n, m): rows add up to min(n, m) / n each, columns to min(n, m) / m.

    P = diag(u) exp(SHARPNESS * scores) diag(v), u and v by Sinkhorn's steps.
    """
    n, m = scores.shape
    kernel = np.exp(SHARPNESS * (scores - scores.max(1, keepdims=True)))
    v = np.ones(m)
    for _ in range(steps):
        u = min(n, m) / n / (kernel @ v)
        v = min(n, m) / m / np.maximum(kernel.T @ u, np.finfo(float).tiny)
    return u[:, None] * kernel * v


def _standard_scores(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CSLS of two sets of cells (n, k) and (m, k), both ways: (n, m), of mean 0 and deviation 1."""
    a, b = unit(a), unit(b)
    scores = 2 * a @ b.T - csls_offsets(b, a) - csls_offsets(a, b)[:, None]
    return (scores - scores.mean()) / max(float(scores.std()), np.finfo(float).tiny)


def _taught(kernels: Sequence[Coordinates], pairs: int, plan: np.ndarray) -> tuple[Map, Map]:
    """CCA of true pairs and of guessed ones: the covariances of all cells, each weighed by its share of the plan.

    Args:
        kernels: coordinates of the cells of pairs, then of single ones. pairs: how many. plan: (n, m) guesses.
    """
    x, y = (kernel.values for kernel in kernels)
    shares = [np.r_[np.ones(pairs), GUESSED * plan.sum(axis)] for axis in (1, 0)]
    within = [(values * share[:, None]).T @ values for values, share in zip((x, y), shares, strict=True)]
    across = x[:pairs].T @ y[:pairs] + GUESSED * x[pairs:].T @ plan @ y[pairs:]
    sums = np.concatenate([share @ values for values, share in zip((x, y), shares, strict=True)])
    widths = (x.shape[1], y.shape[1])
    moments = Moments(
        names=("a", "b"),
        widths=widths,
        shift=np.zeros(sum(widths)),
        counts=np.full((2, 2), shares[0].sum()),
        sums=np.stack([sums, sums], axis=1),
        products=np.block([[within[0], across], [across.T, within[1]]]),
    )
    solution = solve(moments, min(WIDTH, *widths), {"a": RIDGE, "b": RIDGE})
    a, b = (
        kernel.on_features(Linear(side.mean, side.weights * side.emphasis))
        for kernel, side in zip(kernels, solution.sides.values(), strict=True)
    )
    return a, b


def _met(sides: tuple[Cells, Cells]) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs walks from single cells meet: (n, s) and (m, s), the roots of their chances."""
    pairs = len(sides[0].paired)
    landmarks = np.linspace(0, pairs - 1, min(LANDMARKS, pairs)).astype(int)
    a, b = (np.sqrt(chances_to_meet(np.vstack(side), landmarks)[pairs:]) for side in sides)
    return a, b


def chances_to_meet(cells: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How often walks over the neighbours of cells (n, d) meet some of them (s,): (n, s).

    With W the larger of both similarities where one of two cells is among the other's nearest, D its row sums:
    chances = sum_t (ONWARD D^-1/2 W D^-1/2)^t E,   E (n, s) the landmarks.
    """
    from sklearn.neighbors import NearestNeighbors

    points = unit(cells - cells.mean(0))
    finder = NearestNeighbors(n_neighbors=min(NEAREST, len(points) - 1), metric="cosine", algorithm="brute").fit(points)
    graph = finder.kneighbors_graph(mode="distance")
    graph.data = np.clip(1 - graph.data, 0, None)
    graph = graph.maximum(graph.T)
    from scipy import sparse

    root = sparse.diags_array(1 / np.sqrt(np.maximum(np.asarray(graph.sum(1)).ravel(), np.finfo(float).eps)))
    step = ONWARD * root @ graph @ root
    ends = np.zeros((len(points), len(landmarks)))
    ends[landmarks, np.arange(len(landmarks))] = 1
    chances = ends
    for _ in range(STEPS):
        chances = ends + step @ chances
    return chances
