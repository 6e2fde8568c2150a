"""lightly's side."""

import torch
from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss

STEPS = 10


def answered(arrays, loss, scale=1.0):
    """The loss and its gradient, STEPS times."""
    z, twin = (torch.from_numpy(arrays[name]).requires_grad_() for name in ("z", "twin"))
    for _ in range(STEPS):
        value = scale * loss(z, twin)
        gradient, _ = torch.autograd.grad(value, (z, twin))
    return {"value": value.detach().numpy(), "gradient": gradient.numpy()}


def nt_xent(arrays):
    """At the temperature of both sides."""
    return answered(arrays, NTXentLoss(temperature=0.2))


def vicreg(arrays):
    """At its defaults, the paper's."""
    return answered(arrays, VICRegLoss())


def barlow_twins(arrays):
    """At its defaults, the paper's; divided by the width, as bouba's is."""
    return answered(arrays, BarlowTwinsLoss(), scale=1 / arrays["z"].shape[1])
