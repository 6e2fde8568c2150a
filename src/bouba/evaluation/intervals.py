"""How sure is a number: its interval over the rows or groups it was measured on, and paired differences."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.limits import ANYWHERE, Bounds, Estimate, estimate_of_mean, limits

Statistic = Literal["mean", "median"]
Ends = Callable[[float], tuple[float, float]]
"""Level -> interval."""
STATISTICS = ("mean", "median")
CELLS = 4_000_000  # numbers drawn at once; bounds the memory of many resamples of many rows


def interval(
    values: ArrayLike,
    statistic: Statistic = "mean",
    *,
    groups: ArrayLike | None = None,
    bounds: Bounds | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Where the mean or median over all queries that could be put probably lies, from those that were.

    The interval holds for rates near 0 and 1, where a percentile bootstrap covers 7 to 85% instead of 95%: none of 10
    is [0, 0.26]. With `groups` whole groups count as drawn: many queries of one concept are not independent. It covers
    which queries were drawn, not how training went: `over_seeds` has both.

    Means: see `limits`. Medians: the order statistics that the limits of a rate of 1/2 point at; with fewer than six
    independent values no order statistics cover 95%, and the ends are those of `bounds`, or of the values.

    Args:
        values: (n,) one number a query: hits (0 or 1), reciprocal ranks, errors.
        statistic: "mean" or "median".
        groups: (n,) labels of what is drawn as a whole; None draws rows.
        bounds: least and largest value that the metric can have. None reads them off the values: [0, 1] where all lie
            there, [0, inf) where none is negative, else none.
        level: coverage, between 0 and 1.

    Returns:
        (low, high), with the statistic between them and within `bounds`. Of width 0 only where equal values say no
        more: a median, or a mean of values that may be negative without end.

    Raises:
        DataError: NaN, unequal lengths, or fewer than two rows or groups. UsageError: an unknown statistic, or values
            outside of `bounds`.

    Reference: `limits`; Woodruff 1952, Confidence intervals for medians and other position measures.

    >>> [round(end, 3) for end in interval([1.0] * 20)]
    [0.853, 1.0]
    >>> [round(end, 3) for end in interval([1.0] * 20, groups=[0, 1, 2, 3] * 5)]
    [0.473, 1.0]
    """
    rows = check_values("values", values)
    group = check_groups(groups, len(rows))
    check_level(level)
    return _interval(rows, group, bounds_of(bounds, rows), statistic, level)


def bootstrap(
    values: ArrayLike,
    statistic: Statistic = "mean",
    *,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | None = 0,
) -> tuple[float, float]:
    """`interval` by its earlier name; nothing is drawn, so `n_resamples` and `random_state` change nothing."""
    return interval(values, statistic, groups=groups, level=level)


def bootstrap_weighted(
    statistic: Callable[[NDArray[np.float64]], float],
    groups: ArrayLike,
    *,
    bounds: Bounds = ANYWHERE,
    size: float | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | None = 0,
) -> tuple[float, float]:
    """Interval of anything that is computed from rows, such as F1: use `interval` for means and medians.

    The variance over draws of the groups with replacement, and `limits` for it.

    Args:
        statistic: weights float (n,) -> number; a row drawn twice has weight 2. NaN where a draw has no answer; such
            draws are left out.
        groups: (n,) labels of what is drawn as a whole.
        bounds: least and largest value that the statistic can have.
        size: number of equal independent rows that tell as much as these, for where no draw differs; the number of
            groups when None.
        n_resamples: draws. level: coverage, between 0 and 1. random_state: seed of the draws.

    Returns:
        (low, high); (NaN, NaN) where all rows, or fewer than two draws, have no answer.

    Raises:
        DataError: fewer than two groups. UsageError: fewer than two draws.

    Reference: Efron 1979, Bootstrap methods: another look at the jackknife; Field and Welsh 2007, Bootstrapping
    clustered data, for groups.

    >>> y = np.array([0.0, 1.0] * 50)
    >>> ends = bootstrap_weighted(lambda w: (w * y).sum() / w.sum(), np.arange(100), bounds=(0, 1))
    >>> np.allclose(ends, interval(y), atol=0.01)
    True
    """
    group = check_groups(groups, len(np.asarray(groups)))
    check_level(level)
    units = int(group.max()) + 1
    value = statistic(np.ones(len(group)))
    blocks = draws(units, n_resamples, random_state)
    drawn = np.array([statistic(count[group]) for counts in blocks for count in counts])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 2 or not np.isfinite(value):
        return np.nan, np.nan
    variance = float(drawn.var()) * units / (units - 1)
    return limits(Estimate(value, variance, units if size is None else size), bounds, level)


