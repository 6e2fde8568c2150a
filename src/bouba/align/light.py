"""Light alignments: closed forms between two frozen feature spaces, for tens to thousands of pairs.

Each works on coordinates: features rotated onto their principal axes (`Coordinates.linear`), or onto those of a
Gaussian kernel (`Coordinates.gaussian`). Coordinates know no pairs, so folds of a cross-validation share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bouba.align.maps import Gaussian, Linear, Map, Relative, unit

WIDTH = 448  # coordinates, at most
KERNEL_ROWS, KERNEL_WIDTH = 1200, 384  # cells that a Gaussian kernel is spanned by, and its coordinates, at most
SHARED = 256  # directions of the shared space, at most
NOTHING = 1e-10  # of the largest variance: below it there is no direction
ANCHORS = 1000  # pairs that relative representations refer to, at most


@dataclass(frozen=True)
class Coordinates:
    """Cells of one view on axes of their own.

    Args:
        values: (n, r), about centred. columns: d of the features, by which a mean variance is meant.
        mean, axes: (d,) and (d, r) orthonormal directions from it, of linear coordinates.
        kernel: what gives those of a Gaussian kernel; None for linear ones.
    """

    values: np.ndarray
    columns: int
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    axes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    kernel: Gaussian | None = None

    @classmethod
    def linear(cls, features: np.ndarray) -> Coordinates:
        """On the principal axes of features (n, d), WIDTH of them at most."""
        mean = features.mean(0)
        axes = _axes(features - mean)
        return cls((features - mean) @ axes, features.shape[1], mean, axes)

    @classmethod
    def gaussian(cls, features: np.ndarray, random_state: int) -> Coordinates:
        """On the principal axes of a Gaussian kernel, gamma being 1 over the median squared distance."""
        random = np.random.default_rng(random_state)
        points = features[np.sort(random.permutation(len(features))[:KERNEL_ROWS])]
        squares = (points**2).sum(1)
        distances = np.clip(squares[:, None] + squares - 2 * points @ points.T, 0, None)
        gamma = 1 / max(float(np.median(distances[np.triu_indices(len(points), 1)])), NOTHING)
        level = np.exp(-gamma * distances).mean(0)
        centred = np.exp(-gamma * distances) - level - level[:, None] + level.mean()
        variances, axes = np.linalg.eigh(centred)
        variances, axes = variances[-KERNEL_WIDTH:], axes[:, -KERNEL_WIDTH:]
        keep = variances > NOTHING * max(float(variances[-1]), NOTHING)
        kernel = Gaussian(points, gamma, level, axes[:, keep] / np.sqrt(variances[keep]))
        values = kernel(features)
        return cls(values, values.shape[1], kernel=kernel)

    def on_features(self, found: Map) -> Map:
        """A map of coordinates as a map of features."""
        if isinstance(found, Relative):  # axes are orthonormal, so cosines are the same
            return Relative(self._back(found.mean), found.anchors @ self.axes.T, found.largest, found.power)
        assert isinstance(found, Linear), "what alignments find"
        inner = self.kernel
        if inner is None:
            return Linear(self._back(found.mean), self.axes @ found.weights)
        offset = found.mean @ found.weights
        return Gaussian(inner.points, inner.gamma, inner.level, inner.weights @ found.weights, inner.offset + offset)

    def _back(self, point: np.ndarray) -> np.ndarray:
        """A point in linear coordinates as features."""
        return self.mean + self.axes @ point


def _axes(centred: np.ndarray) -> np.ndarray:
    """(d, r) principal axes of centred rows (n, d)."""
    n, d = centred.shape
    if n < d:
        variances, left = np.linalg.eigh(centred @ centred.T)
        keep = variances > NOTHING * max(float(variances[-1]), NOTHING)
        axes = centred.T @ (left[:, keep] / np.sqrt(variances[keep]))
    else:
        variances, axes = np.linalg.eigh(centred.T @ centred)
        axes = axes[:, variances > NOTHING * max(float(variances[-1]), NOTHING)]
    return axes[:, ::-1][:, :WIDTH]


@dataclass(frozen=True)
class Pairs:
    """Paired rows of two views in coordinates: covariances, computed once for all alignments of them.

    Args:
        a, b: coordinates of the views. rows_a, rows_b: (p,) which of their cells make each pair.
        solutions: what `canonical` found.
    """

    a: Coordinates
    b: Coordinates
    rows_a: np.ndarray
    rows_b: np.ndarray
    solutions: dict[float, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        return self.a.values[self.rows_a].mean(0), self.b.values[self.rows_b].mean(0)

    @cached_property
    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """(p, r_a) and (p, r_b)."""
        return self.a.values[self.rows_a] - self.means[0], self.b.values[self.rows_b] - self.means[1]

    @cached_property
    def spectra(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """(variances, axes) of each side's covariance."""
        return tuple(np.linalg.eigh(x.T @ x / len(x)) for x in self.centred)

    @cached_property
    def across(self) -> np.ndarray:
        """Covariance between the sides, on their own axes (r_a, r_b)."""
        x, y = self.centred
        (_, axes_a), (_, axes_b) = self.spectra
        return axes_a.T @ (x.T @ (y / len(x))) @ axes_b

    def shrunk(self, side: int, ridge: float) -> np.ndarray:
        """Variances on the axes of a side, shrunk to (1 - r) s + r mean(s) over all columns of its features."""
        variances = np.clip(self.spectra[side][0], 0, None)
        columns = max((self.a, self.b)[side].columns, 1)
        return (
            (1 - ridge) * variances + ridge * variances.sum() / columns + NOTHING * max(float(variances[-1]), NOTHING)
        )

    def canonical(self, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights (r_a, k) and (r_b, k) of canonical variates and their correlations (k,), kept for each ridge."""
        if ridge not in self.solutions:
            roots = [1 / np.sqrt(self.shrunk(side, ridge)) for side in (0, 1)]
            left, rho, right = truncated_svd(roots[0][:, None] * self.across * roots[1])
            self.solutions[ridge] = (roots[0][:, None] * left, rho, roots[1][:, None] * right)
        return self.solutions[ridge]

    def maps(self, weights_a: np.ndarray, weights_b: np.ndarray) -> tuple[Map, Map]:
        """Maps of coordinates, from weights on the covariances' axes."""
        (_, axes_a), (_, axes_b) = self.spectra
        return Linear(self.means[0], axes_a @ weights_a), Linear(self.means[1], axes_b @ weights_b)


@dataclass(frozen=True)
class Correlated:
    """Canonical correlation with a ridge, each direction weighed by rho^power.

        S_a^-1/2 S_ab S_b^-1/2 = U diag(rho) V';   z_a = x S_a^-1/2 U rho^p,  z_b likewise,  S shrunk by the ridge

    A power of 1 lets directions count as they correlate, 0 is orthogonal Procrustes after whitening, a ridge of 1
    partial least squares.
    """

    ridge: float
    power: float = 1.0

    def solve(self, pairs: Pairs) -> tuple[Map, Map]:
        left, rho, right = pairs.canonical(self.ridge)
        scale = rho**self.power
        return pairs.maps(left * scale, right * scale)


@dataclass(frozen=True)
class Regressed:
    """Ridge regression of one side's features on the other's; similarity is the cosine in the predicted space.

    W = S_a^-1 S_ab;   z_a = x W,  z_b = y          (`backward`: b predicts a)
    """

    ridge: float
    backward: bool = False

    def solve(self, pairs: Pairs) -> tuple[Map, Map]:
        if self.backward:
            weights = pairs.across.T / pairs.shrunk(1, self.ridge)[:, None]
            return pairs.maps(np.eye(len(pairs.across)), weights)
        weights = pairs.across / pairs.shrunk(0, self.ridge)[:, None]
        return pairs.maps(weights, np.eye(weights.shape[1]))


@dataclass(frozen=True)
class Anchored:
    """Relative representations: a cell is its similarities to the pairs, the largest of them, see Relative."""

    largest: int
    power: float

    def solve(self, pairs: Pairs) -> tuple[Map, Map]:
        chosen = np.linspace(0, len(pairs.rows_a) - 1, min(ANCHORS, len(pairs.rows_a))).astype(int)
        a, b = (
            Relative(mean, unit(centred[chosen]), self.largest, self.power)
            for centred, mean in zip(pairs.centred, pairs.means, strict=True)
        )
        return a, b


def truncated_svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (r, k), s (k,), V (c, k) of the SHARED largest singular values, by the smaller of the Gram matrices."""
    flipped = matrix.shape[0] < matrix.shape[1]
    tall = matrix.T if flipped else matrix
    squares, right = np.linalg.eigh(tall.T @ tall)  # the whole, which is quicker here than a part of it
    values = np.sqrt(np.clip(squares[::-1], 0, None))[:SHARED]
    right = right[:, ::-1][:, :SHARED]
    keep = values > 1e-7 * max(float(values[0]), 1e-300)
    values, right = values[keep], right[:, keep]
    left = tall @ right / values
    return (right, values, left) if flipped else (left, values, right)
