"""The cost of a positive among several sums of negatives."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def log_one_plus(*exponents: Tensor) -> Tensor:
    """log(1 + e^x + e^y + ...), elementwise, exact where it is 1e-30; -inf adds nothing and has gradient 0.

    (1 + e^x) (1 + e^y / (1 + e^x)) = 1 + e^x + e^y, so it is softplus(x) + softplus(y - softplus(x)).

    >>> import torch
    >>> x = torch.tensor([0.0, -70.0])
    >>> log_one_plus(x, x)  # log 3, and 2 e^-70
    tensor([1.0986e+00, 7.9509e-31])
    """
    # past 40 nats softplus(x) is x to the last bit of float64
    total = F.softplus(exponents[0], threshold=40.0)
    for exponent in exponents[1:]:
        total = total + F.softplus(exponent - total, threshold=40.0)
    return total
