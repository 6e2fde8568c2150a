"""How sure is a mean over training runs, and the difference of two: how training went, and which rows were drawn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError
from bouba.evaluation.intervals import (
    Ends,
    bounds_of,
    check_groups,
    check_level,
    check_values,
    ends_of_difference,
    ends_of_mean,
    p_value,
)
from bouba.evaluation.limits import ANYWHERE, Bounds, estimate_of_mean

Runs = NDArray[np.float64]


def seeds_interval(
    values: Sequence[float] | ArrayLike,
    *,
    groups: ArrayLike | None = None,
    bounds: Bounds | None = None,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Mean over training runs, and its interval.

        one number a seed           mean -+ t_{S-1} s / sqrt(S): how training went, on these very rows
        one a seed and a query      the mean -+ sqrt(seeds^2 + rows^2): how training went, and which rows were drawn
          seeds                     as above
          rows                      the distance to `interval`'s end for the mean over seeds of each query, less the
                                    part of its variance that `seeds` has already: of what is left of a value without
                                    the means of its seed and of its query

    Where all seeds are judged on the same test rows, the numbers of one seed each differ too little: the rows could
    have been others. Few seeds are few: with two, t is 12.7.

    Args:
        values: (S,), two seeds or more, or (S, n), the same queries in every seed.
        groups, bounds: of the queries, as `interval`. level: coverage, between 0 and 1.

    Returns:
        (mean, low, high).

    Raises:
        DataError: fewer than two seeds or queries, or NaN.

    Reference: Student 1908, The probable error of a mean; Zou and Donner 2008 for the sum of squares; Owen 2007, The
    pigeonhole bootstrap, for two-way means.

    >>> [round(x, 3) for x in seeds_interval([0.2, 0.3, 0.4])]
    [0.3, 0.052, 0.548]
    >>> [round(x, 3) for x in seeds_interval([[1, 1, 1, 0] * 5] * 3)]  # the same in every seed: 20 rows are few
    [0.75, 0.525, 0.905]
    """
    check_level(level)
    runs = _check_runs("values", values)
    if runs.shape[1] == 1:
        ends = _student(runs[:, 0])
    else:
        group, bounds = check_groups(groups, runs.shape[1]), bounds_of(bounds, runs)
        ends = _both(runs, group, ends_of_mean(runs.mean(0), group, bounds), bounds)
    return float(runs.mean()), *ends(level)


