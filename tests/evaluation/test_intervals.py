"""Intervals over rows and groups, paired differences: definitions, laws, coverage of a known answer, refusals."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bouba.errors import DataError, UsageError
from bouba.evaluation import bootstrap, bootstrap_weighted, interval, paired_difference
from bouba.evaluation.limits import binomial, poisson

VALUES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=15)
RATES = (0.001, 0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999)
SIZES = (10, 20, 50, 100, 300, 1000)


@pytest.mark.parametrize(("events", "trials"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 300), (999, 1000)])
def test_definition_of_a_rates_limits(events, trials):
    """At each end the tail, with a part of the count itself, has 2.5%."""
    weight = max(0.5, 0.7 - 2 / trials)
    low, high = binomial(events, trials)
    count = stats.binom(trials, [low, high])
    if events > 0:
        assert count.sf(events)[0] + weight * count.pmf(events)[0] == pytest.approx(0.025)
    if events < trials:
        assert count.cdf(events - 1)[1] + weight * count.pmf(events)[1] == pytest.approx(0.025)
    assert (low == 0) == (events == 0)
    assert (high == 1) == (events == trials)


def test_law_a_rates_limits_turn_with_it_and_end_in_those_of_a_count():
    for events, trials in ((0, 10), (2.5, 17.2), (40, 50)):
        low, high = binomial(events, trials)
        assert binomial(trials - events, trials) == pytest.approx((1 - high, 1 - low))
    assert np.multiply(binomial(7.0, 1e7), 1e7) == pytest.approx(poisson(7.0), rel=1e-4)
    widths = [np.ptp(binomial(n / 5, n)) * n**0.5 for n in (100, 1000, 10_000)]
    assert widths == pytest.approx([2 * 1.96 * 0.4] * 3, rel=0.06)


@pytest.mark.parametrize("n", SIZES)
def test_a_rate_is_covered_as_often_as_its_interval_says(n):
    """Exactly, over all counts: never under 93%; over all rates, and over rates that give five events, 93 to 97%."""
    ends = np.array([interval(np.arange(n) < events) for events in range(n + 1)])
    wilson = np.array([list(stats.binomtest(k, n).proportion_ci(method="wilson")) for k in range(n + 1)])

    def coverage(rates, ends=ends):
        rates = np.asarray(rates)[:, None]
        chance = stats.binom.pmf(np.arange(n + 1), n, rates)
        return 100 * (chance * ((ends[:, 0] <= rates) & (rates <= ends[:, 1]))).sum(1)

    assert coverage(RATES).min() >= 93
    everywhere = np.geomspace(0.05 / n, 0.5, 400)
    assert coverage(everywhere).min() >= (93.2 if n >= 20 else 92.6)
    assert 93 <= coverage(np.linspace(0, 1, 301)[1:-1]).mean() <= 97
    assert coverage(everywhere, wilson).min() < 85  # why it is not Wilson's
    for rate in RATES:
        if n * min(rate, 1 - rate) >= 5:  # fewer events: none is seen so often that 0 to 3 events must be covered
            around = np.linspace(0.7, 1.3, 31) * min(rate, 1 - rate)
            assert 93 <= coverage(around).mean() <= 97.2, rate


def groups_of(random, n):
    sizes = random.integers(1, 6, n)
    return np.repeat(np.arange(n), sizes)[:n]


@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("n", "rate"), [(20, 0.9), (50, 0.05), (100, 0.99), (300, 0.99), (300, 0.5)])
def test_a_rate_of_grouped_rows_is_covered(n, rate, alike):
    random = np.random.default_rng(7)
    covered = []
    for _ in range(150):
        group = groups_of(random, n)
        share = (1 - alike) / alike if alike else 1e9
        right = random.beta(rate * share, (1 - rate) * share, group.max() + 1) if alike < 1 else None
        right = random.random(group.max() + 1) < rate if right is None else right
        low, high = interval(random.random(n) < right[group], groups=group)
        covered.append(low <= rate <= high)
    assert np.mean(covered) >= 0.93 - 2 * 0.021  # less two standard errors of 150 draws


def test_all_right_or_all_wrong_is_what_its_groups_are_worth():
    group = np.repeat(np.arange(12), 5)
    for value in (0.0, 1.0):
        found = interval(np.full(60, value), groups=group)
        assert found == pytest.approx(interval(np.full(12, value)))
        assert np.ptp(found) > np.ptp(interval(np.full(60, value))) > 0


DISTRIBUTIONS = {
    "reciprocal rank, 9 of 10 first": (lambda r, n: 1 / np.where(r.random(n) < 0.9, 1, r.integers(2, 100, n)), 93),
    "precision@10, low": (lambda r, n: r.binomial(10, r.beta(0.5, 9.5, n)) / 10, 93),
    "absolute error": (lambda r, n: abs(r.normal(size=n)), 93),
    "log loss": (lambda r, n: r.exponential(size=n), 93),
    "number": (lambda r, n: r.normal(size=n), 93),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [20, 100])
def test_a_mean_that_is_no_rate_is_covered(name, n):
    draw, least = DISTRIBUTIONS[name]
    truth = draw(np.random.default_rng(1), 1_000_000).mean()
    random = np.random.default_rng(2)
    covered = [low <= truth <= high for low, high in (interval(draw(random, n)) for _ in range(300))]
    assert least / 100 - 2 * 0.0147 <= np.mean(covered)  # two standard errors of 300 draws


@pytest.mark.parametrize("n", [6, 15, 100])
def test_definition_of_a_medians_interval(n):
    """The order statistics of the sign test."""
    values = np.random.default_rng(0).normal(size=n)
    k = int(stats.binom(n, 0.5).ppf(0.025))
    k -= stats.binom(n, 0.5).cdf(k - 1) > 0.025
    assert interval(values, "median") == (np.sort(values)[k - 1], np.sort(values)[n - k])


def test_a_median_of_few_ends_where_the_metric_does():
    assert interval([3.0, 1.0, 2.0, 5.0], "median", bounds=(1, 40)) == (1, 40)
    assert interval([3.0, -1.0, 2.0, 5.0], "median") == (-1, 5)
    assert interval([1.0] * 6, "median", bounds=(1, 40)) == (1, 1)
    assert interval([1.0] * 30, "median", groups=[0, 1, 2] * 10, bounds=(1, 40)) == (1, 40)


@given(VALUES, st.sampled_from(["mean", "median"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_law_intervals_hold_the_statistic_and_move_and_turn_with_the_values(values, statistic, grouped):
    values = np.array(values)
    groups = np.arange(len(values)) // 2 if grouped and len(values) > 2 else None
    low, high = interval(values, statistic, groups=groups, bounds=(-5, 5))
    assert -5 <= low <= getattr(np, statistic)(values) <= high <= 5
    if statistic == "mean":
        assert low < high
    for scale, shift in ((3, 1), (-1, 0)):
        bounds = tuple(sorted((scale * -5 + shift, scale * 5 + shift)))
        turned = interval(scale * values + shift, statistic, groups=groups, bounds=bounds)
        assert turned == pytest.approx(tuple(sorted((scale * low + shift, scale * high + shift))), abs=1e-6)
    d, low, high, p = paired_difference(values, values, statistic, groups=groups, bounds=(-5, 5))
    assert (d, p) == (0.0, 1.0)
    assert low == pytest.approx(-high)


def test_bounds_are_read_off_the_values():
    assert interval([0.0, 0.5, 1.0]) == interval([0.0, 0.5, 1.0], bounds=(0, 1))
    assert interval([0.0, 0.5, 2.0]) == interval([0.0, 0.5, 2.0], bounds=(0, np.inf))
    assert interval([0.0, -0.5, 2.0]) == interval([0.0, -0.5, 2.0], bounds=(-np.inf, np.inf))
    assert interval([0.0, -0.5, -2.0], bounds=(-np.inf, 0)) == tuple(-x for x in interval([0.0, 0.5, 2.0])[::-1])
    low, high = stats.t.interval(0.9, 2, loc=0.5, scale=stats.sem([0.0, -0.5, 2.0]))
    assert interval([0.0, -0.5, 2.0], level=0.9) == pytest.approx((low, high))
    assert interval([4.0] * 9) == pytest.approx([4 - 4 * (d := interval([0.0] * 9)[1]), 4 + 4 * d])
    assert interval([-4.0] * 9) == (-4, -4)


@given(VALUES)
@settings(max_examples=20, deadline=None)
def test_law_a_difference_changes_sign_with_its_sides(values):
    a, b = np.array(values), np.array(values[::-1]) ** 2
    for bounds in (None, (-5, 25)):
        d, low, high, p = paired_difference(a, b, bounds=bounds)
        assert paired_difference(b, a, bounds=bounds) == pytest.approx((-d, -high, -low, p))
        assert d == pytest.approx(a.mean() - b.mean())
        assert low <= d <= high
        assert (p < 0.05) == (low > 0 or high < 0)


def test_definition_of_an_unbounded_difference():
    a, b = np.random.default_rng(0).normal(size=(2, 12))
    d, low, high, p = paired_difference(a, b)
    expected = stats.ttest_rel(a, b)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (d, p) == pytest.approx(((a - b).mean(), expected.pvalue))
    assert paired_difference(a, a) == (0, 0, 0, 1)


def test_a_difference_of_rates_holds_where_the_two_hardly_differ():
    same = np.ones(100)
    d, low, high, p = paired_difference(same, same)
    assert (d, p) == (0, 1)
    assert (low, high) == pytest.approx((-interval(np.zeros(100))[1], interval(np.zeros(100))[1]))
    for won, lost in ((5, 0), (9, 2), (30, 18)):  # near McNemar's mid-p where queries differ
        a, b = np.arange(100) < won, (won <= np.arange(100)) & (np.arange(100) < won + lost)
        exact = stats.binom(won + lost, 0.5)
        mid_p = 2 * (exact.cdf(lost) - exact.pmf(lost) / 2)
        assert paired_difference(a, b)[3] == pytest.approx(mid_p, rel=0.35)


@pytest.mark.parametrize(("won", "lost"), [(0.01, 0.01), (0.0, 0.05), (0.05, 0.05), (0.1, 0.3)])
@pytest.mark.parametrize("n", [20, 100])
def test_a_difference_of_rates_is_covered(won, lost, n):
    random = np.random.default_rng(3)
    covered = []
    for _ in range(150):
        which = random.choice([1, -1, 0], n, p=[won, lost, 1 - won - lost])
        _, low, high, _ = paired_difference(which == 1, which == -1)
        covered.append(low <= won - lost <= high)
    assert np.mean(covered) >= 0.93 - 2 * 0.021


def test_recovery_of_groups_that_stand_and_fall_together():
    rng = np.random.default_rng(2)
    concept = np.repeat(np.arange(60), 10)
    covered = {"rows": 0, "groups": 0}
    for _ in range(100):
        values = rng.normal(size=60)[concept] + 0.3 * rng.normal(size=600)
        for name, groups in (("rows", None), ("groups", concept)):
            low, high = interval(values, groups=groups)
            covered[name] += low <= 0 <= high
    assert covered["rows"] < 65 < 87 < covered["groups"]


def test_recovery_paired_sees_what_two_intervals_do_not():
    rng = np.random.default_rng(3)
    easy = rng.normal(size=200)
    a, b = easy + 0.1 + 0.2 * rng.normal(size=200), easy
    difference, low, high, p = paired_difference(a, b)
    assert 0 < low < difference < high
    assert p < 0.01
    assert interval(a)[0] < interval(b)[1]
    width = np.ptp(paired_difference(a, b, "median")[1:3])
    assert width < 0.6 * np.hypot(np.ptp(interval(a, "median")), np.ptp(interval(b, "median")))
    for statistic in ("mean", "median"):
        noise = [paired_difference(*rng.normal(size=(2, 60)), statistic)[3] for _ in range(200)]
        assert np.mean(np.array(noise) < 0.05) < 0.09


def test_two_thousand_queries_take_a_blink():
    values = np.random.default_rng(4).normal(size=2000)
    for statistic in ("mean", "median"):
        start = time.process_time()
        interval(values, statistic)
        assert time.process_time() - start < 0.1  # 0.001 here; machines differ


def test_the_earlier_name_gives_the_same():
    values = np.random.default_rng(4).random(30)
    assert bootstrap(values, n_resamples=9, random_state=3) == interval(values)


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match=r"needs two values or more in a vector, got shape \(1,\)"):
        interval([1.0])
    with pytest.raises(DataError, match="values has 1 NaN or infinite entries, first at 1"):
        interval([1.0, np.nan])
    with pytest.raises(DataError, match="all 2 values are of one group 'a'"):
        interval([1.0, 2.0], groups=["a", "a"])
    with pytest.raises(DataError, match="one label for each of 2 values"):
        interval([1.0, 2.0], groups=["a"])
    with pytest.raises(UsageError, match="statistic 'medain' is not known; did you mean 'median'"):
        interval([1.0, 2.0], "medain")
    with pytest.raises(UsageError, match="level must lie between 0 and 1, got 95"):
        interval([1.0, 2.0], level=95)
    with pytest.raises(UsageError, match=r"values reach from 1 to 2, outside of bounds \(0, 1\)"):
        interval([1.0, 2.0], bounds=(0, 1))
    with pytest.raises(UsageError, match="n_resamples must be 2 or more, got 0"):
        bootstrap_weighted(np.sum, [1, 2], n_resamples=0)
    with pytest.raises(DataError, match="values_a has 2 queries and values_b 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_definition_of_weighted_draws():
    """Counting a row twice is having it twice: the mean by weights is the mean by rows, with and without groups."""
    random = np.random.default_rng(0)
    values, groups = random.normal(size=40), random.integers(0, 9, 40)
    for group in (np.arange(40), groups):
        found = bootstrap_weighted(lambda w: (w * values).sum() / w.sum(), group, n_resamples=4000)
        assert found == pytest.approx(interval(values, groups=group), abs=0.05)
    drawn = np.random.default_rng(0).integers(0, 3, size=(50, 3), dtype=np.int32)
    means = np.array([np.array([1.0, 2.0, 6.0])[picks].mean() for picks in drawn])
    low, high = bootstrap_weighted(lambda w: (w * [1, 2, 6]).sum() / w.sum(), [0, 1, 2], n_resamples=50)
    half = stats.t(2).ppf(0.975) * means.std() * np.sqrt(3 / 2)
    assert (low, high) == pytest.approx((3 - half, 3 + half))
    assert bootstrap_weighted(lambda w: 1.0, groups, bounds=(0, 1)) == pytest.approx(interval([1.0] * 9))
    assert bootstrap_weighted(lambda w: 1.0, groups, bounds=(0, 1), size=40) == pytest.approx(interval([1.0] * 40))
    assert np.isnan(bootstrap_weighted(lambda w: np.nan, groups)).all()
    with pytest.raises(DataError, match="are of one group"):
        bootstrap_weighted(lambda w: 0.0, ["a", "a"])


def mover(of_a, of_b, at_a, at_b, r):
    """Limits of at_a - at_b from limits of each, which move together by r: Zou and Donner 2008."""
    low = ((at_a - of_a[0]) ** 2 + (of_b[1] - at_b) ** 2 - 2 * r * (at_a - of_a[0]) * (of_b[1] - at_b)) ** 0.5
    high = ((of_a[1] - at_a) ** 2 + (at_b - of_b[0]) ** 2 - 2 * r * (of_a[1] - at_a) * (at_b - of_b[0])) ** 0.5
    return at_a - at_b - low, at_a - at_b + high


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_definition_of_a_difference_of_medians(level):
    random = np.random.default_rng(0)
    a = random.gamma(2.0, size=60)
    b = 0.5 * a + random.gamma(1.0, size=60)
    groups = np.repeat(np.arange(30), 2)
    limits = [interval(x, "median", groups=groups, level=level) for x in (a, b)]
    sides = [np.sign(x - np.median(x)).reshape(30, 2).sum(1) for x in (a, b)]
    r = (sides[0] * sides[1]).sum() / np.sqrt((sides[0] ** 2).sum() * (sides[1] ** 2).sum())
    assert r > 0.2
    difference, low, high, _ = paired_difference(a, b, "median", groups=groups, level=level)
    assert difference == np.median(a) - np.median(b)
    np.testing.assert_allclose((low, high), mover(*limits, np.median(a), np.median(b), r), atol=1e-12)


def test_definition_of_a_bounded_difference_of_means():
    random = np.random.default_rng(1)
    a, b = (random.random((2, 40)) < 0.5).astype(float)
    gained, lost = np.maximum(a - b, 0), np.maximum(b - a, 0)
    limits = [interval(x, bounds=(0.0, 1.0)) for x in (gained, lost)]
    r = np.corrcoef(gained, lost)[0, 1]
    student = paired_difference(a, b, bounds=(-np.inf, np.inf))
    low, high = mover(*limits, gained.mean(), lost.mean(), r)
    found = paired_difference(a, b, bounds=(0.0, 1.0))
    np.testing.assert_allclose(found[1:3], (min(low, student[1]), max(high, student[2])), atol=1e-12)


def test_law_rows_said_twice_are_worth_one_each_of_a_median():
    values = np.random.default_rng(2).normal(size=60)
    twice, groups = np.repeat(values, 2), np.repeat(np.arange(60), 2)
    once, alone = interval(values, "median"), interval(twice, "median")
    said = interval(twice, "median", groups=groups)
    ordered = np.sort(values)
    places = [np.searchsorted(ordered, end) for end in (*once, *said)]
    assert abs(places[2] - places[0]) <= 1
    assert abs(places[3] - places[1]) <= 1
    assert np.ptp(alone) < 0.9 * np.ptp(said)


def test_the_earlier_name_passes_groups_statistic_and_level_on():
    values, groups = np.random.default_rng(3).random(40), np.repeat(np.arange(10), 4)
    options = {"statistic": "median", "groups": groups, "level": 0.8}
    assert bootstrap(values, **options) == interval(values, **options)
    assert bootstrap(values, groups=groups) != bootstrap(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_no_level_is_certain(level):
    with pytest.raises(UsageError, match="level"):
        interval([0.0, 1.0, 1.0], level=level)
