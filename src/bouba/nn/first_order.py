"""For functions whose gradients are computed by hand, and are not differentiable themselves."""

import torch

from bouba.errors import UsageError


def refuse_second(function: str) -> None:
    """UsageError in a backward pass that is to be differentiated again.

    torch's once_differentiable lets a constant pass in silence: it looks at the incoming gradient only."""
    if torch.is_grad_enabled():
        raise UsageError(f"{function} has no second derivative; leave create_graph=True out")
