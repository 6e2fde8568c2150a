"""Weights averaged over the steps of a training, kept in place of those of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bouba.nn.moving_average import share_kept
from bouba.train.checkpoint import changing


class WeightAverage:
    """An exponential moving average of all that training changes in a network: weights, statistics of BatchNorm.

        a <- d a + (1 - d) w   after step s = 0, 1, ...,   d = min(decay, (1 + s) / (10 + s))

    What is no floating number (a count) is taken as it is.

    Args:
        network: whose numbers, where it is trained. decay: d in [0, 1).

    Attributes: `values`, name -> the average so far; a checkpoint holds them.

    Reference: Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; Tarvainen and Valpola
    2017, Mean teachers are better role models, section 2. Departure: the first steps count less.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.current = changing(network)  # which the optimiser changes in place
        self.values = {name: tensor.clone() for name, tensor in self.current.items()}
        self._smooth = [name for name, tensor in self.current.items() if tensor.is_floating_point()]
        self._counted = [name for name in self.current if name not in set(self._smooth)]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the numbers after a step, from 0."""
        averages = [self.values[name] for name in self._smooth]
        share = 1 - share_kept(step, self.decay)
        torch._foreach_lerp_(averages, [self.current[name] for name in self._smooth], share)
        for name in self._counted:
            self.values[name].copy_(self.current[name])

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Inside, the network has the averaged numbers; afterwards its own again."""
        own = {name: tensor.clone() for name, tensor in self.current.items()}
        for name, tensor in self.current.items():
            tensor.copy_(self.values[name])
        try:
            yield
        finally:
            for name, tensor in self.current.items():
                tensor.copy_(own[name])
