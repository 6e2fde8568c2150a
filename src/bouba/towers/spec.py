"""What describes an encoder before there is a network: plain values, and no torch.

An `EncoderSpec` is a small frozen description (`ConvNet(size=32)`): it prints, compares and saves as its own
constructor call. `spec.learn(cells)` looks at training cells and returns what must be known before a network can be
built (a vocabulary, a mean), as plain JSON. `spec.build(learned)` gives the `Encoder`, a torch module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bouba.declared import Declared
from bouba.errors import UsageError

if TYPE_CHECKING:
    from bouba.towers.cell_features import CellFeatures
    from bouba.towers.tower import Encoder, Tower

Learned = dict[str, Any]
"""JSON-able knowledge an encoder needs before it is built."""


class EncoderSpec(Declared, ABC):
    """Description of an encoder. Subclasses are frozen dataclasses and final."""

    kind: ClassVar[str]
    """The kind of modality it reads, one of bouba.data.kinds.KINDS."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names, in order, of the numbers that it was trained on before. None by default."""
        return ()

    def on(self, kind: str) -> EncoderSpec:
        """This description for a view of some kind. One that reads several kinds settles here on which it is.

        Raises:
            UsageError: it does not read that kind.
        """
        if kind != self.kind:
            raise UsageError(f"{type(self).__name__} reads {self.kind}")
        return self

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        """Vocabulary, mean and the like, from the training cells that are present. Nothing by default."""
        return {}

    @abstractmethod
    def build(self, learned: Learned) -> Encoder:
        """The network, freshly initialised, with its preprocessing."""

    def features(self, learned: Learned) -> CellFeatures | None:
        """What a frozen encoder makes of cells, where that takes no torch: the same numbers as the built network's.
        None, the default, where the network is to be built."""
        return None

    def start(self, encoder: Encoder) -> None:
        """Copy in pretrained weights. Called once before training, never on loading a saved model, which holds every
        weight itself. Nothing by default."""

    def start_tower(self, tower: Tower) -> None:
        """Copy pretrained weights into a whole tower, as `start` does; into its encoder by default."""
        self.start(tower.encoder)

    def surround(self, tower: Tower, learned: Learned) -> None:
        """Say which projection a tower has that was just made around this encoder, and whether it learns. As all others
        by default."""


@dataclass(frozen=True)
class SameAs:
    """The tower of another view, its weights shared: `{"caption": LSTM(), "wrong caption": SameAs("caption")}`.

    Args:
        view: whose tower; it must be of the same kind and have one of its own.
    """

    view: str
