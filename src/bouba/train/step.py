"""One step of training: forward, backward, clip, update. It asks a GPU for much and waits for nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from bouba.batch import Batch
from bouba.towers.tower import Tower
from bouba.train.meter import Meter
from bouba.train.network import Network

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Schedule:
    """How to step: AdamW, linear warm-up then cosine to zero, gradients clipped.

    Args:
        epochs: passes over the source rows. lr: peak learning rate. weight_decay: on matrices only, never on
        biases, norms or temperatures. warmup: share of all steps. clip: largest gradient norm. patience: epochs
        without a better validation loss before stopping; None never stops. ema: decay in [0, 1) of the moving average
        of weights that is judged and kept; None keeps those of the last step.
    """

    epochs: int = 30
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 5.0
    patience: int | None = None
    ema: float | None = None

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the training done, in [0, 1]."""
        if progress < self.warmup:
            return self.lr * (progress / self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


def optimizer_for(network: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW that decays matrices only."""
    scales = {p: 1.0 for p in network.parameters() if p.requires_grad}
    for module in network.modules():
        scale = getattr(module, "lr_scale", 1.0)
        scales |= {p: scale for p in module.parameters() if p.requires_grad and scale != 1.0}
    decay = lambda p: schedule.weight_decay if p.dim() > 1 else 0.0  # noqa: E731
    kinds = list(dict.fromkeys((scale, decay(p)) for p, scale in scales.items()))
    groups = [
        {"params": [p for p, s in scales.items() if (s, decay(p)) == kind], "scale": kind[0], "weight_decay": kind[1]}
        for kind in kinds
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, fused=True)  # one pass over each matrix instead of five


@dataclass
class Stepping:
    """Steps of training, of which none waits for the device.

    Args:
        fabric: from `accelerator()`. model: the network as the processes share it. optimizer: of its weights.
    """

    fabric: Accelerator
    model: nn.Module
    network: Network
    optimizer: torch.optim.AdamW
    schedule: Schedule
    meter: Meter | None = None  # of the epoch under way

    def begin(self, sums: dict[str, float], counts: dict[str, int], *, epoch: int, step: int) -> None:
        """An epoch, or what is left of one after some steps, and of what they logged the sums and counts by name."""
        self.model.train()
        self.meter = Meter(sums, counts, terms=self.network.objective.names(), epoch=epoch, step=step)

    @cached_property
    def _parameters(self) -> list[nn.Parameter]:
        """Of the network, which are the same in each step; to list them takes as long as to clip them."""
        return list(self.model.parameters())

    @property
    def is_read(self) -> bool:
        """Whether all that was logged is looked at."""
        return self.meter is None or self.meter.is_read

    def read(self) -> None:
        """Look at all that was logged. BoubaError where a loss or a gradient is not finite."""
        if self.meter is not None:
            self.meter.read()

    def step(self, batch: Batch, *, length: float) -> None:
        """One step; one whose loss or gradient is not finite changes no weight.

        Args:
            batch: with its progress. length: of a step, as a share of the training.
        """
        assert self.meter is not None, "an epoch has begun"
        rate = self.schedule.rate(batch.progress + length / 2)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad()
        with self.fabric.autocast():
            loss, parts = self.model(batch)
        loss.backward()
        gradient = nn.utils.clip_grad_norm_(self._parameters, self.schedule.clip)
        infinite = self.meter.add(loss, gradient, parts)
        if infinite is not None:
            self.optimizer.found_inf = infinite  # type: ignore[attr-defined]  # a fused step looks at it on the device
        self.optimizer.step()
        self.network.after_step()


@contextmanager
def compiled(network: Network, *, wanted: bool) -> Iterator[None]:
    """Inside, the encoders and projections of towers are compiled, if that is wanted; saved weights are as without."""
    towers = [tower for tower in network.towers.values() if isinstance(tower, Tower)] if wanted else []
    parts = [part for tower in towers for part in (tower.encoder, tower.projection)]
    for part in parts:
        part.compile()
    try:
        yield
    finally:
        for part in parts:
            part._compiled_call_impl = None  # type: ignore[assignment]
