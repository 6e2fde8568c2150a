"""Intervals over training runs, with and without the rows: definitions, coverage of a known answer, refusals."""

import numpy as np
import pytest
from scipy import stats

from bouba.errors import DataError
from bouba.evaluation import Record, Result, interval, over_seeds, paired_difference, paired_over_seeds, seeds_interval
from bouba.evaluation.table import with_interval


def runs(random, seeds, n, *, level=1.5, training=0.3, query=2.0, both=1.0):
    """Hits (seeds, n): a query may be hard for all, a run bad as a whole, and the rest is of the run and the query."""
    score = level + training * random.normal(size=(seeds, 1)) + query * random.normal(size=n)
    return (score + both * random.normal(size=(seeds, n)) > 0).astype(float)


def rate(level=1.5, training=0.3, query=2.0, both=1.0):
    return stats.norm.cdf(level / (training**2 + query**2 + both**2) ** 0.5)


def test_definition_of_the_student_interval():
    values = [0.31, 0.28, 0.35, 0.30]
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert seeds_interval(values, level=0.9) == pytest.approx((np.mean(values), low, high))


def test_definition_of_rows_and_seeds_together():
    """Sums of squares of the two-way table by hand."""
    hits = runs(np.random.default_rng(0), 4, 60)
    mean, low, high = seeds_interval(hits)
    a, b = interval(hits.mean(0))
    left = [
        hits[s, i] - hits[s].mean() - hits[:, i].mean() + hits.mean() for s in range(4) for i in range(60)
    ]  # of the run and the query
    noise = np.square(left).sum() / 3 / 4 / 60**2
    share = (1 - noise / (hits.mean(0).var(ddof=1) / 60)) ** 0.5
    seeds = stats.t(3).ppf(0.975) * (hits.mean(1).var(ddof=1) / 4) ** 0.5
    assert (mean, low, high) == pytest.approx(
        (hits.mean(), mean - np.hypot(seeds, share * (mean - a)), mean + np.hypot(seeds, share * (b - mean)))
    )


def test_seeds_that_do_not_differ_leave_the_rows():
    """What a table of a solved task says: 99.2 [99.2, 99.2] is of these rows only."""
    hits = np.tile(np.arange(250) > 1, (5, 1)).astype(float)
    assert seeds_interval(hits.mean(1)) == pytest.approx((0.992, 0.992, 0.992))
    assert seeds_interval(hits)[1:] == pytest.approx(interval(hits[0]))
    ends = np.array([interval(row) for row in hits])
    assert over_seeds(hits.mean(1), *ends.T)[1:] == pytest.approx(interval(hits[0]))
    assert with_interval(100 * hits.mean(1)) == "99.2 [99.2, 99.2]"
    assert with_interval(100 * hits.mean(1), ends=100 * ends) == "99.2 [97.3, 99.9]"
    assert with_interval([99.2], ends=[(97.4, 99.8)]) == "99.2 [97.4, 99.8]"


@pytest.mark.parametrize("level", [0.0, 3.0])
@pytest.mark.parametrize("seeds", [3, 6])
def test_runs_on_the_same_rows_cover_what_other_rows_would_give(level, seeds):
    random, truth = np.random.default_rng(4), rate(level, training=0.05)
    covered = {"seeds alone": [], "both": [], "from records": []}
    for _ in range(200):
        hits = runs(random, seeds, 150, level=level, training=0.05)
        found = {"seeds alone": seeds_interval(hits.mean(1)), "both": seeds_interval(hits)}
        found["from records"] = over_seeds(hits.mean(1), *np.array([interval(row) for row in hits]).T)
        for name, (_, low, high) in found.items():
            covered[name].append(low <= truth <= high)
    share = {name: np.mean(each) for name, each in covered.items()}
    assert share["seeds alone"] < 0.85
    assert 0.93 - 2 * 0.018 <= share["both"] <= share["from records"]