def over_seeds(
    values: ArrayLike,
    lows: ArrayLike,
    highs: ArrayLike,
    *,
    share: float = 1.0,
    bounds: Bounds = ANYWHERE,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Mean over training runs, and an interval over runs and rows, from each run's own interval over rows.

        mean -+ sqrt(t_{S-1}^2 s^2 / S  +  share * (mean distance of the ends from their values)^2)

    Args:
        values: (S,) a seed's number. lows, highs: (S,) its interval over the rows it was judged on.
        share: of all rows that there are to judge on, those that each seed was judged on: 1 where all seeds have the
            same rows, or each has all of them (cross-validation); n / N where each drew n of N; 0 where each has new
            rows, since their differences are then among those of the seeds.
        bounds: least and largest value that the metric can have. level: coverage, between 0 and 1.

    Returns:
        (mean, low, high). At most sqrt(2) too wide, as runs that differ by query differ on average too; per-query
        values in `seeds_interval` tell these apart.

    Raises:
        DataError: unequal lengths, fewer than two seeds, or NaN.

    >>> [round(x, 3) for x in over_seeds([0.992, 0.992], [0.988, 0.987], [0.995, 0.995])]
    [0.992, 0.988, 0.995]
    """
    check_level(level)
    runs, low, high = (check_values(n, v, "seeds") for n, v in (("values", values), ("lows", lows), ("highs", highs)))
    if not len(runs) == len(low) == len(high):
        raise DataError(f"{len(runs)} values, {len(low)} lows and {len(high)} highs; each seed has one of each")
    mean, seeds = float(runs.mean()), float(runs.mean() - _student(runs)(level)[0])
    down, up = (share**0.5 * float(np.mean(side)) for side in (runs - low, high - runs))
    return mean, max(mean - float(np.hypot(seeds, down)), bounds[0]), min(mean + float(np.hypot(seeds, up)), bounds[1])


def paired_over_seeds(
    values_a: ArrayLike,
    values_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    bounds: Bounds | None = None,
    level: float = 0.95,
) -> tuple[float, float, float, float]:
    """By how much one method is better than another over the same seeds, its interval, and a p-value.

    What is hard for both methods, a seed or a query, cancels. One number a seed gives Student's paired t-test, which
    covers how training went on these rows; one a seed and a query covers the rows too, as `seeds_interval`.

    Args:
        values_a, values_b: (S,) or (S, n), the same seeds and queries in one order. One seed needs queries.
        groups, bounds: of the queries, as `interval`; bounds are those of the values, not of differences.
        level: coverage, between 0 and 1.

    Returns:
        (difference, low, high, p). p is two-sided: 1 - level of the widest interval that leaves out 0, 1e-9 at least.

    Raises:
        DataError: unequal shapes, NaN, fewer than two seeds without queries.

    Reference: as `seeds_interval` and `paired_difference`.

    >>> [round(x, 3) for x in paired_over_seeds([0.5, 0.6, 0.7], [0.3, 0.5, 0.6])]
    [0.133, -0.01, 0.277, 0.057]
    """
    check_level(level)
    a, b = _check_runs("values_a", values_a), _check_runs("values_b", values_b)
    if a.shape != b.shape:
        raise DataError(f"values_a is {a.shape} and values_b {b.shape}; pass the same seeds and queries in one order")
    if a.shape[1] == 1:
        ends = _student((a - b)[:, 0])
    else:
        group = check_groups(groups, a.shape[1])
        bounds = bounds_of(bounds, np.concatenate([a, b]))
        of_rows = ends_of_difference(a.mean(0), b.mean(0), group, bounds)
        ends = _both(a - b, group, of_rows, (bounds[0] - bounds[1], bounds[1] - bounds[0]))
    return float((a - b).mean()), *ends(level), p_value(ends)


def _student(runs: NDArray[np.float64]) -> Ends:
    """level -> Student's interval of the mean; of no width for one run."""
    from scipy.special import stdtrit

    mean = float(runs.mean())
    sd = (float(runs.var(ddof=1)) / len(runs)) ** 0.5 if len(runs) > 1 else 0.0

    def ends(level: float) -> tuple[float, float]:
        half = float(stdtrit(len(runs) - 1, (1 + level) / 2)) * sd if sd else 0.0
        return mean - half, mean + half

    return ends


def _both(runs: Runs, group: NDArray[np.intp], of_rows: Ends, bounds: Bounds) -> Ends:
    """level -> the interval over seeds and rows of the mean of runs (S, n), given that over rows alone."""
    seeds, mean = len(runs), float(runs.mean())
    left = runs - runs.mean(0) - runs.mean(1, keepdims=True) + mean
    sums = np.stack([np.bincount(group, weights=row) for row in left])
    noise = float((sums**2).sum()) / max(seeds - 1, 1) / seeds / runs.shape[1] ** 2
    variance = estimate_of_mean(runs.mean(0), group).variance
    share = max(1 - noise / variance, 0.0) ** 0.5 if variance > 0 else 1.0
    of_seeds = _student(runs.mean(1))

    def ends(level: float) -> tuple[float, float]:
        half = mean - of_seeds(level)[0]
        low, high = of_rows(level)
        down, up = np.hypot(half, share * (mean - low)), np.hypot(half, share * (high - mean))
        return max(mean - float(down), bounds[0]), min(mean + float(up), bounds[1])

    return ends


def _check_runs(name: str, values: ArrayLike) -> Runs:
    """(S, n), n being 1 where there is one number a seed."""
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 2:
        return check_values(name, runs, "seeds")[:, None]
    if not len(runs):
        raise DataError(f"{name} holds no seed")
    check_values(name, runs.ravel(), "values")
    return runs
