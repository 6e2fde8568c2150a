"""Classification scores and probes: definitions, laws, recovery of planted classes, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.metrics import accuracy, confusion, knn, linear_probe, macro_f1, majority_chance, zero_shot

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=20)


def blobs(seed, n=200, classes=("cat", "dog", "owl"), spread=1.0, d=16):
    centres = np.random.default_rng(99).normal(size=(len(classes), d)) * 2
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(classes), n)
    return centres[y] + spread * rng.normal(size=(n, d)), np.array(classes)[y], centres


@given(LABELS)
@settings(max_examples=60, deadline=None)
def test_definition_of_scores(pairs):
    true, predicted = map(list, zip(*pairs))
    counts, classes = confusion(true, predicted)
    f1 = []
    for i, a in enumerate(classes):
        for j, b in enumerate(classes):
            assert counts[i, j] == sum(t == a and p == b for t, p in pairs)
        tp = sum(t == p == a for t, p in pairs)
        f1.append(2 * tp / (true.count(a) + predicted.count(a)))
    assert classes == sorted(set(true) | set(predicted))
    assert accuracy(true, predicted) == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    assert macro_f1(true, predicted) == pytest.approx(np.mean(f1))


def test_definition_of_knn_is_a_vote_and_ties_go_to_the_nearest():
    rng = np.random.default_rng(0)
    train, test, y = rng.normal(size=(40, 3)), rng.normal(size=(25, 3)), rng.integers(0, 4, 40)
    for k in (1, 4, 40):
        expected = []
        for row in test:
            near = np.argsort([np.linalg.norm(row - other) for other in train])[:k]
            votes = [list(y[near]).count(label) for label in y[near]]
            expected.append(y[near][np.argmax(votes)])
        got = knn(train, y, test, k, similarity="euclidean", tile=10)
        np.testing.assert_array_equal(got, expected)


def test_definition_of_zero_shot_is_the_nearest_class():
    rng = np.random.default_rng(1)
    z, class_z = rng.normal(size=(30, 5)), rng.normal(size=(4, 5))
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in class_z] for a in z]
    np.testing.assert_array_equal(zero_shot(z, class_z, list("wxyz")), np.array(list("wxyz"))[np.argmax(cosine, 1)])


@given(LABELS)
@settings(max_examples=30, deadline=None)
def test_law_scores_do_not_know_the_names_of_classes(pairs):
    true, predicted = zip(*pairs)
    renamed = {"a": 7, "b": 1, "c": 3, "d": 2}
    for score in (accuracy, macro_f1, majority_chance):
        new = score([renamed[t] for t in true], [renamed[p] for p in predicted])
        assert new == pytest.approx(score(true, predicted))
    assert accuracy(true, true) == macro_f1(true, true) == 1.0


def test_law_probes_do_not_see_the_length_of_rows():
    z, y, _ = blobs(0)
    stretch = np.random.default_rng(1).uniform(0.1, 10, size=(len(z), 1))
    for probe in (linear_probe, knn):
        np.testing.assert_array_equal(probe(z * stretch, y, z), probe(z, y, z * stretch))


def test_recovery_of_planted_classes():
    (z, y, centres), (test, test_y, _) = blobs(0), blobs(1)
    chance = majority_chance(y, test_y)
    for predicted in (
        linear_probe(z, y, test),
        knn(z, y, test),
        zero_shot(test, centres, ["cat", "dog", "owl"]),
    ):
        assert predicted.dtype == y.dtype
        assert accuracy(test_y, predicted) > 0.95 > 2 * chance


def test_recovery_probe_reads_what_cosine_neighbours_drown_in():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 600)
    z = rng.normal(size=(600, 40)) * 5
    z[:, 0] = y + 0.1 * rng.normal(size=600)  # one small informative column among loud ones
    probe = accuracy(y[400:], linear_probe(z[:400], y[:400], z[400:]))
    assert probe > 0.9 > accuracy(y[400:], knn(z[:400], y[:400], z[400:]))


def test_recovery_of_no_signal_is_chance():
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=(600, 10)), rng.integers(0, 3, 600)
    assert abs(accuracy(y[300:], linear_probe(z[:300], y[:300], z[300:])) - 1 / 3) < 0.1


def test_majority_chance_shares_ties():
    assert majority_chance(["a", "b"], ["a", "a", "a", "c"]) == pytest.approx(3 / 8)
    assert majority_chance(["a", "a", "b"], ["a", "b"]) == 0.5


def test_labels_of_any_type():
    z, _, _ = blobs(0, n=60)
    for y in (np.arange(60) % 2 == 0, np.arange(60) % 3, np.array(["x", 1], object)[np.arange(60) % 2]):
        assert linear_probe(z, y, z).dtype == np.asarray(y).dtype
    assert accuracy([1, 2], ["1", "2"]) == 0.0
    assert confusion([1, "a"], np.array(["a", 1], object), classes=["a", 1])[0].sum() == 2


def test_refusals_say_what_came_and_what_to_do():
    z = np.eye(4)
    with pytest.raises(DataError, match="two classes or more, got 1 \\('a'\\)"):
        linear_probe(z, ["a"] * 4, z)
    with pytest.raises(UsageError, match="k must be between 1 and the 4 training rows, got 5"):
        knn(z, [0, 1, 0, 1], z, k=5)
    with pytest.raises(DataError, match="y_pred has 3 labels for 2 rows"):
        accuracy([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="test_z has NaN or infinity in 4 of 4 rows"):
        knn(z, [0, 1, 0, 1], z * np.nan, k=1)
    with pytest.raises(DataError, match="y_true has 1 missing labels, first in row 1"):
        accuracy(["a", float("nan")], ["a", "a"])
    with pytest.raises(DataError, match="classes has 2 labels for 4 rows"):
        zero_shot(z, z, ["a", "b"])
    with pytest.raises(DataError, match=r"labels \['z'\] are not among the 1 classes"):
        confusion(["a", "z"], ["a", "a"], classes=["a"])
    with pytest.raises(DataError, match="train_y must be a vector with at least one label"):
        majority_chance([], ["a"])
