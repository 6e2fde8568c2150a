"""Moments with missing rows: what a loop counts, whatever the cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.align import Moments, moments
from bouba.errors import DataError


def three_views(n=60, seed=0, missing=0.4):
    """Three views with means far from zero; a cell in five or so is missing, and absent rows hold anything."""
    random = np.random.default_rng(seed)
    data = {name: random.normal(size=(n, d)) * 3 + 50 for name, d in (("a", 2), ("b", 3), ("c", 1))}
    return data, {name: random.random(n) > missing for name in data}


def close(one, two):
    """Equal moments, to 1e-10 of their size, whatever they are taken about."""
    assert np.array_equal(one.counts, two.counts)
    for a in one.names:
        np.testing.assert_allclose(one.mean(a), two.mean(a), rtol=1e-10)
        for b in one.names:
            np.testing.assert_allclose(one.covariance(a, b), two.covariance(a, b), rtol=1e-10, atol=1e-10)


def test_definition_pair_by_pair():
    data, present = three_views()
    found = Moments.of(data, present)
    some = np.sum(list(present.values()), axis=0) > 1
    for a in data:
        assert found.mean(a) == pytest.approx(data[a][present[a] & some].mean(0))
        for b in data:
            rows = [r for r in range(60) if present[a][r] and present[b][r] and some[r]]
            assert found.count(a, b) == len(rows)
            x, y = data[a][rows], data[b][rows]
            by_hand = sum(np.outer(u - x.mean(0), v - y.mean(0)) for u, v in zip(x, y)) / len(rows)
            np.testing.assert_allclose(found.covariance(a, b), by_hand, rtol=1e-9, atol=1e-12)


def test_two_views_are_judged_by_complete_rows():
    data, present = three_views()
    two = {name: data[name] for name in "ab"}
    both = present["a"] & present["b"]
    assert both.sum() < present["a"].sum()
    close(Moments.of(two, present), Moments.of({name: values[both] for name, values in two.items()}))


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=4, unique=True), seed=st.integers(0, 99), order=st.randoms())
def test_law_parts_add_up_to_the_whole(cuts, seed, order):
    data, present = three_views(seed=seed)
    parts = np.split(np.arange(60), sorted(cuts))
    order.shuffle(parts)
    of = lambda rows: Moments.of({n: v[rows] for n, v in data.items()}, {n: p[rows] for n, p in present.items()})  # noqa: E731
    total = of(parts[0])
    for rows in parts[1:]:
        total = total + of(rows)
    close(total, Moments.of(data, present))


def test_chunks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    data = {"a": random.normal(size=(1000, 2)).astype(np.float32), "b": random.normal(size=(1000, 3))}
    present = {name: random.random(1000) > 0.3 for name in data}
    before = {name: values.copy() for name, values in data.items()}
    whole = Moments.of(data, present)
    monkeypatch.setattr(moments, "CHUNK", 1)
    close(Moments.of(data, present), whole)
    for name in data:
        np.testing.assert_array_equal(data[name], before[name])


def test_far_from_zero_no_digit_is_lost():
    """At a mean of 10^8 the numbers themselves have 8 digits left; E[x^2] - E[x]^2 would have none."""
    x = np.random.default_rng(0).normal(size=(5000, 2))
    far = Moments.of({"x": x + 1e8, "y": x})
    np.testing.assert_allclose(far.covariance("x", "x"), Moments.of({"x": x, "y": x}).covariance("x", "x"), atol=1e-7)
    assert abs(((x[:, 0] + 1e8) ** 2).mean() - (x[:, 0] + 1e8).mean() ** 2 - x[:, 0].var()) > 1e-3


def test_a_view_that_comes_late_is_taken_about_its_own_mean():
    x = np.random.default_rng(0).normal(size=(400, 3))
    data = {"a": x, "b": x[:, :1], "late": x[:, 1:] + 1e8}
    late = np.arange(400) >= 200
    present = {"a": np.ones(400, bool), "b": np.ones(400, bool), "late": late}
    halves = [
        Moments.of({n: v[rows] for n, v in data.items()}, {n: p[rows] for n, p in present.items()})
        for rows in (slice(0, 200), slice(200, 400))
    ]
    found = (halves[0] + halves[1]).covariance("late", "a")
    np.testing.assert_allclose(found, np.cov(x[late].T, bias=True)[1:], atol=1e-7)


def test_refusals():
    x = np.zeros((4, 2))
    with pytest.raises(DataError, match=r"views have \[4, 3\] rows; moments pair them row by row"):
        Moments.of({"a": x, "b": x[:3]})
    with pytest.raises(DataError, match="give the same views in the same order"):
        Moments.of({"a": x, "b": x}) + Moments.of({"b": x, "a": x})