def paired_difference(
    values_a: ArrayLike,
    values_b: ArrayLike,
    statistic: Statistic = "mean",
    *,
    groups: ArrayLike | None = None,
    bounds: Bounds | None = None,
    level: float = 0.95,
) -> tuple[float, float, float, float]:
    """statistic(a) - statistic(b) on the same queries, its interval, and a p-value.

    Both methods are measured on the same queries, so what makes a query easy for both cancels: the interval is
    narrower than two separate intervals laid side by side.

        mean, bounded      d = gained - lost, each with its own `limits`, and the distances of their ends added as
                           squares, less twice their product by the correlation; Student's where that is wider
        mean, unbounded    Student's of the differences
        median             as the first, of the two medians

    Args:
        values_a: (n,) one number a query. values_b: (n,) the same queries by the other method.
        statistic, groups, bounds, level: as `interval`; the bounds are those of the values, not of the differences.

    Returns:
        (difference, low, high, p). p is two-sided: 1 - level of the widest interval that leaves out 0, 1e-9 at least.

    Raises:
        DataError: as `interval`, or unequal lengths.

    Reference: Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on
    paired data, method 10; Zou and Donner 2008, Construction of confidence limits about effect measures (MOVER).

    >>> paired_difference([1.0, 1.0, 0.5], [0.0, 0.5, 0.5])[0]
    0.5
    """
    a, b = check_values("values_a", values_a), check_values("values_b", values_b)
    if len(a) != len(b):
        raise DataError(f"values_a has {len(a)} queries and values_b {len(b)}; pass the same queries in one order")
    group = check_groups(groups, len(a))
    bounds = bounds_of(bounds, np.concatenate([a, b]))
    _check_statistic(statistic)
    check_level(level)
    ends = ends_of_difference(a, b, group, bounds, statistic)
    difference = (a - b).mean() if statistic == "mean" else np.median(a) - np.median(b)
    return float(difference), *ends(level), p_value(ends)


def ends_of_difference(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    group: NDArray[np.intp],
    bounds: Bounds,
    statistic: Statistic = "mean",
) -> Ends:
    """level -> limits of statistic(a) - statistic(b), see `paired_difference`."""
    if statistic == "median":
        return _ends_of_two(a, b, group, bounds, statistic)
    student, width = ends_of_mean(a - b, group, ANYWHERE), bounds[1] - bounds[0]
    if not np.isfinite(width):
        return student
    of_two = _ends_of_two(np.maximum(a - b, 0), np.maximum(b - a, 0), group, (0.0, width), "mean")

    def ends(level: float) -> tuple[float, float]:
        (low, high), (lower, higher) = of_two(level), student(level)
        return max(min(low, lower), -width), min(max(high, higher), width)

    return ends


def _ends_of_two(
    a: NDArray[np.float64], b: NDArray[np.float64], group: NDArray[np.intp], bounds: Bounds, statistic: Statistic
) -> Ends:
    """level -> limits of statistic(a) - statistic(b), from the limits of each and how the two move together."""
    at_a, at_b = float(getattr(np, statistic)(a)), float(getattr(np, statistic)(b))
    together = _correlation(_influence(a, at_a, statistic), _influence(b, at_b, statistic), group)

    def ends(level: float) -> tuple[float, float]:
        (low_a, high_a), (low_b, high_b) = (_interval(x, group, bounds, statistic, level) for x in (a, b))
        low = _hypotenuse(at_a - low_a, high_b - at_b, together)
        high = _hypotenuse(high_a - at_a, at_b - low_b, together)
        return at_a - at_b - low, at_a - at_b + high

    return ends


def _hypotenuse(a: float, b: float, correlation: float) -> float:
    return max(a * a + b * b - 2 * correlation * a * b, 0.0) ** 0.5


def _influence(values: NDArray[np.float64], at: float, statistic: str) -> NDArray[np.float64]:
    """(n,) how much each value moves the statistic, up to a factor."""
    return values - at if statistic == "mean" else np.sign(values - at)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], group: NDArray[np.intp]) -> float:
    """Of the sums by group; 0 where one of them is constant."""
    sums = np.stack([np.bincount(group, weights=a), np.bincount(group, weights=b)])
    (of_a, both), (_, of_b) = np.cov(sums)
    return float(both / (of_a * of_b) ** 0.5) if of_a > 0 < of_b else 0.0


