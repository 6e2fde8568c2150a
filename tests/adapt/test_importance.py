"""Importance weights: the optimum by its conditions, a density ratio that is known, refusals."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from bouba.adapt import kernel_mean_matching, kliep
from bouba.adapt.importance import projected
from bouba.errors import DataError, UsageError

WAYS = [kernel_mean_matching, kliep]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def shifted(seed=0, n=300):
    """A source around 0, a target around 1; both of deviation 1: w(x) is proportional to exp(x_0)."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)), random.normal(size=(n, 2)) + np.array([1, 0])


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.adapt.importance")).failed == 0


def test_definition_no_small_change_of_mean_matching_weights_is_better():
    source, target = shifted(n=60)
    w = kernel_mean_matching(source, target, bound=5, gamma=0.5)
    square = lambda a, b: ((a[:, None] - b[None]) ** 2).sum(2)  # noqa: E731
    kernel, pull = np.exp(-0.5 * square(source, source)), np.exp(-0.5 * square(source, target)).mean(1) * 60
    cost = lambda w: w @ kernel @ w / 2 - w @ pull  # noqa: E731
    assert w.mean() == pytest.approx(1)
    assert w.min() >= 0
    assert w.max() <= 5
    random = np.random.default_rng(0)
    for _ in range(200):
        other = projected(w + 0.05 * random.normal(size=60), 5)
        assert cost(other) > cost(w) - 1e-4


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=12), st.floats(1, 5))
@settings(deadline=None)
def test_law_projected_weights_are_the_nearest(values, bound):
    w = np.array(values)
    out = projected(w, bound)
    assert out.mean() == pytest.approx(1, abs=1e-6)
    random = np.random.default_rng(0)
    for _ in range(20):
        other = projected(w + random.normal(size=len(w)), bound)  # feasible, too
        assert ((out - w) ** 2).sum() <= ((other - w) ** 2).sum() + 1e-6


@every_way
def test_recovery_of_a_ratio_that_is_known(way):
    source, target = shifted()
    w = way(source, target)
    truth = np.exp(source[:, 0])
    assert w.mean() == pytest.approx(1)
    assert np.corrcoef(w, truth)[0, 1] > 0.4  # mean matching is content with few heavy rows
    assert np.average(source[:, 0], weights=w) == pytest.approx(1, abs=0.3)
    assert np.average(source[:, 1], weights=w) == pytest.approx(target[:, 1].mean(), abs=0.25)


@every_way
def test_recovery_a_weighted_classifier_of_a_wrong_shape_suits_the_target(way):
    """A line through a bent border: where the target lies it has another slope."""
    random = np.random.default_rng(0)
    source, target = random.normal(size=(600, 2)) * 1.5, random.normal(size=(600, 2)) * 0.6 + [1.8, 0]
    label = lambda x: x[:, 1] > x[:, 0] ** 2 - 3  # noqa: E731
    plain = LogisticRegression().fit(source, label(source)).score(target, label(target))
    weighted = LogisticRegression().fit(source, label(source), sample_weight=way(source, target))
    assert weighted.score(target, label(target)) > plain + 0.03


@every_way
def test_law_rows_in_another_order_and_equal_domains(way):
    source, target = shifted(n=80)
    order = np.random.default_rng(1).permutation(80)
    np.testing.assert_allclose(way(source[order], target), way(source, target)[order], rtol=1e-3, atol=1e-3)
    assert way(source, source).std() < 0.35  # nothing to weigh


@every_way
def test_refusals(way):
    source, target = shifted(n=20)
    with pytest.raises(
        DataError, match=r"weights need rows \(n, d\) and \(m, d\) of one width, got \(20, 2\) and \(20"
    ):
        way(source, target[:, :1])
    source[3, 1] = np.nan
    with pytest.raises(DataError, match="source holds NaN or infinity, first in row 3"):
        way(source, target)


def test_refused_settings():
    source, target = shifted(n=20)
    with pytest.raises(UsageError, match=r"bound is the largest weight, 1 or more, got 0.5"):
        kernel_mean_matching(source, target, bound=0.5)
    with pytest.raises(UsageError, match="gamma must be above 0, got 0; None takes the median heuristic"):
        kernel_mean_matching(source, target, gamma=0)
    with pytest.raises(UsageError, match="width must be above 0, got -1; None chooses it"):
        kliep(source, target, width=-1)
