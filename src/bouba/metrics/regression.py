"""How near are predicted numbers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError


def r_squared(y_true: ArrayLike, y_pred: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Share of the variance that is explained, 1 - sum (y - y')^2 / sum (y - mean y)^2; 1 is best, 0 is the mean.

    Args:
        y_true: (n,). y_pred: (n,). weights: (n,), how much a row counts; all alike when None.

    Returns:
        A number up to 1, below 0 where the mean of these rows would have been nearer; NaN where y_true is constant.

    >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    y, guess, w = _check(y_true, y_pred, weights)
    spread = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    rounding = w.sum() * (8 * np.finfo(float).eps * abs(y).max()) ** 2  # what a constant may leave
    return float(1 - (w * (y - guess) ** 2).sum() / spread) if spread > rounding else float("nan")


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """mean |y - y'|, in the unit of y.

    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    y, guess, _ = _check(y_true, y_pred, None)
    return float(abs(y - guess).mean())


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """sqrt mean (y - y')^2, in the unit of y; few large errors weigh more than in `mean_absolute_error`.

    >>> root_mean_squared_error([1.0, 2.0], [1.0, 4.0]) == 2**0.5
    True
    """
    y, guess, _ = _check(y_true, y_pred, None)
    return float(np.sqrt(((y - guess) ** 2).mean()))


def _check(y_true: ArrayLike, y_pred: ArrayLike, weights: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray]:
    y, guess = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if y.ndim != 1 or not len(y) or guess.shape != y.shape or w.shape != y.shape:
        raise DataError(f"y_true and y_pred are vectors of one length, got shapes {y.shape} and {guess.shape}")
    if not (np.isfinite(y).all() and np.isfinite(guess).all()):
        raise DataError("y_true or y_pred holds NaN or infinity; drop those rows")
    return y, guess, w
