"""Kernel canonical correlation analysis: linear CCA of the features that a kernel stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from bouba.align.canonical import Side, most_components, solve
from bouba.align.cca import ridges_of
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.moments import Moments
from bouba.errors import DataError, UsageError, nearest

KERNELS = ("rbf", "laplacian", "linear", "poly", "cosine", "chi2", "additive_chi2")
DISTANCES = {"rbf": "sqeuclidean", "laplacian": "cityblock"}
SPECTRA = tuple(DISTANCES)
APPROXIMATIONS = ("nystroem", "fourier")
EXACT_ROWS = 5_000
SAMPLE_ROWS = 1_000
ROWS = 2_048
CUT = 1e-10


@dataclass(frozen=True)
class Landmarks:
    """m functions of a row x: its kernel k(x, l) with each landmark l. Kernels are scikit-learn's.

    Args:
        points: (m, d). kernel: one of KERNELS. gamma, degree, coef0: see KernelCCA.
    """

    points: np.ndarray
    kernel: str
    gamma: float
    degree: int
    coef0: float

    @property
    def width(self) -> int:
        return len(self.points)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, m)."""
        from sklearn.metrics import pairwise

        settings = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        values = np.asarray(values, np.float64)
        try:
            return pairwise.pairwise_kernels(values, self.points, self.kernel, filter_params=True, **settings)
        except ValueError as error:  # the chi-squared kernels take no number below 0
            raise DataError(f"kernel {self.kernel!r}: {error} Choose another of {', '.join(KERNELS)}") from error

    def basis(self) -> Basis:
        """Coordinates in their span."""
        return Basis.of(self(self.points))


@dataclass(frozen=True)
class Waves:
    """m functions of a row x whose inner products come near a kernel: cos(w'x) and sin(w'x), over sqrt(m/2).

    Args:
        frequencies: (d, m/2), drawn from the kernel's spectrum.
    """

    frequencies: np.ndarray

    @classmethod
    def drawn(cls, kernel: str, gamma: float, size: tuple[int, int], random) -> Waves:
        """From the spectrum of "rbf", which is normal, or of "laplacian", Cauchy in each column."""
        if kernel == "rbf":
            return cls(random.normal(scale=np.sqrt(2 * gamma), size=size))
        return cls(gamma * random.standard_cauchy(size))

    @property
    def width(self) -> int:
        return 2 * self.frequencies.shape[1]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, m)."""
        phase = values @ self.frequencies  # (n, m/2)
        return np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(phase.shape[1])

    def basis(self) -> None:
        """They are coordinates already."""


@dataclass(frozen=True)
class Basis:
    """Coordinates in the span of centred landmarks, whose inner products are the centred kernel.

    With K the kernel matrix of m landmarks, H = I - 11'/m, and R from a Cholesky decomposition with pivots,

        H K H = R' R,   coordinates of x:  (k(x, .) - level)' H R^-1   at the r pivots

    Args:
        level: (m,), mean of K's rows. pivots: (r,), landmarks of which the others are sums. factor: R (r, r).
    """

    level: np.ndarray
    pivots: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, gram: np.ndarray) -> Basis:
        """Of a kernel matrix (m, m). A landmark of which less than CUT of the longest is left is a sum of others."""
        level = gram.mean(0)
        centred = gram - level - level[:, None] + level.mean()
        rounding = len(gram) * np.finfo(float).eps * np.abs(gram).max()
        factor, order, rank, _ = linalg.lapack.dpstrf(centred, tol=max(CUT * centred.diagonal().max(), rounding))
        return cls(level, order[:rank] - 1, np.triu(factor[:rank, :rank]))

    def coordinates(self, columns: np.ndarray) -> np.ndarray:
        """Kernels of n rows with the landmarks (n, m) -> (n, r)."""
        columns = columns - self.level
        columns -= columns.mean(1, keepdims=True)
        pivots = columns[:, self.pivots].T
        return linalg.solve_triangular(self.factor, pivots, trans="T", overwrite_b=True, check_finite=False).T

    def dual(self, weights: np.ndarray) -> np.ndarray:
        """Weights of the coordinates (r, k) -> weights of k(x, .) - level (m, k)."""
        out = np.zeros((len(self.level), weights.shape[1]))
        out[self.pivots] = linalg.solve_triangular(self.factor, weights, check_finite=False)
        return out - out.mean(0)


@dataclass(frozen=True)
class Lazy:
    """Features (n, r) of a view's rows, computed when rows are read, so that `Moments.of` never holds all of them.

    Args:
        values: (n, d). columns: the functions of a row. basis: coordinates to turn them into; None leaves them.
    """

    values: np.ndarray
    columns: Landmarks | Waves
    basis: Basis | None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.columns.width if self.basis is None else len(self.basis.pivots)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows) -> np.ndarray:
        values = self.values[rows]
        out = np.empty((len(values), self.shape[1]))
        for part in _parts(len(values)):
            columns = self.columns(values[part])
            out[part] = columns if self.basis is None else self.basis.coordinates(columns)
        return out

    def dual(self, side: Side) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients a (m, k) and offset b (k,) of the variates: columns(x)' a - b."""
        offset = side.mean @ side.weights
        if self.basis is None:
            return side.weights, offset
        coefficients = self.basis.dual(side.weights)
        return coefficients, self.basis.level @ coefficients + offset


