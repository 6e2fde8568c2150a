"""The network of pooled encoders; see towers/pooled.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data.several import parts_of
from bouba.towers.tower import Encoder


class PooledEncoder(Encoder):
    """Cells -> what the encoder prepares of each thing, and how many there are (B,) -> features (B, width).

    What is one number a thing is (B, things, 1), more than a row (B, things, ...), and a row (B, L * things): the first
    of each thing, then the second of each, so that rows can be padded at their end as all sequences are.

    Args:
        inner: reads single things. things: how many of a cell are read. hidden: of the attention; None for the mean.

    `vary` changes each thing by itself. A decoder gives back the first thing of a cell.
    """

    def __init__(self, inner: Encoder, things: int, hidden: int | None):
        super().__init__()
        self.inner, self.things = inner, things
        self.width, self.raw_width, self.lr_scale = self.inner.width, self.inner.raw_width, self.inner.lr_scale
        self.attention = (
            None
            if hidden is None
            else nn.Sequential(nn.Linear(self.width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))
        )

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        parts = [parts_of(cell)[: self.things] for cell in cells]
        number = torch.tensor([len(each) for each in parts])
        real = self._real(number)
        single = self.inner.prepare(list(chain.from_iterable(parts)))
        return {"number": number} | {name: _together(tensor, real) for name, tensor in single.items()}

    def _real(self, number: Tensor) -> Tensor:
        """bool (B, things), True on what is there; the first counts where a cell is missing."""
        return torch.arange(self.things, device=number.device) < number.clamp(min=1)[:, None]

    def _single(self, inputs: Inputs, which: Tensor) -> dict[str, Tensor]:
        """Inputs of cells -> of their things where `which` (B, things) is True, (N, ...) each."""
        return {name: _apart(tensor, which) for name, tensor in inputs.items() if name != "number"}

    def vary(self, inputs: Inputs) -> Inputs:
        real = self._real(inputs["number"])
        varied = self.inner.vary(self._single(inputs, real))
        return {"number": inputs["number"]} | {name: _together(tensor, real) for name, tensor in varied.items()}

    def is_cut(self, cells: Sequence) -> list[bool]:
        return [len(parts_of(c)) > self.things or any(self.inner.is_cut(list(parts_of(c)))) for c in cells]

    def raw(self, inputs: Inputs) -> Tensor:
        return self.inner.raw(self._single(inputs, self._first(inputs)))

    def shown(self, inputs: Inputs) -> Tensor:
        return self.inner.shown(self._single(inputs, self._first(inputs)))

    @property
    def raw_shape(self) -> tuple[int, ...]:
        return self.inner.raw_shape

    def restore(self, raw: np.ndarray) -> np.ndarray:
        return self.inner.restore(raw)

    def _first(self, inputs: Inputs) -> Tensor:
        return self._real(torch.ones_like(inputs["number"]))

    def forward(self, number: Tensor, **parts: Tensor) -> Tensor:
        real = self._real(number)
        single = self.inner(**self._single(parts, real))  # (N, F)
        features = single.new_zeros((*real.shape, single.shape[1])).index_put((real,), single)  # (B, things, F)
        if self.attention is None:
            return features.sum(1) / real.sum(1, keepdim=True)
        share = self.attention(features).squeeze(2).masked_fill(~real, -torch.inf).softmax(1)  # (B, things)
        return (share[:, :, None] * features).sum(1)


def _together(single: Tensor, real: Tensor) -> Tensor:
    """What is prepared of single things (N, ...) -> of cells, zeros where there is none; see PooledEncoder."""
    spread = single.new_zeros((*real.shape, *single.shape[1:])).index_put((real,), single)
    if single.dim() == 1:
        return spread[:, :, None]
    return spread.transpose(1, 2).flatten(1) if single.dim() == 2 else spread


def _apart(together: Tensor, which: Tensor) -> Tensor:
    """The inverse, of the things where `which` (B, things) is True."""
    if together.dim() == 3:
        return together[which].squeeze(1)
    if together.dim() == 2:
        return together.unflatten(1, (-1, which.shape[1])).transpose(1, 2)[which]
    return together[which]
