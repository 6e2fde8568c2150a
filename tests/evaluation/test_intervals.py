"""Bootstrap and Student intervals: definitions, laws, coverage of a known answer, refusals."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bouba.errors import DataError, UsageError
from bouba.evaluation import bootstrap, bootstrap_weighted, paired_difference, seeds_interval

VALUES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=15)


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("grouped", [False, True])
def test_definition_by_a_loop_over_the_same_draws(statistic, grouped):
    rng = np.random.default_rng(0)
    values = rng.normal(size=23)
    group = rng.integers(0, 6, 23) if grouped else np.arange(23)
    names = np.unique(group)
    drawn = []
    for picks in np.random.default_rng(5).integers(0, len(names), size=(200, len(names)), dtype=np.int32):
        rows = np.concatenate([values[group == names[g]] for g in picks])
        drawn.append(getattr(np, statistic)(rows))
    got = bootstrap(values, statistic, groups=group if grouped else None, n_resamples=200, level=0.9, random_state=5)
    assert got == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])))


def test_definition_of_the_student_interval():
    values = [0.31, 0.28, 0.35, 0.30]
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert seeds_interval(values, level=0.9) == pytest.approx((np.mean(values), low, high))


@given(VALUES, st.sampled_from(["mean", "median"]))
@settings(max_examples=30, deadline=None)
def test_law_intervals_move_and_turn_with_the_values(values, statistic):
    values = np.array(values)
    low, high = bootstrap(values, statistic, n_resamples=100)
    assert values.min() <= low <= high <= values.max()
    assert bootstrap(3 * values + 1, statistic, n_resamples=100) == pytest.approx((3 * low + 1, 3 * high + 1))
    assert bootstrap(-values, statistic, n_resamples=100) == pytest.approx((-high, -low))
    assert paired_difference(values, values, statistic, n_resamples=100) == (0.0, 0.0, 0.0, 1.0)


@given(VALUES)
@settings(max_examples=20, deadline=None)
def test_law_a_difference_changes_sign_with_its_sides(values):
    a, b = np.array(values), np.array(values[::-1]) ** 2
    d, low, high, p = paired_difference(a, b, n_resamples=100)
    assert paired_difference(b, a, n_resamples=100) == pytest.approx((-d, -high, -low, p))
    assert d == pytest.approx(a.mean() - b.mean())


def test_law_blocks_of_resamples_change_nothing(monkeypatch):
    values = np.random.default_rng(0).normal(size=50)
    whole = bootstrap(values, "median")
    monkeypatch.setattr("bouba.evaluation.intervals.CELLS", 777)
    assert bootstrap(values, "median") == pytest.approx(whole)


def test_recovery_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = [
        low <= 1.0 <= high for low, high in (bootstrap(rng.exponential(size=120), n_resamples=300) for _ in range(300))
    ]
    assert 0.88 < np.mean(covered) < 0.98


def test_recovery_of_groups_that_stand_and_fall_together():
    rng = np.random.default_rng(2)
    concept = np.repeat(np.arange(60), 10)
    covered = {"rows": 0, "groups": 0}
    for _ in range(100):
        values = rng.normal(size=60)[concept] + 0.3 * rng.normal(size=600)
        for name, groups in (("rows", None), ("groups", concept)):
            low, high = bootstrap(values, groups=groups, n_resamples=200)
            covered[name] += low <= 0 <= high
    assert covered["rows"] < 65 < 87 < covered["groups"]


def test_recovery_paired_sees_what_two_intervals_do_not():
    rng = np.random.default_rng(3)
    easy = rng.normal(size=200)
    a, b = easy + 0.1 + 0.2 * rng.normal(size=200), easy
    difference, low, high, p = paired_difference(a, b)
    assert 0 < low < difference < high
    assert p < 0.01
    assert bootstrap(a)[0] < bootstrap(b)[1]
    noise = [paired_difference(*rng.normal(size=(2, 60)), n_resamples=200)[3] for _ in range(200)]
    assert np.mean(np.array(noise) < 0.05) < 0.11


def test_two_thousand_queries_take_a_blink():
    values = np.random.default_rng(4).normal(size=2000)
    for statistic in ("mean", "median"):
        start = time.process_time()
        bootstrap(values, statistic)
        assert time.process_time() - start < 0.5  # 0.03 here; machines differ


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match=r"needs two values or more in a vector, got shape \(1,\)"):
        bootstrap([1.0])
    with pytest.raises(DataError, match="values has 1 NaN or infinite entries, first at 1"):
        bootstrap([1.0, np.nan])
    with pytest.raises(DataError, match="all 2 values are of one group 'a'"):
        bootstrap([1.0, 2.0], groups=["a", "a"])
    with pytest.raises(DataError, match="one label for each of 2 values"):
        bootstrap([1.0, 2.0], groups=["a"])
    with pytest.raises(UsageError, match="statistic 'medain' is not known; did you mean 'median'"):
        bootstrap([1.0, 2.0], "medain")
    with pytest.raises(UsageError, match="level must lie between 0 and 1, got 95"):
        bootstrap([1.0, 2.0], level=95)
    with pytest.raises(UsageError, match="n_resamples must be 1 or more, got 0"):
        bootstrap([1.0, 2.0], n_resamples=0)
    with pytest.raises(DataError, match="values_a has 2 queries and values_b 3"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="needs two seeds or more"):
        seeds_interval([0.5])


def test_definition_of_weighted_draws():
    """Counting a row twice is having it twice: the mean by weights is the mean by rows, with and without groups."""
    random = np.random.default_rng(0)
    values, groups = random.normal(size=40), random.integers(0, 9, 40)
    for group in (np.arange(40), groups):
        found = bootstrap_weighted(lambda w: (w * values).sum() / w.sum(), group, n_resamples=200)
        assert found == pytest.approx(bootstrap(values, groups=group, n_resamples=200))
    low, high = bootstrap_weighted(lambda w: (w * values).sum() / w.sum(), groups, centre=10.0)
    assert low < 10 < high
    assert np.isnan(bootstrap_weighted(lambda w: np.nan, groups)).all()
    with pytest.raises(DataError, match="are of one group"):
        bootstrap_weighted(lambda w: 0.0, ["a", "a"])
