"""bouba bench intervals: what it counts, on few samples."""

import numpy as np
import pytest
from scipy import stats

from bouba.bench import intervals as bench


def test_definition_of_exact_coverage():
    """Of ten rows: the sum over all counts, by hand, of a rate whose bootstrap covers little."""
    found = {figure["rate"]: figure for figure in bench.rates((10,))}
    chance = stats.binom(10, 0.01)
    ends = [stats.binom.ppf([0.025, 0.975], 10, k / 10) / 10 for k in range(11)]
    held = sum(chance.pmf(k) for k, (low, high) in enumerate(ends) if low <= 0.01 <= high)
    assert found[0.01]["bootstrap"] == pytest.approx(100 * held)
    assert found[0.01]["bootstrap"] < 15
    assert found[0.01]["covered"] > 93
    assert 93 <= found["uniform"]["covered"] <= 97


@pytest.mark.parametrize("alike", bench.ALIKE)
def test_rows_of_a_group_are_as_alike_as_they_should_be(alike):
    random = np.random.default_rng(0)
    right = bench._rates_of(random, 40_000, alike, 0.3)
    a, b = random.random((2, 40_000)) < right
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(alike, abs=0.02)
    assert a.mean() == pytest.approx(0.3, abs=0.01)
    for n in (10, 50):
        sizes = np.bincount(bench.in_groups(random, n))
        assert sizes.sum() == n
        assert sizes.max() <= 5
        assert len(sizes) > 1


def test_every_pair_has_the_difference_that_it_is_said_to_have():
    random = np.random.default_rng(0)
    for name, (truth, draw) in bench.PAIRS.items():
        a, b = draw(random, 400_000)
        assert (a - b).mean() == pytest.approx(truth, abs=0.006), name


def test_runs_are_right_as_often_as_said():
    random = np.random.default_rng(0)
    for spreads in bench.SEEDS.values():
        level = np.hypot.reduce(spreads) * stats.norm.ppf(0.97)
        assert bench._runs(random, 400, 2000, level, spreads).mean() == pytest.approx(0.97, abs=0.004)


def test_tables_hold_every_figure():
    sizes = (10, 100)
    figures = {
        "repeats": 4,
        "rates": list(bench.rates(sizes)),
        "groups": list(bench.grouped(4, sizes)),
        "values": list(bench.other_values(4, sizes)),
        "pairs": list(bench.pairs(4, sizes)),
        "seeds": bench.seeds(4, ((2, 20),)),
    }
    tables = bench.tables(figures)
    assert tables["rates"].header == ["rate", "10 rows", "100 rows"]
    assert len(tables["rates"].lines) == len(bench.RATES) + 1
    assert len(tables["groups"].lines) == 3 * (len(bench.RATES) + 1)
    assert len(tables["values"].lines) == len(bench.VALUES)
    assert len(tables["pairs"].lines) == len(bench.PAIRS)
    assert len(tables["seeds"].lines) == 2 * len(bench.SEEDS)
    shown = float(tables["values"].lines[0][1])
    assert shown == figures["values"][0]["covered"]
    assert "4 samples each; standard error 10.9" in tables["values"].note
