"""Vector encoder: standardised by training numbers, then layers or nothing."""

import numpy as np
import pytest
import torch

from bouba.errors import DataError, UsageError
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


def test_refusal_of_rows_with_gaps(cells):
    encoder = MLP().build(MLP().learn(cells))
    with pytest.raises(DataError, match=r"vectors are needed, got rows of a table with a, b, some of them blank; read"):
        encoder.prepare([{"a": 1.0, "b": None}])


def varied(cells, times=200, **spec):
    encoder = MLP(**spec).build(MLP().learn(cells))
    inputs = encoder.prepare(cells)
    torch.manual_seed(0)
    return inputs["values"], torch.stack([encoder.vary(inputs)["values"] for _ in range(times)])


def test_noise_is_measured_in_standard_deviations(cells):
    values, some = varied(cells, noise=0.5)
    scale = values.std(0, correction=0)
    # 10,000 draws a column: the deviation is known to 1 / sqrt(20000), 0.7%; four of them
    torch.testing.assert_close((some - values).std((0, 1))[:2], 0.5 * scale[:2], rtol=0.03, atol=0)
    assert (some - values)[:, :, :2].mean((0, 1)).abs().max() < 0.1


def test_masked_numbers_come_from_the_same_column_of_other_rows(cells):
    values, some = varied(cells, mask=0.4)
    for column in range(2):
        assert set(some[:, :, column].flatten().tolist()) == set(values[:, column].tolist())
    changed = (some != values)[:, :, :2].float()
    assert changed.mean() == pytest.approx(0.4 * 49 / 50, abs=0.015)  # a number replaces itself once in 50
    assert changed.prod(2).mean() == pytest.approx((0.4 * 49 / 50) ** 2, abs=0.015)  # columns are drawn apart


def test_nothing_is_varied_by_default(cells):
    values, some = varied(cells, times=1)
    assert torch.equal(some[0], values)


def test_refusals_of_settings():
    with pytest.raises(UsageError, match="mask is a share, 0 or more and below 1, got 1"):
        MLP(mask=1.0)
    with pytest.raises(UsageError, match=r"noise is a standard deviation, 0 or more, got -0\.1"):
        MLP(noise=-0.1)


def test_restore_undoes_standardising(cells):
    encoder = MLP().build(MLP().learn(cells))
    raw = encoder.raw(encoder.prepare(cells))
    np.testing.assert_allclose(encoder.restore(raw.numpy()), np.stack(cells), rtol=1e-5, atol=1e-5)
    assert encoder.raw_shape == (encoder.raw_width,)
