"""Weights averaged over training steps: steadier than those of the last step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


def share_kept(step: int, decay: float) -> float:
    """How much of an average stays at a step, from 0; the first steps count less, so that a short training does not
    keep what it started from.

    >>> share_kept(0, 0.99), share_kept(10_000, 0.99)
    (0.1, 0.99)
    """
    return min(decay, (1 + step) / (10 + step))


class MovingAverage(nn.Module):
    """An exponential average of a module's parameters, which the module can be run with.

        a <- d a + (1 - d) w   after every step,   d = min(decay, (1 + s) / (10 + s)) at step s

    The first steps count less, so that a short training does not keep what it started from. The averages are buffers:
    saved and resumed with the network, never stepped. The averaged module itself stays outside. What it keeps in
    buffers (BatchNorm's running statistics) the average has of its own, measured whenever it is run in training.

    Args:
        module: whose parameters; those that are frozen are not copied.
        decay: d in [0, 1); 0 follows the parameters.

    Reference: Polyak and Juditsky 1992 (averaging); Karras et al. 2018, Progressive Growing of GANs (of a generator);
    Grill et al. 2020, Bootstrap Your Own Latent (of towers).
    """

    steps: Tensor

    def __init__(self, module: nn.Module, decay: float):
        super().__init__()
        self.decay = decay
        parameters = self._of(module)
        self.names, self.kept = list(parameters), [name for name, _ in module.named_buffers()]
        device = next(iter(parameters.values())).device if parameters else None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=device))
        for number, parameter in enumerate(parameters.values()):
            self.register_buffer(f"average{number}", parameter.detach().clone())
        for number, (_, buffer) in enumerate(module.named_buffers()):
            self.register_buffer(f"kept{number}", buffer.clone())

    @staticmethod
    def _of(module: nn.Module) -> dict[str, Tensor]:
        """The parameters that are averaged."""
        return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}

    def _averages(self) -> list[Tensor]:
        return [self.get_buffer(f"average{number}") for number in range(len(self.names))]

    def _kept(self) -> list[Tensor]:
        return [self.get_buffer(f"kept{number}") for number in range(len(self.kept))]

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's parameters as they are now."""
        share = 1 - share_kept(int(self.steps), self.decay)
        for average, parameter in zip(self._averages(), self._of(module).values()):
            average.lerp_(parameter, share)
        self.steps += 1

    def run(self, module: nn.Module, *inputs: Any) -> Tensor:
        """What the module gives with the averaged parameters."""
        names = (*self.names, *self.kept)
        return functional_call(module, dict(zip(names, (*self._averages(), *self._kept()))), inputs)
