"""Calibration: definition by a loop, laws, planted over-confidence, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.metrics import expected_calibration_error, reliability


def drawn(n, classes, seed, sharpness=1.0):
    """Probabilities, and classes drawn from them: calibrated where sharpness is 1, too sure above."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(classes), n)
    y = np.array([random.choice(classes, p=row) for row in p])
    q = p**sharpness
    return y, q / q.sum(1, keepdims=True)


@given(st.integers(0, 99), st.integers(1, 40), st.integers(2, 5), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_definition_by_a_loop_over_bins(seed, n, classes, bins):
    y, p = drawn(n, classes, seed)
    total, found = 0.0, []
    for b in range(bins):
        rows = [i for i in range(n) if b / bins < p[i].max() <= (b + 1) / bins]
        if rows:
            sure = np.mean([p[i].max() for i in rows])
            right = np.mean([p[i].argmax() == y[i] for i in rows])
            total += len(rows) / n * abs(right - sure)
            found.append((sure, right, len(rows)))
    assert expected_calibration_error(y, p, bins=bins) == pytest.approx(total)
    bars = reliability(y, p, bins=bins)
    np.testing.assert_allclose(np.c_[bars.confidence, bars.accuracy, bars.n], found)


@given(st.integers(0, 99), st.permutations(range(4)))
@settings(max_examples=20, deadline=None)
def test_law_neither_order_of_rows_nor_of_classes_matters(seed, order):
    y, p = drawn(30, 4, seed)
    shuffled = np.random.default_rng(seed).permutation(30)
    renamed = np.argsort(order)[y]
    once = expected_calibration_error(y, p)
    assert expected_calibration_error(y[shuffled], p[shuffled]) == pytest.approx(once)
    assert expected_calibration_error(renamed, p[:, order]) == pytest.approx(once)


def test_law_sure_and_right_is_0_and_sure_and_wrong_is_1():
    y = np.array([0, 1, 2])
    assert expected_calibration_error(y, np.eye(3)) == 0.0
    assert expected_calibration_error((y + 1) % 3, np.eye(3)) == 1.0
    assert expected_calibration_error([-1, -1], [[0.6, 0.4], [0.6, 0.4]]) == pytest.approx(0.6)


def test_recovery_of_over_confidence():
    y, p = drawn(4000, 3, 0)
    _, too_sure = drawn(4000, 3, 0, sharpness=3.0)
    assert expected_calibration_error(y, p) < 0.03 < 0.1 < expected_calibration_error(y, too_sure)
    bars = reliability(y, too_sure)
    assert (bars.accuracy[-5:] < bars.confidence[-5:]).all()


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(
        DataError, match=r"one class code for each row of proba \(n, C\), got shapes \(1,\) and \(2, 2\)"
    ):
        expected_calibration_error([0], np.eye(2))
    with pytest.raises(DataError, match="one class code"):
        reliability(["a", "b"], np.eye(2))
    with pytest.raises(DataError, match="pass probabilities, not scores"):
        reliability([0, 1], [[2.0, 1.0], [0.0, 1.0]])
    with pytest.raises(UsageError, match="bins must be 1 or more, got 0"):
        reliability([0, 1], np.eye(2), bins=0)
