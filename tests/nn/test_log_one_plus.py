"""log(1 + e^x + e^y): values, small numbers, empty sums."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.nn.log_one_plus import log_one_plus


def test_definition():
    x, y, z = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).mul(5).unbind()
    torch.testing.assert_close(log_one_plus(x), (1 + x.exp()).log())
    torch.testing.assert_close(log_one_plus(x, y, z), (1 + x.exp() + y.exp() + z.exp()).log())


@settings(deadline=None, max_examples=50)
@given(x=st.floats(-80, 200), y=st.floats(-80, 200))
def test_law_order_and_digits_in_float32(x, y):
    first, second = torch.tensor([x]), torch.tensor([y])
    exact = math.log1p(math.exp(float(first)) + math.exp(float(second)))
    for value in (log_one_plus(first, second), log_one_plus(second, first)):
        assert value.item() == pytest.approx(exact, rel=3e-6)


def test_an_empty_sum_adds_nothing_and_has_no_gradient():
    x = torch.tensor([-math.inf, 1.0, -math.inf], requires_grad=True)
    y = torch.tensor([-math.inf, -math.inf, 2.0], requires_grad=True)
    value = log_one_plus(x, y)
    grad_x, grad_y = torch.autograd.grad(value.sum(), (x, y))
    torch.testing.assert_close(value, torch.tensor([0.0, math.log1p(math.e), math.log1p(math.exp(2))]))
    torch.testing.assert_close(grad_x, torch.tensor([0.0, 1 / (1 + math.exp(-1)), 0.0]))
    torch.testing.assert_close(grad_y, torch.tensor([0.0, 0.0, 1 / (1 + math.exp(-2))]))


def test_gradcheck():
    x, y = (torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    assert torch.autograd.gradcheck(log_one_plus, (x.requires_grad_(), y.requires_grad_()))
