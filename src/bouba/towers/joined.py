"""Several frozen encoders that read the same cells, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bouba.errors import UsageError
from bouba.towers.spec import EncoderSpec, Learned

if TYPE_CHECKING:
    from bouba.towers.frozen import Frozen
    from bouba.towers.tower import Encoder


@dataclass(frozen=True)
class Joined(EncoderSpec):
    """Several frozen encoders of one kind, the features of each with length one, side by side.

    What one network overlooks another may see: EfficientNet-lite0 takes the dogs of one emoji style for horses, and
    with lite2 they are found. Reading takes the sum of their times; each keeps its own features on disk.

    Args:
        encoders: two or more, frozen, of one kind: `(Packaged("efficientnet-lite0"), Packaged("efficientnet-lite2"))`.

    Raises:
        UsageError: fewer than two, of several kinds, or one that has to be trained.
    """

    encoders: tuple[EncoderSpec, ...]

    def __post_init__(self) -> None:
        if len(self.encoders) < 2 or not all(isinstance(spec, EncoderSpec) for spec in self.encoders):
            raise UsageError(f"Joined takes two encoders or more, got {self.encoders!r:.80}")
        if len({spec.kind for spec in self.encoders if spec.kind}) > 1:
            raise UsageError(
                f"joined encoders read one kind, got {', '.join(str(spec.kind) for spec in self.encoders)}"
            )

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.encoders[0].kind

    def on(self, kind: str) -> Joined:
        return replace(self, encoders=tuple(spec.on(kind) for spec in self.encoders))

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        facts: Learned = {"parts": [spec.learn(cells, random_state=random_state) for spec in self.encoders]}
        encoder = self.build(facts)
        self.start(encoder)
        return facts | {"moments": encoder.measured(cells, random_state)}

    def build(self, learned: Learned) -> Frozen:
        from bouba.towers.frozen import Frozen
        from bouba.towers.joined_network import JoinedEncoder

        parts = [spec.build(facts) for spec, facts in zip(self.encoders, learned["parts"], strict=True)]
        frozen = [part for part in parts if isinstance(part, Frozen)]
        if len(frozen) < len(parts):
            raise UsageError("joined encoders are frozen ones; give Packaged(...) or Pretrained(...)")
        return Frozen(JoinedEncoder(frozen), self.kind, {}, moments=learned.get("moments"), cache=False)

    def start(self, encoder: Encoder) -> None:
        for spec, part in zip(self.encoders, encoder.inner.parts, strict=True):  # type: ignore[union-attr, arg-type]
            spec.start(part)
