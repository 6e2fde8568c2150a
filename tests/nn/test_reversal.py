"""Gradient reversal: the identity forward, the negative backward."""

import pytest
import torch
from torch.autograd import gradcheck

from bouba.nn.reversal import reverse_gradient


@pytest.mark.parametrize("strength", [0.0, 0.3, 2])
def test_definition(strength):
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, dtype=torch.float64)
    y = reverse_gradient(x, strength)
    assert torch.equal(y, x)
    (weight * y).sum().backward()
    torch.testing.assert_close(x.grad, -strength * weight)


def test_law_twice_is_the_identity_and_others_are_untouched():
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: reverse_gradient(reverse_gradient(v).sin()), x)
    weight = torch.ones(4, dtype=torch.float64, requires_grad=True)
    (weight * reverse_gradient(x)).sum().backward()
    torch.testing.assert_close(weight.grad, x.detach())  # the judge behind still learns to judge


def test_recovery_what_comes_before_climbs_to_the_maximum():
    x = torch.tensor(0.5, requires_grad=True)
    optimiser = torch.optim.SGD([x], lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        (-((reverse_gradient(x) - 3) ** 2)).backward()  # greatest at x = 3
        optimiser.step()
    assert x.item() == pytest.approx(3, abs=0.05)