def test_a_share_of_the_rows_is_between_the_same_and_new_ones():
    values, lows, highs = [0.5, 0.6, 0.55], [0.4, 0.5, 0.45], [0.6, 0.7, 0.65]
    seeds = seeds_interval(values)
    assert over_seeds(values, lows, highs, share=0) == pytest.approx(seeds)
    half = np.hypot(seeds[2] - seeds[0], 0.1 * 0.3**0.5)
    assert over_seeds(values, lows, highs, share=0.3) == pytest.approx((0.55, 0.55 - half, 0.55 + half))


def test_few_seeds_do_not_lead_out_of_the_metric():
    hits = np.array([np.arange(40) > 0, np.arange(40) > 9])
    assert seeds_interval(hits)[1:] == (0, 1)
    assert seeds_interval(hits.mean(1))[2] > 1.9, "Student's alone knows no ends"
    assert over_seeds([0.4, 0.9], [0.3, 0.8], [0.5, 1.0], bounds=(0, 1))[1:] == (0, 1)
    assert paired_over_seeds(hits, ~hits)[1:3] == (-1, 1)
    records = [Record("m", "s", "d", "a->b", "mrr", x, x - 0.1, x + 0.1, None, 9, s) for s, x in enumerate((0.4, 0.9))]
    (merged,) = Result(records).mean_over_seeds()
    assert (merged.low, merged.high) == (0, 1)


def test_new_rows_in_every_seed_are_covered_by_the_seeds():
    random, truth, covered = np.random.default_rng(5), rate(), []
    for _ in range(300):
        hits = [runs(random, 1, 80)[0] for _ in range(4)]
        ends = np.array([interval(row) for row in hits])
        _, low, high = over_seeds([row.mean() for row in hits], *ends.T, share=0)
        covered.append(low <= truth <= high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_definition_of_paired_seeds():
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    expected = stats.ttest_rel(a, b)
    d, low, high, p = paired_over_seeds(a, b)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (d, p) == pytest.approx(((a - b).mean(), expected.pvalue))
    assert paired_over_seeds(a, a) == (0, 0, 0, 1)


def test_paired_seeds_with_queries_are_paired_queries_where_seeds_agree():
    hits = runs(np.random.default_rng(1), 2, 90)
    for seeds in (1, 3):
        a, b = (np.tile(row, (seeds, 1)) for row in hits)
        assert paired_over_seeds(a, b) == pytest.approx(paired_difference(*hits))
        assert paired_over_seeds(b, a)[:3] == pytest.approx([-x for x in np.array(paired_difference(*hits))[[0, 2, 1]]])


def test_no_difference_is_rarely_found_and_a_large_one_is():
    random = np.random.default_rng(2)
    found = {"rows": [], "seeds": []}
    for _ in range(200):
        query = 2 * random.normal(size=100)
        a, b = ((1 + query + random.normal(size=(4, 100)) + 0.3 * random.normal(size=(4, 1))) > 0 for _ in "ab")
        found["rows"].append(paired_over_seeds(a, b)[3] < 0.05)
        found["seeds"].append(paired_over_seeds(a.mean(1), b.mean(1))[3] < 0.05)
    assert np.mean(found["rows"]) <= 0.07 + 0.018
    assert np.mean(found["seeds"]) <= 0.07 + 0.018
    d, low, high, p = paired_over_seeds(a, a & (random.random((4, 100)) < 0.8))
    assert 0 < low < d < high
    assert p < 0.01


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match="needs two seeds or more"):
        seeds_interval([0.5])
    with pytest.raises(DataError, match=r"values_a is \(2, 1\) and values_b \(3, 1\)"):
        paired_over_seeds([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="3 values, 2 lows and 3 highs"):
        over_seeds([1, 2, 3], [1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="values has 1 NaN"):
        seeds_interval([[1.0, np.nan], [0.0, 1.0]])
    with pytest.raises(DataError, match="all 2 values are of one group 'a'"):
        seeds_interval([[1.0, 0.0], [0.0, 1.0]], groups=["a", "a"])
