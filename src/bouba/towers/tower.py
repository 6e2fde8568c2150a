"""Tower = encoder (raw cells -> features) + projection (features -> shared space).

An encoder comes in two forms. `EncoderSpec` is a small frozen description (`ConvNet(size=32)`): it prints,
compares and saves as its own constructor call. `spec.learn(cells)` looks at training cells and returns what
must be known before a network can be built (a vocabulary, a mean), as plain JSON. `spec.build(learned)` gives
the `Encoder`, a torch module that owns its preprocessing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.nn.projection import Projection

Learned = dict[str, Any]
"""JSON-able knowledge an encoder needs before it is built."""


class EncoderSpec(ABC):
    """Description of an encoder. Subclasses are frozen dataclasses and final."""

    kind: ClassVar[str]
    """The kind of modality it reads, one of bouba.data.views.KINDS."""

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        """Vocabulary, mean and the like, from the training cells that are present. Nothing by default."""
        return {}

    @abstractmethod
    def build(self, learned: Learned) -> Encoder:
        """The network, freshly initialised, with its preprocessing."""


class Encoder(nn.Module, ABC):
    """A network that owns its preprocessing.

    `width` is the number of features it gives. `prepare` runs in the loader, on raw cells; `forward` takes
    what `prepare` gave, as keyword arguments, and returns features (B, width).
    """

    width: int

    @abstractmethod
    def prepare(self, cells: Sequence) -> Inputs:
        """Raw cells -> named tensors, (len(cells), ...) each."""


class Tower(nn.Module):
    """One view's way into the shared space: inputs -> z (B, dim)."""

    def __init__(self, encoder: Encoder, dim: int, *, hidden: int | None = None):
        super().__init__()
        self.encoder = encoder
        self.projection = Projection(encoder.width, dim, hidden=hidden)
        self.dim = dim
        self.apart = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in encoder.modules())

    def forward(self, inputs: Inputs, domain: Tensor | None = None) -> Tensor:
        """z (B, dim). In training, rows of different domains pass apart where there is BatchNorm.

        Statistics of a mixed batch would tell the domains apart, and are those of no domain seen later.
        """
        if not (self.training and self.apart and domain is not None):
            return self.projection(self.encoder(**inputs))
        features = None
        for code in domain.unique():
            rows = domain == code
            some = self.encoder(**{name: tensor[rows] for name, tensor in inputs.items()})
            features = some.new_zeros((len(rows), some.shape[1])) if features is None else features
            features = features.index_put((rows.nonzero(as_tuple=True)[0],), some)
        assert features is not None
        return self.projection(features)


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Sequences of different lengths (L_i,) -> (B, max L), padded with 0 at the end."""
    out = torch.zeros(len(tensors), max((len(t) for t in tensors), default=0), dtype=torch.int64)
    for row, tensor in zip(out, tensors, strict=True):
        row[: len(tensor)] = tensor
    return out
