"""Maps from one view's features into a space that two views share, as frozen data that models save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAMPLED = 800  # cells of a side that main directions are found by
LEAST = 1e-9  # length below which a row has no direction


class Map(ABC):
    """Features (n, d) -> (n, k). Subclasses are frozen dataclasses of arrays."""

    @abstractmethod
    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, k)."""


@dataclass(frozen=True)
class Linear(Map):
    """(x - mean) W, with mean (d,) and W = weights (d, k)."""

    mean: np.ndarray
    weights: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) @ self.weights


@dataclass(frozen=True)
class Gaussian(Map):
    """(exp(-gamma |x - p_j|^2) - level_j)_j W - offset, over m points.

    Args:
        points: (m, d). gamma: above 0. level: (m,). weights: W (m, k). offset: (k,), or 0.
    """

    points: np.ndarray
    gamma: float
    level: np.ndarray
    weights: np.ndarray
    offset: np.ndarray | float = 0.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (gaussian(values, self.points, self.gamma) - self.level) @ self.weights - self.offset


@dataclass(frozen=True)
class Relative(Map):
    """Similarities to anchors, the largest of them: unit(topk(cos(x - mean, anchors))^p).

    Args:
        mean: (d,). anchors: (m, d) of length one. largest: k that stay, the others are 0. power: p.
    """

    mean: np.ndarray
    anchors: np.ndarray
    largest: int
    power: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        similarities = np.clip(unit(values - self.mean) @ self.anchors.T, 0, None)
        largest = min(self.largest, similarities.shape[1])
        least = np.partition(similarities, -largest, axis=1)[:, -largest, None]
        return np.where(similarities >= least, similarities, 0) ** self.power


@dataclass(frozen=True)
class Joined(Map):
    """Several maps as one: their unit vectors, each times the root of its weight, so that dot products are means.

    Args:
        maps: the parts. weights: of each part, 1 in sum.
        projection: (sum of k, k') onto fewer directions; None for none.
    """

    maps: tuple[Map, ...]
    weights: tuple[float, ...]
    projection: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        parts = [np.sqrt(w) * unit(part(values)) for part, w in zip(self.maps, self.weights, strict=True)]
        whole = np.hstack(parts)
        return whole if self.projection is None else unit(whole @ self.projection)


@dataclass(frozen=True)
class Narrowed(Map):
    """Another map onto fewer directions: map(x) P, P = projection (k, k')."""

    inner: Map
    projection: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.inner(values) @ self.projection


def main_directions(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """(d, k) the directions that paired embeddings (n, d) spread most along, both sides counted alike."""
    from sklearn.utils.extmath import randomized_svd

    chosen = [np.linspace(0, len(z) - 1, min(len(z), max(k, SAMPLED))).astype(int) for z in (a, b)]
    both = np.vstack([z[rows] / np.sqrt(len(rows)) for z, rows in zip((a, b), chosen, strict=True)]).astype(np.float32)
    return randomized_svd(both, k, n_iter=2, random_state=0)[2].T.astype(float)


def unit(values: np.ndarray) -> np.ndarray:
    """Rows of length one; a row without a direction stays zeros."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > LEAST)


def gaussian(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    """exp(-gamma |x - y|^2) of rows of a (n, d) and b (m, d), (n, m)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    distances = -2 * (a @ b.T)
    distances += np.einsum("ij,ij->i", a, a)[:, None]
    distances += np.einsum("ij,ij->i", b, b)
    return np.exp(np.maximum(distances, 0) * -gamma)


def mean_weights(spreads: Sequence[float]) -> tuple[float, ...]:
    """Weights of score matrices in the mean of their standardised values: 1 / spread, 1 in sum."""
    inverse = 1 / np.maximum(np.asarray(spreads, float), LEAST)
    return tuple((inverse / inverse.sum()).tolist())


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with the same column of `b`; 0 where one is constant."""
    varies = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = a - a.mean(0, dtype=float), b - b.mean(0, dtype=float)
    scale = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), scale, out=np.zeros(a.shape[1]), where=varies & (scale > 0))
