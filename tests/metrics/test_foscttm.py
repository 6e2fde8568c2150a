import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.metrics import foscttm


def by_hand(a, b):
    """Row by row, both ways."""
    shares = []
    for one, other in ((a, b), (b, a)):
        for i in range(len(a)):
            distance = [np.linalg.norm(one[i] - other[j]) for j in range(len(a))]
            shares.append(sum(d < distance[i] for d in distance) / (len(a) - 1))
    return np.mean(shares)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), n=st.integers(2, 9), tile=st.integers(1, 10))
def test_definition(seed, n, tile):
    a, b = np.random.default_rng(seed).normal(size=(2, n, 3))
    assert foscttm(a, b, tile=tile) == pytest.approx(by_hand(a, b))


def test_law_order_and_rotation_change_nothing():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 30, 4))
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    order = random.permutation(30)
    assert foscttm(a @ turn, b @ turn) == pytest.approx(foscttm(a, b))
    assert foscttm(a[order], b[order]) == pytest.approx(foscttm(a, b))
    assert foscttm(b, a) == pytest.approx(foscttm(a, b))


def test_values_to_know():
    a = np.arange(5.0)[:, None]
    assert foscttm(a, a) == 0
    assert foscttm(np.ones((6, 2)), np.ones((6, 2))) == 0.5
    assert foscttm(a, -a, similarity="dot") == pytest.approx(by_dot(a, -a))
    assert foscttm(*np.random.default_rng(0).normal(size=(2, 400, 3))) == pytest.approx(0.5, abs=0.03)


def by_dot(a, b):
    scores = a @ b.T
    true = np.diag(scores)[:, None]
    ahead = (scores > true).sum() + ((scores == true).sum() - len(a)) / 2
    back = (scores > true.T).sum() + ((scores == true.T).sum() - len(a)) / 2
    return (ahead + back) / (2 * len(a) * (len(a) - 1))


def test_refusals():
    with pytest.raises(DataError, match="foscttm needs two pairs or more, got 3 rows of z_a and 2 of z_b"):
        foscttm(np.eye(3), np.eye(3)[:2])
    with pytest.raises(DataError, match="z_a has 3 dimensions and z_b has 2"):
        foscttm(np.eye(3), np.eye(3)[:, :2])
    with pytest.raises(UsageError, match="tile must be 1 or more, got 0"):
        foscttm(np.eye(3), np.eye(3), tile=0)
