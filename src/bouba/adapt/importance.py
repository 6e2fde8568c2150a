"""Importance weights: how much each source row should count where the target holds other shares of the same."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from bouba.errors import DataError, UsageError

STEPS = 2_000
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of KLIEP's kernels, times the median distance
KERNELS = 100  # of KLIEP, on target rows drawn at random
FOLDS = 5


def kernel_mean_matching(
    source: np.ndarray, target: np.ndarray, *, bound: float = 20.0, gamma: float | None = None
) -> np.ndarray:
    """Weights under which the source's mean embedding is that of the target.

        min_w  | 1/n sum_i w_i phi(x_i) - 1/m sum_j phi(y_j) |^2    subject to  0 <= w_i <= bound,  sum_i w_i = n

    Use it as `sample_weight` of any classifier of scikit-learn: LogisticRegression().fit(X, y, sample_weight=w). It
    helps where the target holds other shares of what the source holds too; where the target looks different, no
    weight makes it like the source, and an aligner must move rows. `kliep` models the ratio of densities instead and
    needs fewer choices; this needs no density at all.

    Args:
        source: (n, d). target: (m, d); scale columns alike first.
        bound: the largest weight, 1 or more.
        gamma: of phi's kernel exp(-gamma |x - y|^2), above 0; None takes 1 over the median of |x - y|^2.

    Returns:
        w (n,), of mean 1.

    Raises:
        UsageError: a bound or gamma that makes no sense. DataError: shapes, NaN or infinity.

    Reference: Huang, Smola, Gretton, Borgwardt and Schoelkopf 2006, Correcting Sample Selection Bias by Unlabeled Data,
    equation 12. Departures: the mean of w is 1 exactly, where they allow it to differ a little; solved by accelerated
    projected gradient.

    >>> source = np.repeat([[0.0], [1.0]], [90, 10], axis=0)  # nine zeros for a one
    >>> w = kernel_mean_matching(source, np.array([[0.0], [1.0]]))
    >>> np.round([w[0], w[-1]], 2).tolist()  # of which the target holds equal shares
    [0.56, 5.0]
    """
    source, target = _checked(source, target)
    if not 1 <= bound < np.inf:
        raise UsageError(f"bound is the largest weight, 1 or more, got {bound}")
    if gamma is not None and not 0 < gamma < np.inf:
        raise UsageError(f"gamma must be above 0, got {gamma}; None takes the median heuristic")
    between = cdist(source, target, "sqeuclidean")
    gamma = 1 / _typical(between) if gamma is None else gamma
    kernel = np.exp(-gamma * cdist(source, source, "sqeuclidean"))
    n = len(source)
    pull = np.exp(-gamma * between).mean(1) * n  # (n,)
    step = 1 / max(_largest_eigenvalue(kernel), np.finfo(float).tiny)
    w, ahead, momentum = np.ones(n), np.ones(n), 1.0
    for _ in range(STEPS):
        before, w = w, projected(ahead - step * (kernel @ ahead - pull), bound)
        last, momentum = momentum, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = w + (last - 1) / momentum * (w - before)
        if np.abs(w - before).max() < 1e-7:
            break
    return w


def projected(w: np.ndarray, bound: float) -> np.ndarray:
    """The nearest weights in [0, bound] whose mean is 1: clip(w - t), t by bisection."""
    low, high = w.min() - bound, w.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(w - middle, 0, bound).mean() > 1 else (low, middle)
    return np.clip(w - (low + high) / 2, 0, bound)


def kliep(source: np.ndarray, target: np.ndarray, *, width: float | None = None, random_state: int = 0) -> np.ndarray:
    """Weights that are a ratio of densities, fitted so that the target is likely under the weighted source.

        w(x) = sum_l a_l exp(-|x - y_l|^2 / (2 s^2)),    max_a sum_j log w(y_j)   subject to  mean_i w(x_i) = 1, a >= 0

    y_l are up to 100 target rows. Use: see `kernel_mean_matching`.

    Args:
        source: (n, d). target: (m, d); scale columns alike first.
        width: s, above 0; None takes the one of five under which target rows that were left out are likeliest.
        random_state: of the rows and folds that are drawn.

    Returns:
        w (n,), of mean 1.

    Raises:
        UsageError: a width that makes no sense. DataError: shapes, NaN or infinity.

    Reference: Sugiyama et al. 2008, Direct Importance Estimation for Covariate Shift Adaptation, algorithm 1 and its
    cross-validation. Departure: the widths tried are five multiples of the median distance.

    >>> source = np.repeat([[0.0], [1.0]], [90, 10], axis=0)
    >>> w = kliep(source, np.repeat([[0.0], [1.0]], 20, axis=0), width=0.3)
    >>> np.round([w[0], w[-1]], 1).tolist()
    [0.6, 5.0]
    """
    source, target = _checked(source, target)
    if width is not None and not 0 < width < np.inf:
        raise UsageError(f"width must be above 0, got {width}; None chooses it")
    random = np.random.default_rng(random_state)
    centres = target[random.permutation(len(target))[:KERNELS]]
    near_s, near_t = cdist(source, centres, "sqeuclidean"), cdist(target, centres, "sqeuclidean")
    if width is None:
        widths = np.sqrt(_typical(near_t)) * np.array(WIDTHS)
        folds = random.permutation(len(target)) % min(FOLDS, len(target))
        width = max(widths, key=lambda s: _left_out(near_s, near_t, s, folds))
    phi_s, phi_t = (np.exp(-near / (2 * width**2)) for near in (near_s, near_t))
    w = phi_s @ _ratio(phi_s, phi_t)
    return w / w.mean()


def _left_out(near_s: np.ndarray, near_t: np.ndarray, width: float, folds: np.ndarray) -> float:
    """Mean log w of target rows, each by a ratio fitted without it."""
    phi_s, phi_t = (np.exp(-near / (2 * width**2)) for near in (near_s, near_t))
    scores = []
    for fold in range(folds.max() + 1):
        if (folds != fold).any():
            a = _ratio(phi_s, phi_t[folds != fold])
            scores.append(np.log(np.maximum(phi_t[folds == fold] @ a, 1e-12)).mean())
    return float(np.mean(scores)) if scores else 0.0


def _ratio(phi_s: np.ndarray, phi_t: np.ndarray) -> np.ndarray:
    """a (L,) of 0 or more: gradient ascent, each step back onto the constraint (their algorithm 1)."""
    mean = phi_s.mean(0)
    square = max(float(mean @ mean), np.finfo(float).tiny)

    def onto(a: np.ndarray) -> np.ndarray:
        a = np.maximum(a + (1 - mean @ a) * mean / square, 0)
        return a / max(float(mean @ a), np.finfo(float).tiny)

    def likelihood(a: np.ndarray) -> float:
        return float(np.log(np.maximum(phi_t @ a, 1e-300)).mean())

    a = onto(np.ones(phi_s.shape[1]))
    step, best = 1.0, likelihood(a)
    for _ in range(STEPS):
        tried = onto(a + step * phi_t.T @ (1 / np.maximum(phi_t @ a, 1e-300)) / len(phi_t))
        value = likelihood(tried)
        if value <= best + 1e-9:
            step /= 4
            if step < 1e-9:
                break
            continue
        a, best, step = tried, value, 1.5 * step
    return a


def _checked(source, target) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1] or 0 in (len(source), len(target)):
        raise DataError(f"weights need rows (n, d) and (m, d) of one width, got {source.shape} and {target.shape}")
    for name, rows in (("source", source), ("target", target)):
        if not np.isfinite(rows).all():
            raise DataError(f"{name} holds NaN or infinity, first in row {np.isfinite(rows).all(1).argmin()}")
    return source, target


def _typical(squares: np.ndarray) -> float:
    """The median of squared distances; their mean where half are 0, 1 where all are."""
    return float(np.median(squares) or squares.mean() or 1.0)


def _largest_eigenvalue(kernel: np.ndarray) -> float:
    """Of a matrix of numbers of 0 or more: its largest sum of a row bounds it."""
    return float(kernel.sum(1).max())
