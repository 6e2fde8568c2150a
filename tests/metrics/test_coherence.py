"""Coherence of made items by the labels that a judge gives them."""

import numpy as np
import pytest

from bouba.errors import DataError
from bouba.metrics import cross_coherence, joint_coherence


def test_definition():
    made, asked = np.array([["x", "y", "x"], ["y", "y", "y"]]), np.array(["x", "y"])
    expected = [sum(label == asked[i] for label in made[i]) / 3 for i in range(2)]
    assert cross_coherence(made, asked).tolist() == expected
    assert cross_coherence(made[:, 0], asked).tolist() == [1, 1]
    labels = [[1, 1, 1], [1, 1, 2], [2, 1, 1]]
    assert joint_coherence(labels).tolist() == [float(len(set(row)) == 1) for row in labels]


def test_law_renaming_labels_changes_nothing_and_blind_guesses_are_at_chance():
    random = np.random.default_rng(0)
    made, asked = random.integers(0, 5, (4000, 3)), random.integers(0, 5, 4000)
    new = random.permutation(5)
    np.testing.assert_array_equal(cross_coherence(new[made], new[asked]), cross_coherence(made, asked))
    np.testing.assert_array_equal(joint_coherence(new[made]), joint_coherence(made[:, ::-1]))
    assert cross_coherence(made, asked).mean() == pytest.approx(1 / 5, abs=0.02)
    assert joint_coherence(made).mean() == pytest.approx(1 / 25, abs=0.015)


def test_refusals():
    with pytest.raises(
        DataError, match=r"made must hold labels \(rows, n\) and asked \(rows,\), got \(2, 1\) and \(3,\)"
    ):
        cross_coherence([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match=r"two views or more, \(rows, V\), got shape \(3, 1\)"):
        joint_coherence([[1], [2], [3]])
