"""Errors of numbers: definitions by a loop and scikit-learn, laws, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from bouba.errors import DataError
from bouba.metrics import mean_absolute_error, r_squared, root_mean_squared_error

NUMBER = st.floats(-100, 100).map(lambda x: round(x, 3))
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=15)


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_definition_by_a_loop(pairs):
    y, guess = map(np.array, zip(*pairs))
    assert mean_absolute_error(y, guess) == pytest.approx(sum(abs(a - b) for a, b in pairs) / len(pairs))
    assert root_mean_squared_error(y, guess) == pytest.approx((sum((a - b) ** 2 for a, b in pairs) / len(pairs)) ** 0.5)
    mean = sum(y) / len(y)
    spread = sum((a - mean) ** 2 for a in y)
    if spread > 1e-9:
        assert r_squared(y, guess) == pytest.approx(1 - sum((a - b) ** 2 for a, b in pairs) / spread)


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_definition_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    y, guess, weights = random.normal(size=(3, 20))
    assert r_squared(y, guess) == pytest.approx(sklearn.r2_score(y, guess))
    assert r_squared(y, guess, weights=weights**2) == pytest.approx(
        sklearn.r2_score(y, guess, sample_weight=weights**2)
    )
    assert mean_absolute_error(y, guess) == pytest.approx(sklearn.mean_absolute_error(y, guess))
    assert root_mean_squared_error(y, guess) == pytest.approx(sklearn.root_mean_squared_error(y, guess))


@given(st.integers(0, 99), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_law_of_units(seed, scale, shift):
    y, guess = np.random.default_rng(seed).normal(size=(2, 20))
    moved = scale * y + shift, scale * guess + shift
    assert r_squared(*moved) == pytest.approx(r_squared(y, guess))
    assert root_mean_squared_error(*moved) == pytest.approx(scale * root_mean_squared_error(y, guess))
    assert mean_absolute_error(*moved) == pytest.approx(scale * mean_absolute_error(y, guess))


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_law_a_weight_of_two_is_a_row_twice(seed):
    random = np.random.default_rng(seed)
    (y, guess), times = random.normal(size=(2, 10)), random.integers(0, 4, 10)
    rows = np.repeat(np.arange(10), times)
    if len(set(y[rows])) > 1:
        assert r_squared(y, guess, weights=times) == pytest.approx(r_squared(y[rows], guess[rows]))


def test_recovery_of_the_share_that_is_explained():
    random = np.random.default_rng(0)
    known, noise = random.normal(size=(2, 5000))
    assert r_squared(2 * known + noise, 2 * known) == pytest.approx(0.8, abs=0.02)
    assert r_squared(known, np.full(5000, known.mean())) == pytest.approx(0)
    assert np.isnan(r_squared([1.0, 1.0], [1.0, 2.0]))


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match=r"vectors of one length, got shapes \(2,\) and \(3,\)"):
        mean_absolute_error([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="holds NaN or infinity; drop those rows"):
        root_mean_squared_error([1, np.nan], [1, 2])
    with pytest.raises(DataError, match="vectors of one length"):
        r_squared([], [])
