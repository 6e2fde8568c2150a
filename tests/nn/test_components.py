"""Principal components: what they are, what they keep, and what has none."""

import json

import numpy as np
import pytest
import torch

from bouba.errors import DataError
from bouba.nn.components import Components, measure


def rows(n=40, p=12, seed=0):
    """Numbers whose deviations fall from column to column, far from 0."""
    random = np.random.default_rng(seed)
    return (3 + random.normal(size=(n, p)) * 0.7 ** np.arange(p)).astype(np.float32)


def test_definition_by_the_covariance():
    x = rows()
    made = Components(json.loads(json.dumps(measure(x, 5))))
    centred = (x - x.mean(0)).astype(np.float64)
    variance, directions = np.linalg.eigh(centred.T @ centred / len(x))
    deviation = np.sqrt(variance[::-1][:5])
    coefficients = made(torch.from_numpy(x)).numpy()
    assert len(made) == 5
    for j in range(5):
        along = centred @ directions[:, -1 - j] / np.sqrt(deviation[j] * deviation.mean())
        np.testing.assert_allclose(np.abs(coefficients[:, j]), np.abs(along), rtol=1e-3, atol=1e-4)
    nearest = sum(np.outer(centred @ directions[:, -1 - j], directions[:, -1 - j]) for j in range(5)) + x.mean(0)
    np.testing.assert_allclose(made.back(coefficients), nearest, atol=1e-4)


def test_law_coefficients_have_mean_0_and_variance_1_on_the_average_and_large_ones_come_first():
    coefficients = Components(measure(rows(), 8))(torch.from_numpy(rows())).numpy()
    np.testing.assert_allclose(coefficients.mean(0), 0, atol=1e-5)
    assert coefficients.var(0).mean() == pytest.approx(1, rel=1e-4)
    assert (np.diff(coefficients.var(0)) < 0).all()


@pytest.mark.parametrize(("n", "p", "k"), [(40, 12, 12), (5, 12, 4), (30, 1, 1)])
def test_law_all_components_lose_nothing_and_there_are_no_more_than_the_rows_have(n, p, k):
    x = rows(n, p)
    made = Components(measure(x, 100))
    assert len(made) == k
    np.testing.assert_allclose(made.back(made(torch.from_numpy(x)).numpy()), x, atol=1e-4)


def test_a_direction_in_which_rows_do_not_differ_is_no_component():
    x = rows(30, 3)
    assert len(Components(measure(np.concatenate([x, x], 1), 6))) == 3


def test_refusal_of_rows_that_are_alike():
    for alike in (np.ones((4, 3), np.float32), rows(1)):
        with pytest.raises(DataError, match="the ways in which cells differ, and these"):
            measure(alike, 2)
