"""The temperature tau of a contrastive loss, fixed or trained."""

import math

import torch
from torch import nn

from bouba.errors import UsageError


class Temperature(nn.Module):
    """tau > 0, kept as logit_scale = -log tau so that a gradient step multiplies it.

    A trained logit scale is clamped to [1, 100] (Radford et al. 2021) by `after_step`, which the loop
    calls, and never decays (the loop decays matrices only).
    """

    def __init__(self, start: float = 0.07, *, trainable: bool = True, largest_scale: float = 100.0):
        if not 0 < start < math.inf:
            raise UsageError(f"temperature must be one finite number above 0, got {start}")
        super().__init__()
        self.largest = math.log(largest_scale)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(start)), requires_grad=trainable)

    def forward(self):
        return torch.exp(-self.logit_scale)

    def after_step(self) -> None:
        """Put a trained scale back into [1, 100]. A fixed one is the caller's choice and stays."""
        if self.logit_scale.requires_grad:
            with torch.no_grad():
                self.logit_scale.clamp_(0.0, self.largest)
