"""How sure is a number: percentile bootstrap over queries or groups, paired differences, t over seeds."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError, nearest

Statistic = Literal["mean", "median"]
STATISTICS = ("mean", "median")
CELLS = 4_000_000  # numbers drawn at once; bounds the memory of many resamples of many rows


def bootstrap(
    values: ArrayLike,
    statistic: Statistic = "mean",
    *,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | None = 0,
) -> tuple[float, float]:
    """Percentile interval of a mean or median over queries.

        [quantile((1-level)/2), quantile((1+level)/2)] of statistic(rows drawn with replacement)

    With `groups` whole groups are drawn: many queries of one concept are not independent,
    and rows drawn apart would give an interval that is too narrow. It covers which queries were drawn, not
    how training went: for that use `seeds_interval`.

    Args:
        values: (n,) one number a query.
        statistic: "mean" or "median".
        groups: (n,) labels of what is drawn as a whole; None draws rows.
        n_resamples: draws. level: coverage, between 0 and 1.

    Returns:
        (low, high). Of width 0 when all values are equal, as every bootstrap.

    Raises:
        DataError: NaN, unequal lengths, or fewer than two rows or groups. UsageError: an unknown statistic.

    Reference: Efron (1979), Bootstrap methods: another look at the jackknife; Field and Welsh (2007),
    Bootstrapping clustered data.

    >>> low, high = bootstrap([0.0, 1.0] * 50)
    >>> 0.35 < low < 0.5 < high < 0.65
    True
    """
    rows = _check_values("values", values)
    group = _check_groups(groups, len(rows))
    draw = _resampled(rows, group, statistic)
    drawn = np.concatenate([draw(c) for c in _counts(group.max() + 1, n_resamples, random_state)])
    return _percentiles(drawn, level)


def bootstrap_weighted(
    statistic: Callable[[NDArray[np.float64]], float],
    groups: ArrayLike,
    *,
    centre: float | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | None = 0,
) -> tuple[float, float]:
    """Percentile interval of anything that is computed from rows, such as F1: use `bootstrap` for means and medians.

    Args:
        statistic: weights float (n,) -> number; a row drawn twice has weight 2. NaN where a draw has no answer; such
            draws are left out.
        groups: (n,) labels of what is drawn as a whole.
        centre: move the draws so that this is their mean: for what drawing twice makes larger, as calibration errors.
        n_resamples, level, random_state: as `bootstrap`.

    Returns:
        (low, high); (NaN, NaN) where no draw has an answer.

    Raises:
        DataError: fewer than two groups.

    >>> y = np.array([0.0, 1.0] * 50)
    >>> low, high = bootstrap_weighted(lambda w: (w * y).sum() / w.sum(), np.arange(100))
    >>> (low, high) == bootstrap(y)
    True
    """
    group = _check_groups(groups, len(np.asarray(groups)))
    blocks = _counts(group.max() + 1, n_resamples, random_state)
    drawn = np.array([statistic(count[group]) for counts in blocks for count in counts])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    return _percentiles(drawn if centre is None else drawn - drawn.mean() + centre, level)


def paired_difference(
    values_a: ArrayLike,
    values_b: ArrayLike,
    statistic: Statistic = "mean",
    *,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: int | None = 0,
) -> tuple[float, float, float, float]:
    """statistic(a) - statistic(b) on the same queries, its interval, and a p-value.

    Both methods are measured on the same resampled queries, so what makes a query easy for both cancels: the interval
    is narrower than two separate `bootstrap` intervals laid side by side.

    Args:
        values_a: (n,) one number a query. values_b: (n,) the same queries by the other method.
        statistic, groups, n_resamples, level, random_state: as `bootstrap`.

    Returns:
        (difference, low, high, p). p is two-sided, 2 min(P(d* <= 0), P(d* >= 0)), each counted with one
        more draw so that it is never 0: p < 1 - level when the interval leaves out 0 (up to 1/n_resamples).

    Raises:
        DataError: as `bootstrap`, or unequal lengths.

    Reference: Efron and Tibshirani (1993), An introduction to the bootstrap, chapters 13 and 16; Davison and
    Hinkley (1997), section 4.4, for the added draw.

    >>> paired_difference([1.0, 1.0, 0.5], [0.0, 0.5, 0.5])[0]
    0.5
    """
    a, b = _check_values("values_a", values_a), _check_values("values_b", values_b)
    if len(a) != len(b):
        raise DataError(f"values_a has {len(a)} queries and values_b {len(b)}; pass the same queries in one order")
    group = _check_groups(groups, len(a))
    if statistic == "mean":  # exactly 0 where the two agree; two means apart would differ by rounding
        a, b = a - b, np.zeros_like(b)
    draw_a, draw_b = _resampled(a, group, statistic), _resampled(b, group, statistic)
    counts = _counts(group.max() + 1, n_resamples, random_state)
    drawn = np.concatenate([draw_a(c) - draw_b(c) for c in counts])
    once = np.ones((1, group.max() + 1))
    tail = 1 + min((drawn <= 0).sum(), (drawn >= 0).sum())
    low, high = _percentiles(drawn, level)
    return float((draw_a(once) - draw_b(once))[0]), low, high, min(1.0, float(2 * tail / (len(drawn) + 1)))


def seeds_interval(values: Sequence[float] | ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean over training runs and its Student interval, mean +- t_{n-1} s / sqrt(n).

    It covers how training went, on these queries; `bootstrap` covers which queries were drawn. Few seeds
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

    runs = _check_values("values", values, "seeds")
    _check_level(level)
    half = stdtrit(len(runs) - 1, (1 + level) / 2) * runs.std(ddof=1) / np.sqrt(len(runs))
    return float(runs.mean()), float(runs.mean() - half), float(runs.mean() + half)


def _counts(groups: int, n_resamples: int, random_state: int | None) -> Iterator[NDArray[np.float64]]:
    """How often each group was drawn, (resamples, groups), a block of resamples at a time."""
    if n_resamples < 1:
        raise UsageError(f"n_resamples must be 1 or more, got {n_resamples}; 1000 is usual")
    rng = np.random.default_rng(random_state)
    block = max(1, CELLS // groups)
    for start in range(0, n_resamples, block):
        b = min(block, n_resamples - start)
        drawn = rng.integers(0, groups, size=(b, groups), dtype=np.int32)
        drawn += (np.arange(b, dtype=np.int32) * groups)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * groups).reshape(b, groups).astype(np.float64)


def _resampled(
    values: NDArray[np.float64], group: NDArray[np.intp], statistic: str
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The statistic as a function of how often each group was drawn, (b, groups) -> (b,)."""
    if statistic not in STATISTICS:
        raise UsageError(f"statistic {statistic!r} is not known{nearest(str(statistic), STATISTICS)}")
    if statistic == "mean":
        total, size = np.bincount(group, weights=values), np.bincount(group).astype(np.float64)
        # einsum, because a threaded product of this size costs more to share out than to compute
        return lambda counts: np.einsum("bg,g->b", counts, total) / np.einsum("bg,g->b", counts, size)
    order = np.argsort(values, kind="stable")
    ranked, group_of = values[order], group[order]
    return lambda counts: _medians(ranked, np.take(counts, group_of, axis=1))


def _medians(ranked: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of `ranked` (n,) with each value taken `counts` (b, n) times."""
    reached = np.cumsum(counts, axis=1)  # (b, n)
    half = reached[:, -1:] / 2
    lower, upper = (reached >= half).argmax(axis=1), (reached > half).argmax(axis=1)
    return (ranked[lower] + ranked[upper]) / 2


def _percentiles(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    _check_level(level)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level must lie between 0 and 1, got {level}; 0.95 is usual")


def _check_values(name: str, values: ArrayLike, unit: str = "values") -> NDArray[np.float64]:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1 or len(rows) < 2:
        raise DataError(f"an interval needs two {unit} or more in a vector, got shape {rows.shape} as {name}")
    if not np.isfinite(rows).all():
        bad = np.flatnonzero(~np.isfinite(rows))
        raise DataError(f"{name} has {len(bad)} NaN or infinite entries, first at {bad[0]}; drop those queries")
    return rows


def _check_groups(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
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
