"""How sure is a mean over training runs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bouba.evaluation.intervals import check_level, check_values


def seeds_interval(values: Sequence[float] | ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean over training runs and its Student interval, mean +- t_{n-1} s / sqrt(n).

    It covers how training went, on these queries; `interval` covers which queries were drawn. Few seeds
    are few: with two, t is 12.7.

    Args:
        values: (number of seeds,), two or more. level: coverage, between 0 and 1.

    Returns:
        (mean, low, high).

    Raises:
        DataError: fewer than two seeds, or NaN.

    Reference: Student (1908), The probable error of a mean.

    >>> [round(x, 3) for x in seeds_interval([0.2, 0.3, 0.4])]
    [0.3, 0.052, 0.548]
    """
    from scipy.special import stdtrit

    runs = check_values("values", values, "seeds")
    check_level(level)
    half = stdtrit(len(runs) - 1, (1 + level) / 2) * runs.std(ddof=1) / np.sqrt(len(runs))
    return float(runs.mean()), float(runs.mean() - half), float(runs.mean() + half)