def p_value(ends: Ends) -> float:
    """1 - the level at which an end reaches 0."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def beyond(z: float) -> float:
        """How far the interval of z standard deviations reaches past 0; negative where it leaves 0 out."""
        low, high = ends(float(1 - 2 * ndtr(-z)))
        return min(-low, high)

    narrow, wide = 1e-6, 6.0  # standard deviations; Student's quantiles of few seeds end in floating point
    if beyond(narrow) >= 0:
        return 1.0
    return float(2 * ndtr(-(wide if beyond(wide) < 0 else brentq(beyond, narrow, wide, xtol=1e-6))))


def _interval(
    values: NDArray[np.float64], group: NDArray[np.intp], bounds: Bounds, statistic: str, level: float
) -> tuple[float, float]:
    _check_statistic(statistic)
    if statistic == "median":
        return _of_median(values, group, bounds, level)
    return ends_of_mean(values, group, bounds)(level)


def ends_of_mean(values: NDArray[np.float64], group: NDArray[np.intp], bounds: Bounds) -> Ends:
    """level -> limits of the mean."""
    estimate = estimate_of_mean(values, group, bounds)

    def ends(level: float) -> tuple[float, float]:
        low, high = limits(estimate, bounds, level)
        return min(low, estimate.value), max(high, estimate.value)  # rounding

    return ends


def _of_median(
    values: NDArray[np.float64], group: NDArray[np.intp], bounds: Bounds, level: float
) -> tuple[float, float]:
    """The k-th values from both ends, k the most of independent values that so rarely lie on one side of the median."""
    from scipy.special import betainc

    n, ranked = len(values), np.sort(values)
    trials = _independent(np.sign(values - np.median(values)), group, level)
    tail = (1 - level) / 2
    # P(X <= k) of k in `trials` at 1/2; between whole numbers too, as trials need not be whole
    below = betainc(np.maximum(trials - np.arange(n) * trials / n, 1e-9), np.arange(n) * trials / n + 1, 0.5)
    k = int(np.searchsorted(below[: n // 2], tail, side="right"))
    if k == 0:
        low, high = (end if np.isfinite(end) else seen for end, seen in zip(bounds, (ranked[0], ranked[-1])))
        return float(low), float(high)
    return float(ranked[k - 1]), float(ranked[n - k])


def _independent(signs: NDArray[np.float64], group: NDArray[np.intp], level: float) -> float:
    """How many independent values say as much of the median as these in their groups."""
    from scipy.special import stdtrit

    estimate, n = estimate_of_mean(signs, group), len(signs)
    if group.max() + 1 == n:
        return float(n)
    apart = float(signs.var()) / n
    if estimate.variance == 0 or apart == 0:
        return estimate.size
    known, spread = stdtrit(n - 1, (1 + level) / 2), stdtrit(estimate.size - 1, (1 + level) / 2)
    return float(min(n * apart / estimate.variance * (known / spread) ** 2, n))


def draws(groups: int, n_resamples: int, random_state: int | None) -> Iterator[NDArray[np.float64]]:
    """How often each group was drawn, (resamples, groups), a block of resamples at a time."""
    if n_resamples < 2:
        raise UsageError(f"n_resamples must be 2 or more, got {n_resamples}; 1000 is usual")
    rng = np.random.default_rng(random_state)
    block = max(1, CELLS // groups)
    for start in range(0, n_resamples, block):
        b = min(block, n_resamples - start)
        drawn = rng.integers(0, groups, size=(b, groups), dtype=np.int32)
        drawn += (np.arange(b, dtype=np.int32) * groups)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * groups).reshape(b, groups).astype(np.float64)


def _check_statistic(statistic: str) -> None:
    if statistic not in STATISTICS:
        raise UsageError(f"statistic {statistic!r} is not known{nearest(str(statistic), STATISTICS)}")


def bounds_of(bounds: Bounds | None, values: NDArray[np.float64]) -> Bounds:
    least, most = float(values.min()), float(values.max())
    if bounds is None:
        return (0.0, 1.0) if least >= 0 and most <= 1 else (0.0, np.inf) if least >= 0 else ANYWHERE
    if not bounds[0] <= least <= most <= bounds[1]:
        raise UsageError(f"values reach from {least:g} to {most:g}, outside of bounds {bounds}")
    return bounds


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level must lie between 0 and 1, got {level}; 0.95 is usual")


def check_values(name: str, values: ArrayLike, unit: str = "values") -> NDArray[np.float64]:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1 or len(rows) < 2:
        raise DataError(f"an interval needs two {unit} or more in a vector, got shape {rows.shape} as {name}")
    if not np.isfinite(rows).all():
        bad = np.flatnonzero(~np.isfinite(rows))
        raise DataError(f"{name} has {len(bad)} NaN or infinite entries, first at {bad[0]}; drop those queries")
    return rows


def check_groups(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    if groups is None:
        return np.arange(n)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise DataError(f"groups must be one label for each of {n} values, got shape {labels.shape}")
    _, group = np.unique(labels, return_inverse=True)
    if group.max() == 0:
        raise DataError(
            f"all {n} values are of one group {labels.tolist()[0]!r}; an interval needs two, or groups=None"
        )
    return group
