"""What steps log: it stays on the device and is fetched now and then, for several steps at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from bouba.device import waits
from bouba.errors import BoubaError
from bouba.terms.term import Parts

STEPS = 32
"""After so many, on a device that has to be waited for, numbers are fetched and looked at; on a CPU after each."""
LOSS, GRADIENT = "loss", "gradient"


class Meter:
    """Sums of what the steps of an epoch log, and a look at whether they are finite.

    Args:
        sums, counts: of what is fetched, by name; a number that is NaN, which says nothing, is not counted.
        terms: names of those whose values tell where a loss that is not finite comes from.
    """

    def __init__(self, sums: dict[str, float], counts: dict[str, int], *, terms: Iterable[str], epoch: int, step: int):
        self.sums, self.counts, self.terms = sums, counts, set(terms)
        self.epoch, self.step = epoch, step
        self._waiting: list[
            tuple[dict[str, float | None], Tensor]
        ] = []  # of each step, numbers by name; None in the tensor

    @property
    def is_read(self) -> bool:
        """Whether nothing waits to be fetched."""
        return not self._waiting

    @torch.no_grad()
    def add(self, loss: Tensor, gradient: Tensor, parts: Parts) -> Tensor | None:
        """Note a step; every so often all are read.

        Args:
            loss: of the step. gradient: its norm. parts: what terms log.

        Returns:
            float32 (), 1 where loss or gradient is not finite, else 0, on their device; None where it was looked at.

        Raises:
            BoubaError: it was looked at, and something is not finite.
        """
        numbers: dict[str, Any] = {LOSS: loss, GRADIENT: gradient, **parts}
        if not waits(loss.device):
            self._count({name: float(number) for name, number in numbers.items()})
            return None
        on_device = [number for number in numbers.values() if isinstance(number, Tensor)]
        vector = torch.stack([number.to(loss.device).reshape(()) for number in on_device])
        at_hand = {name: None if isinstance(number, Tensor) else float(number) for name, number in numbers.items()}
        self._waiting.append((at_hand, vector))
        if len(self._waiting) >= STEPS:
            self.read()
        return (~torch.isfinite(vector[:2].sum())).float()

    def read(self) -> None:
        """Fetch what waits. BoubaError naming the first step with a loss or a gradient that is not finite."""
        waiting, self._waiting = self._waiting, []
        values = iter(torch.cat([vector for _, vector in waiting]).cpu().tolist() if waiting else ())
        for at_hand, _ in waiting:
            self._count({name: next(values) if number is None else number for name, number in at_hand.items()})

    def _count(self, step: dict[str, float]) -> None:
        """Add up a step, by name. BoubaError where it is not finite."""
        self.step += 1
        self._refuse_infinite(step)
        del step[GRADIENT]
        for name, value in step.items():
            if not math.isnan(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def _refuse_infinite(self, step: Mapping[str, float]) -> None:
        what = next((name for name in (LOSS, GRADIENT) if not math.isfinite(step[name])), None)
        if what is None:
            return
        terms = ", ".join(f"{name} = {value:g}" for name, value in step.items() if name in self.terms)
        raise BoubaError(
            f"the {what} is {step[what]} in step {self.step} of epoch {self.epoch} ({terms}); "
            "lower lr or check the inputs"
        )
