"""Several pictures, texts or sounds in one cell: one encoder reads each, and what it gives is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bouba.data.several import KINDS_OF_SEVERAL, parts_of
from bouba.errors import UsageError, nearest
from bouba.towers.spec import EncoderSpec, Learned

if TYPE_CHECKING:
    from bouba.towers.pooled_network import PooledEncoder
    from bouba.towers.tower import Encoder

POOLS = ("mean", "attention")


@dataclass(frozen=True)
class Pooled(EncoderSpec):
    """Cells of several things, in no order: each through one encoder, then pooled.

        mean         f = 1/n sum_t f_t
        attention    f = sum_t a_t f_t,   a = softmax over t of w' tanh(V f_t)

    Views whose cells are `Several` are read so without being told, whichever encoder is named for them. A clip, whose
    pictures have an order, is for `Frames`.

    Args:
        inner: encoder of single pictures, texts or sounds; a pretrained and frozen one is run once a thing.
        pool: "mean", which has no parameters, or "attention", which learns what to look at.
        most: things that are read of a cell; those after are left out.
        width: of the attention's hidden layer.

    Raises:
        UsageError: no such pool, an encoder of another kind, most or width below 1.

    Reference: Zaheer et al. 2017, Deep Sets (mean); Ilse et al. 2018, Attention-based Deep Multiple Instance Learning,
    equation 8.

    >>> from bouba.data import Several
    >>> from bouba.towers import NGrams
    >>> pooled = Pooled(NGrams()).on("text")
    >>> encoder = pooled.build(pooled.learn(["a red one", Several(["red", "small"])]))
    >>> encoder(**encoder.prepare(["red", Several(["red", "red"])])).std(dim=0).max().item() < 1e-6
    True
    """

    inner: EncoderSpec
    pool: str = "mean"
    most: int = 8
    width: int = 64

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise UsageError(f"no pool {self.pool!r}{nearest(str(self.pool), POOLS)}")
        if self.most < 1 or self.width < 1:
            raise UsageError(f"most and width are 1 or more, got {self.most} and {self.width}")
        if isinstance(self.inner, Pooled):
            raise UsageError("Pooled takes an encoder of single things, got another Pooled")

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.inner.kind

    def on(self, kind: str) -> Pooled:
        if kind not in KINDS_OF_SEVERAL:
            raise UsageError(f"Pooled reads {', '.join(KINDS_OF_SEVERAL)}")
        return replace(self, inner=self.inner.on(kind))

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        parts = [parts_of(cell)[: self.most] for cell in cells]
        inner = self.inner.learn([part for each in parts for part in each], random_state=random_state)
        return {"inner": inner, "things": max(map(len, parts), default=1)}

    def build(self, learned: Learned) -> PooledEncoder:
        from bouba.towers.pooled_network import PooledEncoder

        inner = self.inner.build(learned["inner"])
        return PooledEncoder(inner, int(learned["things"]), self.width if self.pool == "attention" else None)

    def start(self, encoder: Encoder) -> None:
        self.inner.start(encoder.inner)  # type: ignore[arg-type]
