"""Calibration of probabilities: of rows predicted with 80%, eight in ten should be right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError


@dataclass(frozen=True)
class Reliability:
    """Rows gathered by how sure the model was; bins that hold no row are left out.

    Args:
        confidence: (B,) mean probability given to the guess. accuracy: (B,) share of right guesses. n: (B,) rows.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    n: NDArray[np.int64]


def reliability(y: ArrayLike, proba: ArrayLike, *, bins: int = 15) -> Reliability:
    """Confidence and accuracy in bins of equal width, ((b - 1) / bins, b / bins].

    Args:
        y: int (n,), column of the true class in `proba`; -1 for a class it does not have, which is never right.
        proba: (n, C) probabilities, rows adding up to 1. bins: 1 or more.

    Raises:
        DataError: shapes that disagree, or rows that are no probabilities. UsageError: bins below 1.

    >>> reliability([0, 1], [[0.9, 0.1], [0.9, 0.1]]).accuracy.tolist()
    [0.5]
    """
    confidence, correct = confidence_and_hits(y, proba)
    bin_index = bin_of(confidence, bins)
    size = np.bincount(bin_index, minlength=bins)
    filled = size > 0
    mean_confidence, accuracy = (
        np.bincount(bin_index, values, bins)[filled] / size[filled] for values in (confidence, correct)
    )
    return Reliability(mean_confidence, accuracy, size[filled])


def expected_calibration_error(y: ArrayLike, proba: ArrayLike, *, bins: int = 15) -> float:
    """How far confidence lies from accuracy, averaged over the rows; 0 is best.

        ECE = sum_b (n_b / n) |accuracy_b - confidence_b|

    It does not measure accuracy: always giving the shares of the classes is calibrated too.

    Args, Raises: as for `reliability`.

    Reference: Guo, Pleiss, Sun and Weinberger 2017, On Calibration of Modern Neural Networks, equation 3.

    >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.9, 0.1]]), 3)
    0.4
    """
    binned = reliability(y, proba, bins=bins)
    return float((binned.n * abs(binned.accuracy - binned.confidence)).sum() / binned.n.sum())


def confidence_and_hits(y: ArrayLike, proba: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability of each row's guess (n,), and whether it is right (n,)."""
    p, codes = np.asarray(proba, np.float64), np.asarray(y)
    if p.ndim != 2 or 0 in p.shape or codes.shape != p.shape[:1] or codes.dtype.kind not in "iu":
        raise DataError(f"y is one class code for each row of proba (n, C), got shapes {codes.shape} and {p.shape}")
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-3)):
        raise DataError("rows of proba must be 0 or more and add up to 1; pass probabilities, not scores")
    return p.max(1), p.argmax(1) == codes


def bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Which of the bins ((b - 1) / bins, b / bins] each confidence falls into."""
    if bins < 1:
        raise UsageError(f"bins must be 1 or more, got {bins}; 15 is usual")
    return np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
