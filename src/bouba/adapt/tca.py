"""TCA: components that vary much over both domains and differ little between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import index
from typing import ClassVar

import numpy as np
from scipy import linalg

from bouba.adapt.domain_aligner import EPS, DomainAligner, signs
from bouba.errors import DataError, UsageError, nearest
from bouba.estimator import ClassNamePrefixFeaturesOutMixin

KERNELS = ("linear", "rbf")
SAMPLE_ROWS = 1_000
ROWS = 2_048
CUT = 1e-10


@dataclass(frozen=True)
class Coordinates:
    """A centred row's own columns over `unit`. Their inner products are the linear kernel."""

    unit: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, d)."""
        return rows / self.unit

    def basis(self, rows: np.ndarray) -> np.ndarray | None:
        """None, they are coordinates already; (d, n) the directions of the rows, where these are fewer than columns."""
        return None if len(rows) >= rows.shape[1] else linalg.svd(rows, full_matrices=False)[2].T


@dataclass(frozen=True)
class Landmarks:
    """A centred row's kernel exp(-gamma |x - l|^2) with each of m points l, (m, d)."""

    points: np.ndarray
    gamma: float
    unit: ClassVar[float] = 1.0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, m)."""
        from sklearn.metrics.pairwise import rbf_kernel

        return rbf_kernel(rows, self.points, gamma=self.gamma)

    def basis(self, rows: np.ndarray) -> np.ndarray:
        """(m, r) that turns kernels with the points into coordinates, whose inner products are the kernel."""
        values, vectors = _spectrum(self(self.points))
        return vectors / np.sqrt(values)


class TCA(ClassNamePrefixFeaturesOutMixin, DomainAligner):
    """Transfer components: one map for both domains that keeps their spread and brings their means together.

    For the kernel matrix K of all n = n_s + n_t rows, e = 1/n_s on source and -1/n_t on target rows, H = I - 11'/n:

        max_W  tr(W'K H K W)    subject to  W'(mu I + K e e'K) W = I
        K H K w = lambda (mu I + K e e'K) w,   the k largest lambda;      z(x) = W' k(X, x)

    |W'K e| is the distance between the means, a maximum mean discrepancy, and all that is brought together; a shift
    of scale or correlation is for CORALAligner or SubspaceAligner, which give each domain a map of its own. Directions
    in which the means differ have a small lambda: they come late and count little. Where no mean differs,
    v = sqrt(mu lambda) / n is the variance of a kernel principal component, which is what z is then:

        component j of z has the standard deviation v_j^power, in the unit of the rows;    power = 1/2

    so that the linear kernel with all components leaves every distance as it was, and a mean that differs is taken out
    of them. "linear" first; "rbf" where no line tells the classes apart, and only where the domains overlap, since it
    cannot tell far from farther. Fewer components are a gain where late ones are noise and a loss elsewhere; on the
    features of `bouba bench features` no number was better everywhere than all of them.

    Args:
        n_components: k; None takes all.
        kernel: "linear", or "rbf", exp(-gamma |x - y|^2).
        mu: above 0, the weight of |W|^2 against the distance. Large values forget the distance and ask for large
            spread.
        power: 0 or more, how much the order of components weighs. 1 is the paper's z up to one factor, in which
            everything but the first few components fades; 0 makes all alike, which late ones, mostly noise, spoil.
        gamma: of "rbf", above 0; None takes 1 over the median of |x - y|^2 over up to 1,000 random rows.
        n_landmarks: of "rbf": as many rows drawn at random span W (Nystroem); exact with as many as there are rows.
            Time grows with its third power.
        random_state: of both draws.
        target: rows of the target (m, d), when they do not come with `fit`; see DomainAligner.

    Attributes: `eigenvalues_` (k,), lambda; `mean_` (d,), of all rows; `map_`, what is computed of a centred row, m
    numbers, with "rbf" from rows that it keeps; `weights_` (m, k) and `offset_` (k,); `domain_`, which has
    no effect.

    Raises:
        UsageError: an unknown kernel; a mu, gamma or n_landmarks that makes no sense. DataError: more components than
            there are, rows that are all alike; otherwise as `fit`.

    Reference: Pan, Tsang, Kwok and Yang 2011, Domain Adaptation via Transfer Component Analysis, section III
    (without labels). Departures: the linear kernel is that of rows less their common mean, over the mean of |x|^2, so
    that mu means the same in any unit; z has mean 0 over all rows, and the power above; it is solved in the r
    coordinates that span the kernel instead of n x n, with the same result.

    >>> source, target = np.random.default_rng(0).normal(size=(2, 200, 3)) * [4, 2, 2]
    >>> target[:, 1] += 20  # where they differ
    >>> z = TCA(2).fit(source, target).transform(np.vstack([np.zeros(3), np.eye(3)]))
    >>> np.abs(z[1:] - z[0]).argmax(0).tolist()  # which column each component reads
    [0, 2]
    >>> rows = np.vstack([source, source])  # no mean differs
    >>> z = TCA().fit_transform(rows, rows)
    >>> bool(np.allclose(np.linalg.norm(z[0] - z[1]), np.linalg.norm(rows[0] - rows[1])))
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: str = "linear",
        mu: float = 1.0,
        power: float = 0.5,
        gamma: float | None = None,
        n_landmarks: int = 1_000,
        random_state: int = 0,
        target=None,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.mu = mu
        self.power = power
        self.gamma = gamma
        self.n_landmarks = n_landmarks
        self.random_state = random_state
        self.target = target

    def _fit(self, source: np.ndarray, target: np.ndarray, labels) -> None:
        self._check_options()
        rows, n = np.vstack([source, target]), len(source) + len(target)
        self.mean_ = rows.mean(0)
        rows -= self.mean_
        self.map_ = self._map(rows)
        basis = self.map_.basis(rows)
        gram_s, sum_s = _moments(rows[: len(source)], self.map_, basis)
        gram_t, sum_t = _moments(rows[len(source) :], self.map_, basis)
        values, vectors = _spectrum(gram_s + gram_t)  # K = U diag(values) U', its coordinates U sqrt(values) vectors'
        turn = vectors * np.sqrt(values)  # (r, r)
        total, gap = turn.T @ (sum_s + sum_t), turn.T @ (sum_s / len(source) - sum_t / len(target))  # U'K1, U'Ke
        spread = np.diag(values**2) - np.outer(total, total) / n  # U'K H K U
        eigenvalues, w = linalg.eigh(spread, self.mu * np.eye(len(values)) + np.outer(gap, gap))
        k = self._number_of_components(eigenvalues[::-1])
        self.eigenvalues_ = eigenvalues[: -k - 1 : -1].copy()
        variances = np.sqrt(self.mu * self.eigenvalues_) / n
        scale = self.map_.unit * variances**self.power * np.sqrt(n / self.eigenvalues_)  # over the deviation of K w
        weights = turn @ w[:, : -k - 1 : -1] * scale
        offset = (sum_s + sum_t) @ weights / n
        weights = weights if basis is None else basis @ weights
        sign = signs(weights)
        self.weights_, self.offset_ = weights * sign, offset * sign

    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        out = np.empty((len(rows), len(self.offset_)))
        for part in _parts(len(rows)):
            out[part] = self.map_(rows[part] - self.mean_) @ self.weights_ - self.offset_
        return out

    def _map(self, rows: np.ndarray) -> Coordinates | Landmarks:
        """For centred rows of both domains."""
        scale = np.sqrt((rows**2).sum(1).mean())
        if scale <= 8 * EPS * np.linalg.norm(self.mean_):
            raise DataError("all rows of source and target are alike; nothing varies")
        if self.kernel == "linear":
            return Coordinates(float(scale))
        random = np.random.default_rng(self.random_state)
        gamma = _median_gamma(_random_rows(rows, SAMPLE_ROWS, random)) if self.gamma is None else float(self.gamma)
        return Landmarks(_random_rows(rows, self.n_landmarks, random), gamma)

    def _number_of_components(self, eigenvalues: np.ndarray) -> int:
        """k, from all lambda, the largest first."""
        available = int((eigenvalues > CUT * eigenvalues[0]).sum())
        if self.n_components is None:
            return available
        if not 1 <= index(self.n_components) <= available:
            raise DataError(f"{self.n_components} components of a kernel that has {available}; take 1 to {available}")
        return self.n_components

    def _check_options(self) -> None:
        if self.kernel not in KERNELS:
            raise UsageError(f"no kernel {self.kernel!r}{nearest(str(self.kernel), KERNELS)}")
        if not 0 < self.mu < np.inf:
            raise UsageError(f"mu must be above 0, got {self.mu}; 1 is a start")
        if not 0 <= self.power < np.inf:
            raise UsageError(f"power must be 0 or more, got {self.power}; 0.5 is a start")
        if self.gamma is not None and not 0 < self.gamma < np.inf:
            raise UsageError(f"gamma must be above 0, got {self.gamma}; None takes the median heuristic")
        if self.n_landmarks < 2:
            raise UsageError(f"n_landmarks must be 2 or more, got {self.n_landmarks}")

    @property
    def _n_features_out(self) -> int:
        return len(self.offset_)


def _parts(rows: int) -> Iterator[slice]:
    """So many rows, ROWS at a time."""
    return (slice(start, start + ROWS) for start in range(0, rows, ROWS))


def _moments(rows: np.ndarray, columns: Coordinates | Landmarks, basis: np.ndarray | None):
    """Sum of products (r, r) and sum (r,) of the rows' coordinates."""
    gram, total = np.zeros(()), np.zeros(())
    for part in _parts(len(rows)):
        phi = columns(rows[part]) if basis is None else columns(rows[part]) @ basis
        gram, total = gram + phi.T @ phi, total + phi.sum(0)
    return gram, total


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (r,) and vectors (m, r); without those below CUT times the largest, which are mostly rounding."""
    values, vectors = linalg.eigh(gram)
    large = values > CUT * values[-1]
    return values[large], vectors[:, large]


def _random_rows(rows: np.ndarray, m: int, random) -> np.ndarray:
    """m of the rows at random, all of them where there are no more."""
    return rows if m >= len(rows) else rows[np.sort(random.choice(len(rows), m, replace=False))]


def _median_gamma(rows: np.ndarray) -> float:
    """1 over the typical |x - y|^2; 1 where all rows of the sample are alike."""
    from scipy.spatial.distance import pdist

    sizes = pdist(rows, "sqeuclidean")
    typical = np.median(sizes) or sizes.mean()  # half of all pairs may be equal
    return float(1 / typical) if typical > 0 else 1.0
