"""Vector encoder: an MLP on standardised numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data import decode
from bouba.data.augment import refuse_share
from bouba.errors import DataError, UsageError
from bouba.nn.patches import hidden_patches
from bouba.towers.portable import Port, Portable
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder


class VectorEncoder(Encoder):
    """Vectors (d,) -> float32 (B, d) -> features (B, width)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: MLP, learned: Learned):
        super().__init__()
        self.noise, self.mask = spec.noise, spec.mask
        self.register_buffer("mean", torch.tensor(learned["mean"]))
        self.register_buffer("scale", torch.tensor(learned["scale"]))
        self.raw_width = len(learned["mean"])
        self.layers = fully_connected(self.raw_width, spec.hidden, spec.dropout)
        self.width = spec.hidden[-1] if spec.hidden else self.raw_width

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        record = next((cell for cell in cells if isinstance(cell, Mapping)), None)
        if record is not None:
            raise DataError(
                f"vectors are needed, got rows of a table with {', '.join(record)}, some of them blank; read them with "
                "vector=[names], which lists the rows that lack a number, or train on such a table"
            )
        values = np.stack([decode.vector(cell) for cell in cells])
        if values.shape[1] != len(self.mean):
            raise DataError(f"vectors are {values.shape[1]} wide, the model was trained on {len(self.mean)}")
        return {"values": torch.from_numpy(values)}

    def vary(self, inputs: Inputs) -> Inputs:
        values = inputs["values"]
        if self.mask:
            others = torch.rand_like(values).argsort(0)  # a permutation of the rows for each column
            values = values.gather(0, others).where(torch.rand_like(values) < self.mask, values)
        if self.noise:
            values = values + self.noise * self.scale * torch.randn_like(values)
        return {"values": values}

    @property
    def masks(self) -> bool:
        return True

    def masked(self, inputs: Inputs, share: float) -> tuple[Inputs, Tensor]:
        hidden = hidden_patches(len(inputs["values"]), self.raw_width, share, inputs["values"].device)
        return {"values": torch.where(hidden, self.mean, inputs["values"])}, hidden

    def raw(self, inputs: Inputs) -> Tensor:
        return (inputs["values"] - self.mean) / self.scale

    def restore(self, raw: np.ndarray) -> np.ndarray:
        """Numbers in their own unit, (B, d)."""
        return raw * self.scale.cpu().numpy() + self.mean.cpu().numpy()

    def portable(self) -> Portable:
        preparation = {"how": "numbers", "width": self.raw_width, "standardisation": "in the graph"}
        return Portable(self, {"values": Port("float32", (self.raw_width,))}, preparation)

    def forward(self, values: Tensor) -> Tensor:
        return self.layers((values - self.mean) / self.scale)


def fully_connected(inside: int, hidden: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear, LayerNorm, GELU and dropout for each width in `hidden`."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inside, *hidden]):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class MLP(EncoderSpec):
    """Standardised numbers through fully connected layers. With `hidden=()` the features are the numbers themselves,
    so the tower is one linear projection (contrastive learning on ready features).

    Args:
        hidden: widths of the layers.
        dropout: probability of dropping a hidden unit while training.
        noise: standard deviation of Gaussian noise added while training, in standard deviations of each number.
        mask: probability in [0, 1) that a number is replaced, while training, by the same number of a random row.

    Reference: Bahri et al. 2022, SCARF (`mask`: their corruption; departure: the other row is drawn from the batch, and
    each number is replaced by a coin of its own instead of a fixed count of them).
    """

    kind: ClassVar[str] = "vector"

    hidden: tuple[int, ...] = (256,)
    dropout: float = 0.1
    noise: float = 0.0
    mask: float = 0.0

    def __post_init__(self) -> None:
        refuse_share("mask", self.mask)
        if self.noise < 0:
            raise UsageError(f"noise is a standard deviation, 0 or more, got {self.noise}")

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        values = np.stack([np.asarray(cell, np.float64) for cell in cells])
        mean, scale = values.mean(0), values.std(0)
        constant = scale <= np.maximum(1e-12, 8 * np.finfo(float).eps * np.abs(mean))  # no more than rounding
        return {"mean": mean.tolist(), "scale": np.where(constant, 1.0, scale).tolist()}

    def build(self, learned: Learned) -> VectorEncoder:
        return VectorEncoder(self, learned)
