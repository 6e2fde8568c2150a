"""Temperature: tau = exp(-scale), multiplied by a step, kept in range when learnt."""

import math

import pytest
import torch

from bouba.nn.temperature import Temperature


@pytest.mark.parametrize("start", [0.01, 0.07, 1.0, 5.0])
def test_definition(start):
    temperature = Temperature(start)
    assert temperature().item() == pytest.approx(start, rel=1e-5)
    temperature().backward()
    assert temperature.logit_scale.grad.item() == pytest.approx(-start, rel=1e-5)


def test_a_learnt_scale_is_clamped_to_1_and_100():
    temperature = Temperature(0.07)
    for scale, kept in ((-3.0, 0.0), (2.0, 2.0), (9.0, math.log(100))):
        with torch.no_grad():
            temperature.logit_scale.fill_(scale)
        temperature.after_step()
        assert temperature.logit_scale.item() == pytest.approx(kept)


def test_a_fixed_one_stays_and_does_not_learn():
    temperature = Temperature(5.0, trainable=False)
    temperature.after_step()
    assert temperature().item() == pytest.approx(5.0)
    assert not temperature().requires_grad
