"""Weights averaged over training steps: steadier than those of the last step."""

from __future__ import annotations

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
    saved and resumed with the network, never stepped. The averaged module itself stays outside.

    Args:
        module: whose parameters; it must have no buffers that change (BatchNorm).
        decay: d in [0, 1); 0 follows the parameters.

    Reference: Polyak and Juditsky 1992 (averaging); Karras et al. 2018, Progressive Growing of GANs (of a generator).
    """

    steps: Tensor

    def __init__(self, module: nn.Module, decay: float):
        super().__init__()
        self.decay = decay
        self.names = [name for name, _ in module.named_parameters()]
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for number, parameter in enumerate(module.parameters()):
            self.register_buffer(f"average{number}", parameter.detach().clone())

    def _averages(self) -> list[Tensor]:
        return [self.get_buffer(f"average{number}") for number in range(len(self.names))]

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's parameters as they are now."""
        rate = share_kept(int(self.steps), self.decay)
        for average, parameter in zip(self._averages(), module.parameters()):
            average.lerp_(parameter, 1 - rate)
        self.steps += 1

    def run(self, module: nn.Module, *inputs: Tensor) -> Tensor:
        """What the module gives with the averaged parameters."""
        return functional_call(module, dict(zip(self.names, self._averages())), inputs)
