"""Several ways to put one question to an index, and their sum: each is linear in the cells, so one search does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bouba.metrics.similarity import unit_rows


@dataclass(frozen=True)
class Way:
    """score(cell) = vector . cell - weights . offsets of the cell - centre

    Args:
        name: "direct", "letters" or "meaning". vector: (d,). weights: (m,).
    """

    name: str
    vector: np.ndarray
    weights: np.ndarray
    centre: float

    def scores(self, cells: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(n,) of cells (n, d) with offsets (n, m)."""
        return cells @ self.vector - offsets @ self.weights - self.centre

    def times(self, factor: float) -> Way:
        """The way whose scores are this one's times a factor, which may be negative."""
        return Way(self.name, factor * self.vector, factor * self.weights, factor * self.centre)


def fused(ways: Sequence[Way]) -> Way:
    """The way whose scores are the sum of theirs."""
    return Way(
        "fused",
        np.sum([way.vector for way in ways], axis=0),
        np.sum([way.weights for way in ways], axis=0),
        sum(way.centre for way in ways),
    )


def bridge(similarities: np.ndarray, tau: float, partners: np.ndarray) -> np.ndarray:
    """Where partners of known cells that are like a question lie, as a direction of length one.

        q = sum_i w_i p_i,   w = softmax(similarities / tau)

    Args:
        similarities: (n,) of the question to what is known. partners: (n, d).
    """
    weights = np.exp((similarities - similarities.max()) / tau)
    return unit_rows((weights / weights.sum() @ partners)[None])[0]


def row_vectors(embeddings: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> np.ndarray:
    """One vector a row from the views that it has: the direction of the sum of its cells' directions, each without the
    mean of its view, so that no row is found for the views that it has.

    Args:
        embeddings: (n, d) a view, zeros where a row lacks it. means: (d,) a view, of the directions of its cells.

    Returns:
        (n, d), of length one; zeros for a row without cells.

    Reference: Liang et al. 2022, Mind the gap, section 4 (views lie apart by their means).
    """
    return unit_rows(np.sum([directions(z, mean) for z, mean in zip(embeddings, means, strict=True)], axis=0))


def directions(z: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Cells (n, d) as directions without the mean of their view; zeros stay zeros."""
    z = np.asarray(z, np.float64)
    unit = unit_rows(z)
    return unit_rows(np.where(unit.any(axis=1, keepdims=True), unit - mean, 0))