class KernelCCA(ClosedForm):
    """CCA of nonlinear features: each view through the feature map of a kernel, then linear CCA.

        phi      k(x, y) = <phi(x), phi(y)>
        solve    CCA(ridge) of phi_1(X_1), .., phi_M(X_M);   z(x) = sum_j a_j k(x, l_j) - b   over landmarks l_j

    Use it where the relation is not linear and rows are too few, or patience too short, for DeepCCA. CCA is faster and
    has loadings, and is as good where the relation is linear; compare the two by `score` on held-out rows.

    Without an approximation the landmarks are all rows, which is exact: regularised kernel CCA. "nystroem" takes
    `n_features` random rows as landmarks, and is exact in what they span. "fourier" draws `n_features` cosines and
    sines from the kernel's spectrum; it keeps no rows, and needs several times as many features to do as well.

    Args:
        n_components: k; None takes as many as the narrowest view has columns, or features if these are fewer.
        kernel: one of KERNELS, or view -> kernel:
            "rbf" exp(-gamma |x-y|^2), "laplacian" exp(-gamma |x-y|_1), "linear" x'y, "poly" (gamma x'y + coef0)^degree,
            "cosine" x'y / |x||y|, and for numbers of 0 or more, such as histograms,
            "chi2" exp(-gamma sum (x-y)^2/(x+y)), "additive_chi2" -sum (x-y)^2/(x+y).
        gamma: above 0, or view -> gamma. None takes 1 over the median of what gamma multiplies, |x-y|^2, |x-y|_1 or
            sum (x-y)^2/(x+y), over all pairs of up to 1,000 rows of the view, drawn at random; for "poly" 1 over the
            mean of |x|^2.
        degree, coef0: of "poly".
        ridge: as in CCA, shrinkage of the features' covariances towards their mean variance. With as many features as
            rows, any two views correlate perfectly at 0: there it is what the result depends on, and to be
            chosen on held-out rows. With many more rows than features it hardly matters.
        approximation: None for exact, up to 5,000 rows; "nystroem"; "fourier" for "rbf" and "laplacian".
        n_features: landmarks, or cosines and sines (an even number), of each view; not more than there are rows. Time
            grows with its square.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        random_state: of landmarks, frequencies and the sample behind gamma.

    Attributes: `correlations_` (k,), on the fitted rows and so too high; `maps_` view -> Landmarks or Waves;
    `coefficients_` view -> a (m, k); `offsets_` view -> b (k,); `gammas_` view -> gamma; `kinds_`.

    Rows with one view only are left out; missing cells otherwise as in CCA. Memory beyond the data is that of a few
    covariances of all features; the features of a row are forgotten when they are counted.

    Raises:
        UsageError: an unknown kernel or approximation, a gamma, ridge or n_features that makes no sense.
        DataError: too many rows for exact; a view that looks alike in all rows; more components than features;
            numbers below 0 under a chi-squared kernel.

    Reference: Akaho 2001, A kernel method for canonical correlation analysis; Hardoon, Szedmak and Shawe-Taylor 2004;
    Williams and Seeger 2001 (Nystroem); Rahimi and Recht 2007 (random features); Lopez-Paz et al. 2014, Randomized
    nonlinear component analysis. Departures: the ridge is CCA's, a share r of the mean variance, where Hardoon et al.
    have a multiple of K; landmarks are centred, so a constant is no feature; directions below 1e-10 of the longest
    landmark are left out.

    >>> x = np.random.default_rng(0).normal(size=(300, 1))
    >>> KernelCCA().fit([x[:200], x[:200] ** 2]).score([x[200:], x[200:] ** 2]) > 0.95  # about 0 by linear CCA
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: str | Mapping[str, str] = "rbf",
        gamma: float | Mapping[str, float] | None = None,
        degree: int = 3,
        coef0: float = 1.0,
        ridge: float | Sequence[float] | Mapping[str, float] = 0.1,
        approximation: str | None = None,
        n_features: int = 2000,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.towers = towers
        self.device = device
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.ridge = ridge
        self.approximation = approximation
        self.n_features = n_features
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        names = list(data)
        kernels, gammas, ridges = self._kernels(names), self._gammas(names), ridges_of(self.ridge, names)
        rows = self._rows(present)
        random = np.random.default_rng(self.random_state)
        self.gammas_, self.maps_ = {}, {}
        for name, values in data.items():
            sample = _random_rows(values, rows[name], SAMPLE_ROWS, random)
            gamma = gammas[name]
            self.gammas_[name] = _median_gamma(kernels[name], sample) if gamma is None else float(gamma)
            self.maps_[name] = self._map(kernels[name], self.gammas_[name], values, rows[name], random)
        features: dict[str, Any] = {
            name: Lazy(data[name], columns, columns.basis()) for name, columns in self.maps_.items()
        }
        solution = solve(Moments.of(features, present), self._components(features), ridges)
        self.correlations_ = solution.correlations
        self.emphasis_ = {name: side.emphasis for name, side in solution.sides.items()}
        self.coefficients_, self.offsets_ = {}, {}
        for name, side in solution.sides.items():
            self.coefficients_[name], self.offsets_[name] = features[name].dual(side)

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        out = np.empty((len(values), len(self.correlations_)), values.dtype)
        for part in _parts(len(values)):
            out[part] = self.maps_[name](values[part]) @ self.coefficients_[name] - self.offsets_[name]
        return out

    def _emphasis(self, name: str) -> np.ndarray:
        return self.emphasis_[name]

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(random_state=self.random_state)

    def _kernels(self, names: list[str]) -> dict[str, str]:
        """view -> kernel, known and suited to the approximation."""
        if self.approximation not in (None, *APPROXIMATIONS):
            raise UsageError(
                f"no approximation {self.approximation!r}{nearest(str(self.approximation), APPROXIMATIONS)}"
            )
        if self.n_features < 2 or (self.approximation == "fourier" and self.n_features % 2):
            raise UsageError(f"n_features must be 2 or more, and even for 'fourier', got {self.n_features}")
        kernels = _by_view("kernel", self.kernel, names)
        for kernel in kernels.values():
            if kernel not in KERNELS:
                raise UsageError(f"no kernel {kernel!r}{nearest(str(kernel), KERNELS)}")
            if self.approximation == "fourier" and kernel not in SPECTRA:
                raise UsageError(f"'fourier' is for {' and '.join(SPECTRA)}, got {kernel!r}; take 'nystroem'")
        return kernels

    def _gammas(self, names: list[str]) -> dict[str, float | None]:
        gammas = _by_view("gamma", self.gamma, names)
        for name, gamma in gammas.items():
            if gamma is not None and not 0 < gamma < np.inf:
                raise UsageError(
                    f"gamma must be above 0, got {gamma} for view {name!r}; None takes the median heuristic"
                )
        return gammas

    def _rows(self, present: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """view -> the rows that have it and another view."""
        paired = np.sum(list(present.values()), axis=0) > 1
        rows = {name: np.flatnonzero(has_view & paired) for name, has_view in present.items()}
        for name, view_rows in rows.items():
            if len(view_rows) < 2:
                raise DataError(f"view {name!r} has no two rows in common with another view; nothing relates them")
            if self.approximation is None and len(view_rows) > EXACT_ROWS:
                raise DataError(
                    f"exact kernel CCA is for {EXACT_ROWS:,} rows or fewer, got {len(view_rows):,}; "
                    'set approximation="nystroem", or "fourier"'
                )
        return rows

    def _map(self, kernel: str, gamma: float, values: np.ndarray, rows: np.ndarray, random) -> Landmarks | Waves:
        if self.approximation == "fourier":
            waves = min(self.n_features, len(rows)) // 2
            return Waves.drawn(kernel, gamma, (values.shape[1], waves), random)
        m = len(rows) if self.approximation is None else self.n_features
        return Landmarks(_random_rows(values, rows, m, random), kernel, gamma, self.degree, self.coef0)

    def _components(self, features: Mapping[str, Lazy]) -> int:
        widths = {name: lazy.shape[1] for name, lazy in features.items()}
        for name, width in widths.items():
            if width == 0:
                raise DataError(f"view {name!r} looks alike in all rows; leave it out")
        most = most_components(list(widths.values()))
        usual = most_components([min(self.widths_[name], width) for name, width in widths.items()])
        k = usual if self.n_components is None else self.n_components
        if not 1 <= k <= most:
            raise DataError(f"{k} components from {list(widths.values())} features; take {most} or fewer")
        return k


def _by_view(setting: str, value: Any, names: list[str]) -> dict[str, Any]:
    """view -> setting, from one for all views or from a mapping."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    if set(value) != set(names):
        raise UsageError(f"{setting} is for {', '.join(map(repr, value))}, the views are {', '.join(map(repr, names))}")
    return dict(value)


def _random_rows(values: np.ndarray, rows: np.ndarray, m: int, random) -> np.ndarray:
    """m of the rows at random as float64, all of them in their order where there are no more."""
    chosen = rows if m >= len(rows) else np.sort(random.choice(rows, m, replace=False))
    return values[chosen].astype(np.float64)


def _parts(rows: int) -> Iterator[slice]:
    """So many rows, ROWS at a time."""
    return (slice(start, start + ROWS) for start in range(0, rows, ROWS))


def _median_gamma(kernel: str, sample: np.ndarray) -> float:
    """1 over the typical size of what gamma multiplies; 1 where there is no gamma, or all rows are alike."""
    if kernel == "poly":
        sizes = (sample**2).sum(1)[:, None].mean(0)
    elif kernel == "chi2":
        sizes = -Landmarks(sample, "additive_chi2", 1.0, 1, 0.0)(sample)[np.triu_indices(len(sample), 1)]
    elif kernel in DISTANCES:
        from scipy.spatial.distance import pdist

        sizes = pdist(sample, DISTANCES[kernel])
    else:
        return 1.0
    typical = np.median(sizes) or sizes.mean()  # half of all pairs may be equal
    return float(1 / typical) if typical > 0 else 1.0
