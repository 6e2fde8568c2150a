"""Modality gap, alignment, uniformity: loops, laws on the sphere, known answers, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.metrics import alignment, modality_gap, uniformity


def pair(seed, n=12, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d))


def test_definition_by_loops():
    a, b = pair(0)
    ua, ub = [x / np.linalg.norm(x) for x in a], [x / np.linalg.norm(x) for x in b]
    assert modality_gap(a, b) == pytest.approx(np.linalg.norm(sum(ua) / 12 - sum(ub) / 12))
    assert alignment(a, b, alpha=3) == pytest.approx(np.mean([np.linalg.norm(x - y) ** 3 for x, y in zip(ua, ub)]))
    kernel = [np.exp(-3 * np.sum((ua[i] - ua[j]) ** 2)) for i in range(12) for j in range(i)]
    assert uniformity(a, t=3, tile=5) == pytest.approx(np.log(np.mean(kernel)))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_law_rotation_order_and_length_change_nothing(seed):
    a, b = pair(seed)
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    order, stretch = rng.permutation(12), rng.uniform(0.1, 9, size=(12, 1))
    for measure in (modality_gap, alignment, lambda a, _: uniformity(a)):
        assert measure((a * stretch @ turn)[order], (b @ turn)[order]) == pytest.approx(measure(a, b))
    assert 0 <= modality_gap(a, b) <= 2
    assert -8 <= uniformity(a) <= 0


def test_recovery_of_known_answers():
    a, _ = pair(1)
    assert modality_gap(a, a) == alignment(a, a) == 0.0
    assert alignment(a, -a) == pytest.approx(4.0)
    assert uniformity(np.ones((5, 3))) == 0.0
    assert uniformity([[1, 0], [-1, 0]], t=20) == pytest.approx(-80)
    rng = np.random.default_rng(2)
    spread = rng.normal(size=(400, 8))
    assert uniformity(spread) < uniformity(spread + 3)  # a cone is less even than the sphere
    assert modality_gap(spread, spread + 3) > 5 * modality_gap(spread, rng.normal(size=(400, 8)))
    assert modality_gap(np.zeros((2, 3)), [[1, 0, 0]]) == 1.0


def test_refusals_say_what_came_and_what_to_do():
    a, b = pair(3)
    with pytest.raises(DataError, match="alignment needs pairs, got 12 rows of z_a and 11 of z_b"):
        alignment(a, b[:11])
    with pytest.raises(DataError, match="uniformity compares rows and needs two or more, got 1"):
        uniformity(a[:1])
    with pytest.raises(DataError, match="z_b has NaN or infinity in 1 of 12 rows, first in row 4"):
        modality_gap(a, np.where(np.arange(12)[:, None] == 4, np.inf, b))
    with pytest.raises(UsageError, match="alpha must be above 0, got 0"):
        alignment(a, a, alpha=0)
    with pytest.raises(UsageError, match="t must be above 0, got -1"):
        uniformity(a, t=-1)
