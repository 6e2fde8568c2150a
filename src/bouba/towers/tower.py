"""Tower = encoder (raw cells -> features) + projection (features -> shared space).

An encoder comes in two forms: `EncoderSpec`, its description (towers/spec.py), and the `Encoder` that this builds, a
torch module that owns its preprocessing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.errors import UsageError
from bouba.nn.domain_norm import DomainStatistics
from bouba.nn.projection import Projection

if TYPE_CHECKING:
    from bouba.towers.portable import Portable


class Encoder(nn.Module, ABC):
    """A network that owns its preprocessing.

    `width` is the number of features it gives. `prepare` runs in the loader, on raw cells; `forward` takes
    what `prepare` gave, as keyword arguments, and returns features (B, width). `vary` changes inputs at random
    without changing what they mean; the loop calls it in training. `raw` is what a decoder must give back, and
    `restore` turns that into the view's own unit.
    Parameters that do not require a gradient are frozen: they are saved with the model, never stepped or checkpointed.
    """

    width: int
    raw_width: int = 0
    runs_network: bool = False
    """Whether `prepare` runs a network, which then stays in one process, on its device."""
    lr_scale: float = 1.0
    """Its learning rate as a share of everyone's; pretrained weights take small steps."""

    @abstractmethod
    def prepare(self, cells: Sequence) -> Inputs:
        """Raw cells -> named tensors, (len(cells), ...) each."""

    @property
    def prepares_apart(self) -> bool:
        """Whether `prepare` may run in other processes."""
        return not any(module.runs_network for module in self.modules() if isinstance(module, Encoder))

    def is_cut(self, cells: Sequence) -> list[bool]:
        """Whether each cell is longer than what it reads of it. Nothing is cut by default."""
        return [False] * len(cells)

    def vary(self, inputs: Inputs) -> Inputs:
        """What `prepare` gave -> the same, changed at random (crop, dropped words). Uses torch's generator."""
        return inputs

    def raw(self, inputs: Inputs) -> Tensor:
        """What `prepare` gave -> float (B, raw_width) of order 1, for a decoder to give back."""
        raise UsageError(f"{type(self).__name__} has no raw form that could be decoded")

    @property
    def masks(self) -> bool:
        """Whether `masked` can hide a part of its inputs. Not by default."""
        return False

    def masked(self, inputs: Inputs, share: float) -> tuple[Inputs, Tensor]:
        """What `prepare` gave -> the same with a share of its patches blank, drawn for each row by torch's generator;
        and bool (B, raw_width), True on the numbers of `raw` that are hidden by that."""
        raise UsageError(f"{type(self).__name__} cannot hide a part of its inputs")

    def portable(self) -> Portable:
        """The same for programs without bouba. UsageError, the default, where they cannot run it, with the reason."""
        raise UsageError(f"{type(self).__name__} is not described for other programs")

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """The shape of one row of `raw`, whose product is raw_width: (channels, height, width) for pictures."""
        return (self.raw_width,)

    def restore(self, raw: np.ndarray) -> np.ndarray:
        """What a decoder gave, float (B, raw_width) -> (B, ...) in the view's own unit; `raw` as it is by default."""
        return raw

    def shown(self, inputs: Inputs) -> Tensor:
        """The cells themselves in the form of `restore`, with nothing left out that `raw` leaves out."""
        return torch.from_numpy(self.restore(self.raw(inputs).float().cpu().numpy()))


class Tower(nn.Module):
    """One view's way into the shared space: inputs -> z (B, dim).

    Where the encoder has BatchNorm, rows of different domains pass apart: in training each is normalised by its
    own batch, since a mixed batch would separate the domains; afterwards by its own measured statistics. Not so
    where `domains` is 0.
    """

    def __init__(self, encoder: Encoder, dim: int, *, hidden: int | None = None, domains: int = 0):
        super().__init__()
        self.encoder = encoder
        self.projection = Projection(encoder.width, dim, hidden=hidden)
        self.statistics = DomainStatistics(encoder if domains else nn.Identity(), domains)
        self.dim = dim

    def forward(self, inputs: Inputs, domain: Tensor | None = None) -> Tensor:
        """z (B, dim). `domain` (B,) holds codes, -1 where it is unknown."""
        return self.projection(self.features(inputs, domain))

    def features(self, inputs: Inputs, domain: Tensor | None = None) -> Tensor:
        """What the encoder gives, before the projection, (B, width)."""
        if domain is None or not self.statistics:
            return self.encoder(**inputs)
        features = None
        for code in domain.unique().tolist():
            rows = (domain == code).nonzero(as_tuple=True)[0]
            with nullcontext() if self.training else self.statistics.of(code):
                part = self.encoder(**{name: tensor[rows] for name, tensor in inputs.items()})
            if len(rows) == len(domain):
                return part
            features = part.new_zeros((len(domain), part.shape[1])) if features is None else features
            features = features.index_put((rows,), part)
        assert features is not None, "a batch has a row"
        return features


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Sequences of different lengths (L_i,) -> (B, max L), padded with 0 at the end."""
    out = torch.zeros(len(tensors), max((len(t) for t in tensors), default=0), dtype=torch.int64)
    for row, tensor in zip(out, tensors, strict=True):
        row[: len(tensor)] = tensor
    return out
