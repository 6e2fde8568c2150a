"""Vector encoder: standardised by training numbers, then layers or nothing."""

import numpy as np
import pytest
import torch

from bouba.errors import DataError
from bouba.towers import MLP


@pytest.fixture
def cells():
    block = np.random.default_rng(0).normal(5, 3, (50, 3))
    block[:, 2] = 7.0
    return list(block)


def test_definition_of_standardising(cells):
    learned = MLP().learn(cells)
    encoder = MLP(hidden=()).build(learned)
    assert encoder.width == 3
    features = encoder(**encoder.prepare(cells))
    for column in range(2):
        numbers = np.array([cell[column] for cell in cells])
        expected = (numbers - numbers.mean()) / numbers.std()
        np.testing.assert_allclose(features[:, column], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features[:, 2], 0, atol=1e-5)  # a constant column is zero, not infinite


def test_layers_width_and_statistics_are_saved(cells):
    encoder = MLP(hidden=(8, 5)).build(MLP().learn(cells)).eval()
    assert encoder(**encoder.prepare(cells)).shape == (50, encoder.width) == (50, 5)
    assert {"mean", "scale"} <= set(encoder.state_dict())


def test_law_units_do_not_matter(cells):
    stretched = [cell * [10, 0.1, 3] + [1, -2, 3] for cell in cells]
    results = []
    for some in (cells, stretched):
        torch.manual_seed(0)
        encoder = MLP(hidden=(4,)).build(MLP().learn(some)).eval()
        results.append(encoder(**encoder.prepare(some)))
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)


def test_refusal_of_another_width(cells):
    encoder = MLP().build(MLP().learn(cells))
    with pytest.raises(DataError, match="vectors are 2 wide, the model was trained on 3"):
        encoder.prepare([np.zeros(2)])
