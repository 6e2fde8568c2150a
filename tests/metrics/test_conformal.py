import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import UsageError
from bouba.metrics.conformal import (
    confidence,
    confidence_curve,
    conformal_cut,
    coverage,
    false_alarm_rate,
    presence_auroc,
)


@pytest.mark.parametrize(("n", "sure"), [(9, 0.9), (19, 0.9), (99, 0.99), (50, 0.75)])
def test_the_cut_is_the_definition(n, sure):
    scores = np.random.default_rng(n).normal(size=n)
    rank = math.floor(round((1 - sure) * (n + 1), 6))
    smaller = [s for s in scores if s < conformal_cut(scores, sure)]
    assert len(smaller) == rank - 1  # the rank-th smallest has rank - 1 below


@pytest.mark.parametrize("sure", [0.8, 0.9, 0.95])
def test_a_new_pair_belongs_to_its_set_as_often_as_promised(sure):
    """Simulated: over many runs each with its own held-out pairs, whatever the scores are distributed as."""
    random = np.random.default_rng(0)
    draws = [random.normal(size=(2000, 60)), random.exponential(size=(2000, 60)), random.beta(0.3, 0.3, (2000, 60))]
    for scores in draws:
        inside = [row[-1] >= conformal_cut(row[:-1], sure) for row in scores]
        exact = 1 - math.floor((1 - sure) * 60 + 1e-9) / 60
        assert np.mean(inside) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 2000))
        assert exact >= sure - 1e-12


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=40, max_size=80), st.integers(0, 99))
def test_the_cut_knows_only_the_order(scores, seed):
    shuffled = np.random.default_rng(seed).permutation(scores)
    assert conformal_cut(shuffled, 0.9) == conformal_cut(scores, 0.9)
    assert conformal_cut(np.asarray(scores) * 2, 0.9) == 2 * conformal_cut(scores, 0.9)
    assert conformal_cut(scores, 0.95) <= conformal_cut(scores, 0.9) <= conformal_cut(scores, 0.5)


def test_nothing_fits_is_wrong_no_more_often_than_its_rate_says():
    random = np.random.default_rng(1)
    wrong = []
    for _ in range(3000):
        known, new = random.normal(size=99), random.normal()
        wrong.append(false_alarm_rate(known, new) <= 0.1)  # where it is said
    assert np.mean(wrong) == pytest.approx(0.1, abs=0.02)


def test_coverage_of_halves_is_what_a_loop_counts():
    scores = np.random.default_rng(2).normal(size=400)
    shares = coverage(scores, 0.9, splits=200)
    assert shares.shape == (200,)
    assert 0.88 <= shares.mean() <= 0.92
    order = np.random.default_rng(0).permutation(400)
    assert shares[0] == np.mean([s >= conformal_cut(scores[order[:200]], 0.9) for s in scores[order[200:]]])


def test_confidence_is_the_share_that_is_right():
    random = np.random.default_rng(3)
    scores = random.uniform(size=20_000)
    right = random.uniform(size=20_000) < scores**2  # truly: the probability at s is s squared
    curve = confidence_curve(scores, right)
    at = np.linspace(0.1, 0.9, 9)
    assert confidence(curve, at) == pytest.approx(at**2, abs=0.05)
    assert (np.diff(confidence(curve, np.linspace(-1, 2, 50))) >= 0).all()


def test_a_few_right_hits_at_the_top_are_no_certainty():
    curve = confidence_curve([0.1, 0.2, 0.3, 0.9], [False, False, False, True])
    assert confidence(curve, [0.9, 0.95]).tolist() == [0.5, 0.5]


def test_presence_is_told_as_often_as_pairs_are_in_order():
    random = np.random.default_rng(4)
    there, gone = random.integers(0, 6, 30) + 1.0, random.integers(0, 6, 20).astype(float)
    wins = [float(a > b) + 0.5 * (a == b) for a in there for b in gone]
    assert presence_auroc(there, gone) == pytest.approx(np.mean(wins))


@pytest.mark.parametrize("sure", [0, 1, -0.1, 1.5])
def test_what_is_no_probability_is_refused(sure):
    with pytest.raises(UsageError, match="between 0 and 1"):
        conformal_cut(np.arange(50), sure)


def test_too_few_pairs_are_refused_with_how_many_it_takes():
    with pytest.raises(UsageError, match="needs 99 held-out pairs or more, there are 40"):
        conformal_cut(np.arange(40), 0.99)
