"""Frozen encoders in front of a closed form: cells of a view -> unit features, as they were when it was fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.align.features import Features
from bouba.data.several import parts_of
from bouba.device import device_named
from bouba.errors import UsageError
from bouba.towers import EncoderSpec, SameAs

if TYPE_CHECKING:
    from bouba.towers.frozen import Frozen

LEAST = 1e-6  # length below which a row of features has no direction


@dataclass(frozen=True)
class Encoded(Features):
    """Features of length one of a frozen encoder, of several things in a cell their mean; a row without a
    direction stays as it is.

    Args:
        spec: of the encoder. learned: what it learnt from training cells.
        weights: of its network, by name; empty where a package holds them.
    """

    spec: EncoderSpec
    learned: dict[str, Any]
    weights: dict[str, np.ndarray]

    @classmethod
    def of(cls, view: str, towers: Mapping[str, EncoderSpec | SameAs], kind: str, cells: Sequence) -> Encoded:
        """The encoder that is named for a view, or for the view that it is the same as.

        Args:
            cells: of the view, of a kind, none missing.

        Raises:
            UsageError: an encoder of another kind, or one that is not frozen.
        """
        from bouba.towers.frozen import Frozen
        from bouba.towers.pooled import Pooled

        named = towers[view]
        spec = (towers[named.view] if isinstance(named, SameAs) else named).on(kind)  # type: ignore[union-attr]
        spec = spec.inner if isinstance(spec, Pooled) and spec.pool == "mean" else spec
        cells = list(chain.from_iterable(map(parts_of, cells)))
        learned = spec.learn(cells)
        encoder = spec.build(learned)
        if not isinstance(encoder, Frozen):
            raise UsageError(
                f"{spec!r:.80} has to be trained, and a closed form trains none; give Packaged(...) or "
                "Pretrained(...), which are frozen, or train it with CLIP"
            )
        spec.start(encoder)
        weights = {name: tensor.cpu().numpy() for name, tensor in encoder.inner.state_dict().items()}
        return cls(spec, learned, weights)

    def __call__(self, cells: Sequence) -> np.ndarray:
        parts = [parts_of(cell) for cell in cells]
        starts = np.cumsum([0, *map(len, parts)])[:-1]
        features = self.reader(list(chain.from_iterable(parts))).astype(np.float64)
        features = np.add.reduceat(features, starts) / np.array([len(each) for each in parts])[:, None]
        length = np.linalg.norm(features, axis=1, keepdims=True)
        return features / np.where(length > LEAST, length, 1)

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which is built again."""
        return {name: value for name, value in vars(self).items() if name != "encoder"}

    @cached_property
    def reader(self) -> Callable[[Sequence], np.ndarray]:
        """What gives the features of cells: of the network, which is built where it takes torch to read."""
        return self.spec.features(self.learned) or self._network_features

    def _network_features(self, cells: Sequence) -> np.ndarray:
        self.encoder.inner.to(device_named())
        return self.encoder.features(cells)

    @cached_property
    def encoder(self) -> Frozen:
        """The network, built."""
        import torch

        encoder: Any = self.spec.build(self.learned)
        encoder.inner.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in self.weights.items()})
        return encoder
