import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import twin_vectors

from bouba.align import CCA
from bouba.data import Views
from bouba.errors import DataError
from bouba.evaluation.doubts import doubts_by, doubts_left_out, pair_scores
from bouba.metrics.similarity import unit_rows


def shuffled(share=0.2, n=300, seed=0):
    """Views of which a share of the pairs is wrong, and which rows those are."""
    views = twin_vectors(n, noise=0.2, seed=seed)
    wrong = np.sort(np.random.default_rng(seed).permutation(n)[: int(share * n)])
    right = np.stack(list(views["right"]))
    right[wrong] = right[np.roll(wrong, 1)]
    return Views({"left": views["left"], "right": right}), set(wrong.tolist())


def test_a_score_is_what_a_loop_gives():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 4)), random.normal(size=(30, 4))
    scores, ranks = pair_scores(a, b, np.arange(30))
    u, v = unit_rows(a), unit_rows(b)
    near = lambda x, others: np.mean(sorted(float(x @ y) for y in others)[-10:])  # noqa: E731
    for i in range(30):
        assert scores[i] == pytest.approx(2 * u[i] @ v[i] - near(u[i], v) - near(v[i], u))
        forward = [float(u[i] @ v[j]) - near(v[j], u) / 2 for j in range(30)]
        assert ranks[i, 0] == sum(value >= forward[i] - 1e-12 for value in forward)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_rotating_both_sides_and_their_lengths_change_nothing(seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(25, 3)), random.normal(size=(25, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    one, two = pair_scores(a, b, np.arange(25)), pair_scores(2 * a @ turn, b @ turn * 3, np.arange(25))
    assert one[0] == pytest.approx(two[0])


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_pairs_are_the_most_doubtful(seed):
    views, wrong = shuffled(seed=seed)
    doubts = doubts_left_out(CCA(ridge=0.9), views)
    assert sorted(doubt.row for doubt in doubts) == list(range(300))
    worst = {doubt.row for doubt in doubts[:60]}
    assert len(worst & wrong) >= 0.75 * 60  # 12 by chance
    assert [doubt.doubt for doubt in doubts] == sorted((doubt.doubt for doubt in doubts), reverse=True)


def test_a_pair_is_judged_by_models_that_never_saw_it():
    views, _ = shuffled(n=60)
    fitted_on = []

    class Watched(CCA):
        def fit(self, X, y=None):
            fitted_on.append(set(X.rows.tolist()))
            return super().fit(X, y)

    doubts_left_out(Watched(ridge=0.9), views)
    assert len(fitted_on) == 5
    for row in range(60):
        assert sum(row not in rows for rows in fitted_on) == 1


def test_a_row_stands_for_its_worst_pair_and_one_without_a_pair_does_not_stand():
    views = twin_vectors(80)
    third = [None if row % 2 else cell for row, cell in enumerate(views["left"])]
    three = Views({"left": views["left"], "right": views["right"], "again": third}, kinds={"again": "vector"})
    doubts = doubts_by(CCA(ridge=0.9).fit(three), three)
    assert sorted(doubt.row for doubt in doubts) == list(range(80))
    assert all(doubt.among == 80 or "again" in doubt.views for doubt in doubts)


def test_too_few_pairs_are_refused():
    with pytest.raises(DataError, match="12 rows have two views or more"):
        doubts_left_out(CCA(ridge=0.9), twin_vectors(12))
