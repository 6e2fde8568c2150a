"""Made items against real ones: definitions by loops, laws, planted faults that are found, refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from bouba.errors import DataError, UsageError
from bouba.metrics import diversity, frechet_distance, novelty, r_precision

SEEDS = st.integers(0, 2**16)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_definition_of_r_precision():
    made, truth = drawn(9, 3, 4), drawn(9, 4, seed=1)
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    for k in (1, 4):
        hits = np.zeros((9, 3))
        for i, j in itertools.product(range(9), range(3)):
            own = cosine(made[i, j], truth[i])
            hits[i, j] = sum(cosine(made[i, j], other) > own for other in truth) < k
        np.testing.assert_allclose(r_precision(made, truth, k=k), hits.mean(1))


def test_definition_of_the_frechet_distance():
    a, b = drawn(40, 5), 1 + drawn(60, 5, seed=1) @ drawn(5, 5, seed=2)
    of_a, of_b = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(of_a + of_b - 2 * sqrtm(of_a @ of_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_definition_of_diversity_and_novelty():
    made, real, known = drawn(4, 3, 2), drawn(6, 2, seed=1), drawn(5, 2, seed=2)
    far = lambda x, y: float(np.linalg.norm(x - y))  # noqa: E731
    usual = np.mean([far(x, y) for x, y in itertools.combinations(real, 2)])
    own = [np.mean([far(x, y) for x, y in itertools.combinations(row, 2)]) for row in made]
    np.testing.assert_allclose(diversity(made, real), np.array(own) / usual)
    nearest = lambda x: min(far(x, y) for y in known)  # noqa: E731
    usual = np.median([nearest(x) for x in real])
    np.testing.assert_allclose(novelty(made, known, real), [np.mean([nearest(x) for x in r]) / usual for r in made])


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_law_turning_and_moving_the_space_changes_no_distance(seed):
    a, b = drawn(12, 4, seed=seed), 2 * drawn(15, 4, seed=seed + 1)
    turn, _ = np.linalg.qr(drawn(4, 4, seed=seed + 2))
    moved = lambda x: x @ turn + 3  # noqa: E731
    assert frechet_distance(moved(a), moved(b)) == pytest.approx(frechet_distance(a, b), abs=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), abs=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    made = a.reshape(4, 3, 4)
    np.testing.assert_allclose(diversity(moved(made), moved(b)), diversity(made, b))
    np.testing.assert_allclose(novelty(5 * made, 5 * b, 5 * a), novelty(made, b, a))


def test_law_items_that_are_all_alike_find_by_chance():
    assert r_precision(np.ones((8, 2, 3)), np.ones((8, 3)), k=2).tolist() == [0.25] * 8


def test_recovery_each_fault_is_found_by_its_own_number():
    """Right and varied, blurred to the mean, copied from the training, or right on the whole but in the wrong row."""
    centre = 3 * drawn(200, 6)
    real, training = centre + drawn(200, 6, seed=1), 3 * drawn(300, 6, seed=3)
    good = centre[:, None] + drawn(200, 3, 6, seed=2)
    blurred = np.broadcast_to(centre[:, None] * 0.3, good.shape)
    copied = training[:200, None] + np.zeros((1, 3, 1))
    wrong = good[::-1]

    def found(made):
        return (
            r_precision(made, real, k=5).mean(),
            frechet_distance(made[:, 0], real),
            diversity(made, real).mean(),
            novelty(made, training, real).mean(),
        )

    right, distance, varied, new = found(good)
    assert right > 0.5
    assert varied > 0.2
    assert new > 0.8
    assert found(blurred)[1] > 5 * distance
    assert found(blurred)[2] == pytest.approx(0, abs=1e-9)
    assert found(copied)[3] == 0
    assert found(wrong)[0] < 0.1
    assert found(wrong)[1:3] == pytest.approx((distance, varied))


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match="made has 3 rows and truth 4; give one true item a row"):
        r_precision(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(UsageError, match="ks must be whole numbers of 1 or more"):
        r_precision(np.ones((3, 2)), np.ones((3, 2)), k=0)
    with pytest.raises(DataError, match=r"made must hold items of each row, \(rows, n, d\), got shape \(3,\)"):
        diversity(np.ones(3), np.ones((3, 2)))
    with pytest.raises(DataError, match="made has NaN or infinity in 1 of 3 rows, first in row 0"):
        novelty(np.array([[np.nan], [1], [2]]), np.ones((3, 1)), np.zeros((2, 1)))
    with pytest.raises(DataError, match="diversity compares items, got 1 made for each row and 3 real"):
        diversity(np.ones((3, 1, 2)), drawn(3, 2))
    with pytest.raises(DataError, match="the real items are all alike"):
        diversity(drawn(3, 2, 2), np.ones((3, 2)))
    with pytest.raises(DataError, match="half of the held-out items or more stand in the training"):
        novelty(drawn(3, 2), np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(DataError, match="covariances need two rows or more, got 1 made and 3 real"):
        frechet_distance(np.ones((1, 2)), drawn(3, 2))
    with pytest.raises(DataError, match="made has 2 dimensions and real has 3"):
        frechet_distance(drawn(4, 2), drawn(4, 3))
