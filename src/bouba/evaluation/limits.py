"""Confidence limits of a mean from its variance: a rate's on [0, 1], a count's on [0, inf), Student's elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bounds = tuple[float, float]
ANYWHERE = (-np.inf, np.inf)
NOTHING = 1e-12
"""Part of an event, or relative variance, that is rounding."""


@dataclass(frozen=True)
class Estimate:
    """A mean and what its limits need.

    Args:
        value: the mean. variance: of the mean, not of one value.
        size: rows, or groups where rows were drawn in groups; of unequal groups how many equal ones tell as much.
        rows: how many, where each value is the least or the largest that there can be, as 0 and 1 of hits, else None:
            the variance of independent ones is then known.
    """

    value: float
    variance: float
    size: float
    rows: int | None = None


def limits(estimate: Estimate, bounds: Bounds, level: float = 0.95) -> Bounds:
    """Where the mean of the population may lie, given the bounds of the metric.

        [a, b]       the limits of a rate of x events in m trials, x / m the mean and m = mean (1 - mean) / variance
        [a, inf)     those of x Poisson events, x = mean^2 / variance
        unbounded    mean -+ t sd

    m and x shrink by the squared ratio of normal and Student quantiles, because the variance is estimated too. Where
    all values are equal nothing was seen to vary: the limits then are what a share of other values, as large as none
    in `size` allows, could do to the mean.

    Reference: Korn and Graubard 1998, Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data, for the number of trials; departures: `binomial` in place of Clopper-Pearson,
    values other than 0 and 1, and the Poisson limit of the same for values without an upper bound.
    """
    low, high = bounds
    if np.isfinite(high) and not np.isfinite(low):
        e = estimate
        a, b = limits(Estimate(-e.value, e.variance, e.size, e.rows), (-high, np.inf), level)
        return -b, -a
    mean, width = estimate.value, high - low
    above = mean - low
    if estimate.variance <= NOTHING * (min(above, high - mean) ** 2 if np.isfinite(low) else mean**2):
        return _of_equal(estimate, bounds, level)
    spread = _student(estimate.size - 1, level)
    if not np.isfinite(low):
        return mean - spread * estimate.variance**0.5, mean + spread * estimate.variance**0.5
    known = _student(estimate.rows - 1, level) if estimate.rows else _normal(level)
    shrink = (known / spread) ** 2
    if not np.isfinite(high):
        events = above**2 / estimate.variance * shrink
        return tuple(low + above / events * limit for limit in poisson(events, level))  # type: ignore[return-value]
    trials = above * (high - mean) / estimate.variance * shrink
    return tuple(low + width * limit for limit in binomial(above / width * trials, trials, level))  # type: ignore[return-value]


def binomial(events: float, trials: float, level: float = 0.95) -> Bounds:
    """Limits of a rate, of which `events` in `trials` were seen; neither has to be whole.

        P(X > x) + w P(X = x) = (1 - level) / 2  at the lower end, and so for P(X < x) at the upper one

    w = 1 is Clopper and Pearson's interval, which covers 98.4% on average over all rates at 10 trials; w = 1/2 is
    Lancaster's mid-p, which covers 95% on average, and 91.7% where 3 events are expected. w here rises from 1/2 at
    10 trials to 0.7: at no rate below 93.2% from 20 trials on (92.6% at 10), and 95 to 97% on average. Wilson's
    interval covers 83.6% where 0.2 events are expected.

    Reference: Lancaster 1961, Significance tests in discrete distributions; Agresti and Gottard 2007, Nonconservative
    exact small-sample inference for discrete data, for intervals. Departure: w.

    >>> [round(limit, 3) for limit in binomial(0, 10)]
    [0.0, 0.259]
    """
    weight, tail = _weight(trials), (1 - level) / 2
    return _lower(events, trials, weight, tail), 1 - _lower(trials - events, trials, weight, tail)


def poisson(events: float, level: float = 0.95) -> Bounds:
    """Limits of an expected count of which `events` > 0, not necessarily whole, were seen: `binomial` of many trials.

    >>> [round(limit, 2) for limit in poisson(10.0)]
    [4.95, 18.07]
    """
    from scipy.special import gammainc, gammaincc

    w, tail = _weight(np.inf), (1 - level) / 2
    low = _root(lambda m: w * gammainc(events, m) + (1 - w) * gammainc(events + 1, m) - tail, 0.0, events)
    far = events + 40 + 40 * events**0.5
    high = _root(lambda m: tail - w * gammaincc(events + 1, m) - (1 - w) * gammaincc(events, m), events, far)
    return low, high


def _of_equal(estimate: Estimate, bounds: Bounds, level: float) -> Bounds:
    """Limits where all values are equal; the same on both sides where the metric ends on one only."""
    unseen = binomial(0.0, estimate.size, level)[1]
    down, up = estimate.value - bounds[0], bounds[1] - estimate.value
    down, up = (
        near if np.isfinite(near) else far if np.isfinite(far) else 0.0 for near, far in ((down, up), (up, down))
    )
    return estimate.value - down * unseen, estimate.value + up * unseen


def _weight(trials: float) -> float:
    """w of `binomial`."""
    return max(0.5, 0.7 - 2 / trials)


def _lower(events: float, trials: float, weight: float, tail: float) -> float:
    from scipy.special import betainc

    if events <= NOTHING:
        return 0.0
    others = max(trials - events, 0.0)

    def above(rate: float) -> float:
        more = betainc(events + 1, others, rate) if others > NOTHING else 0.0
        return weight * betainc(events, others + 1, rate) + (1 - weight) * more - tail

    return _root(above, 0.0, events / trials)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses 0; an end where it does not."""
    from scipy.optimize import brentq

    if rising(low) >= 0:
        return low
    return high if rising(high) <= 0 else float(brentq(rising, low, high, xtol=1e-14, rtol=1e-9))


def _student(df: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def estimate_of_mean(values: NDArray[np.float64], group: NDArray[np.intp], bounds: Bounds = ANYWHERE) -> Estimate:
    """Of values (n,) that were drawn in groups (n,), numbered from 0: many rows of one are not independent."""
    rows, sizes = len(values), np.bincount(group)
    mean = float(values.mean())
    size = rows**2 / float((sizes.astype(float) ** 2).sum())
    is_rate = bool(((values == bounds[0]) | (values == bounds[1])).all())  # each value at an end of the metric
    if is_rate and len(sizes) == rows:
        variance = (mean - bounds[0]) * (bounds[1] - mean) / rows
    else:
        sums = np.bincount(group, weights=values - mean)
        variance = float((sums**2).sum()) * size / (size - 1) / rows**2
    return Estimate(mean, variance, size, rows if is_rate else None)
