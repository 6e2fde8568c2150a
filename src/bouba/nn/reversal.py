"""Gradient reversal: the identity forward, minus `strength` times the gradient backward.

Reference: Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, section 4.2.
"""

from torch import Tensor
from torch.autograd import Function


class _Reverse(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """x itself; minimising a function of it maximises that function over what x depends on. Any shape."""
    return _Reverse.apply(x, strength)
