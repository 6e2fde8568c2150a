"""Seeds are paired, and only what is sure stands out."""

import numpy as np
import pytest

from bouba.bench.fresh import cost_text
from bouba.bench.paired import (
    gain,
    gain_of_rows,
    mean,
    mean_cost,
    mean_of_rows,
    means,
    means_of_rows,
    runs_of,
    seeds_note,
)
from bouba.evaluation import Record, Result, interval, seeds_interval


def record(value, seed, method="clip", n=100, direction="en->image"):
    return Record(method, "test", "noto", direction, "recall@10", value, None, None, 0.1, n, seed)


def test_a_seed_is_the_mean_over_the_rows_of_its_records():
    result = Result([record(0.2, 0, n=30), record(0.6, 0, n=10, direction="zh->image"), record(0.5, 1)])
    assert runs_of(result, scale=100, method="clip") == pytest.approx({0: 100 * (0.2 * 30 + 0.6 * 10) / 40, 1: 50})
    assert runs_of(result, direction="zh->image") == {0: 0.6}
    assert mean(runs_of(result, method="none")) == "-"


def test_the_best_stands_out_where_every_seed_says_so():
    mine, near, far = {0: 50.0, 1: 60.0, 2: 70.0}, {0: 47.0, 1: 58.0, 2: 66.0}, {0: 10.0, 1: 12.0, 2: 11.0}
    cells = means({"near": near, "mine": mine, "far": far, "none": {}})
    assert [cell.startswith("**") for cell in cells.values()] == [False, True, False, False]
    assert cells["none"] == "-"
    assert not any("**" in cell for cell in means({"mine": mine, "near": {**near, 1: 75.0}}).values())
    assert means({"near": near, "far": far}, lowest=True)["far"].startswith("**11.0 [")
    assert not any("**" in cell for cell in means({"mine": {0: 5.0}, "near": {0: 1.0}}).values()), "one seed"


def test_a_gain_is_the_interval_of_differences_by_seed():
    mine, rival = {0: 50.0, 1: 60.0, 2: 70.0, 3: 1.0}, {2: 66.0, 1: 58.0, 0: 47.0}
    middle, low, high = seeds_interval([3.0, 2.0, 4.0])
    assert gain(mine, rival) == f"**{middle:.1f} [{low:.1f}, {high:.1f}]**"
    assert gain(rival, mine).startswith("**-3.0 [")
    assert not gain(mine, {**rival, 1: 75.0}).startswith("**")
    assert gain({0: 5.0}, {0: 4.5}) == "0.5"
    assert gain({0: 5.0}, {1: 4.5}) == "-"


def test_a_note_says_how_many_seeds():
    assert seeds_note(Result([record(0.2, 0)])) == "One seed."
    assert seeds_note(Result([record(0.2, 0), record(0.3, 1)]), bold=False).startswith("Means of 2 seeds")
    assert "Bold" in seeds_note(Result([record(0.2, 0), record(0.3, 1)]))


def test_costs_have_two_digits_or_more():
    assert [cost_text(x) for x in (1234.5, 99.123, 0.5, 0.00123, None)] == ["1,234", "99.12", "0.50", "0.0012", "-"]
    assert mean_cost({0: 2.0, 1: 4.0}) == "3.00"
    assert mean_cost({}) == "-"


def test_rows_that_could_have_been_others_widen_the_interval():
    random = np.random.default_rng(0)
    hits = (random.random(300) < 0.8).astype(float)
    low, high = interval(hits)
    assert mean_of_rows(np.stack([hits, hits])) == mean_of_rows(hits[None])
    assert mean_of_rows(hits[None]) == f"{100 * hits.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    worse = hits * (random.random(300) < 0.5)
    cells = means_of_rows({"worse": worse[None], "mine": hits[None]})
    assert [cell.startswith("**") for cell in cells.values()] == [False, True]
    assert gain_of_rows(worse[None], hits[None]).startswith(f"**{100 * (worse.mean() - hits.mean()):.1f} [")
    assert not any("**" in cell for cell in means_of_rows({"mine": hits[None], "same": hits[None]}).values())
    together = [str(row // 100) for row in range(300)]
    assert not gain_of_rows(worse[None], hits[None], together).startswith("**"), "three groups are few"
