"""A tower that was trained for one task, as the start of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.evaluation.abilities import HasTowers
from bouba.nn.projection import Projection
from bouba.towers import Encoder, EncoderSpec, SameAs
from bouba.towers.spec import Learned


@dataclass(frozen=True)
class Trained(EncoderSpec):
    """The tower of a fitted model, its projection to the shared space included; make it by `Trained.of(model, view)`.

        features(x) = P(f(x)),    f and P starting from the weights of the model

    Use it wherever a tower is expected: FusionClassifier({"photo": Trained.of(model, "photo")}). Its weights are saved
    with the new model, which then needs the old one no more; to fit a loaded one again, make it again. A tower that is
    `SameAs` another is copied as it is.

    Args:
        tower: its description. width: of its embedding.
        train: step its weights too; False keeps them, and BatchNorm's statistics, as they are (a linear probe).
        lr_scale: its learning rate as a share of everyone's.

    Raises:
        UsageError: a learning rate of 0 or less; on fitting, one that was not made by `of`.
    """

    tower: EncoderSpec
    width: int
    train: bool = True
    lr_scale: float = 0.3
    _learned: Learned | None = field(default=None, init=False, repr=False, compare=False)
    _weights: Mapping[str, Tensor] | None = field(default=None, init=False, repr=False, compare=False)
    _columns: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.lr_scale > 0:
            raise UsageError(
                f"lr_scale must be above 0, got {self.lr_scale}; train=False keeps the weights as they are"
            )

    @classmethod
    def of(
        cls, model: Any, view: str, *, train: bool = True, lr_scale: float = 0.3, domain: str | None = None
    ) -> Trained:
        """The tower of one view of a fitted model.

        Args:
            domain: take BatchNorm's statistics that were measured of this domain; when None those of the only domain
                of the model, or, where it has several, the running ones, which belong to none of them.

        Raises:
            ModalityError: the model has no such view. UsageError: it has no towers. DataError: no such domain.
        """
        if not isinstance(model, HasTowers):
            raise UsageError(f"{type(model).__name__} has no towers, or is not fitted")
        specs = model.specs_
        if view not in specs:
            raise ModalityError(f"the model has no view {view!r}{nearest(view, specs)}")
        owner = specs[view].view if isinstance(specs[view], SameAs) else view
        tower = model.module_.towers[owner]
        spec = cls(specs[owner], tower.dim, train, lr_scale)
        domains = model.codes_.domains
        if domain is not None and domain not in domains:
            raise DataError(f"the model knows no domain {domain!r}{nearest(domain, domains)}")
        domain = domain if domain is not None or len(domains) != 1 else domains[0]
        with tower.statistics.of(-1 if domain is None else domains.index(domain)):
            weights = {name: tensor.detach().cpu().clone() for name, tensor in tower.state_dict().items()}
        object.__setattr__(spec, "_learned", model.learned_[owner])
        schema = getattr(model, "schema_", None)  # models of before kept none
        object.__setattr__(spec, "_columns", () if schema is None else tuple(schema.columns.get(view, ())))
        object.__setattr__(spec, "_weights", {n: t for n, t in weights.items() if not n.startswith("statistics.")})
        return spec

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What its tower reads."""
        return self.tower.kind

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    def on(self, kind: str) -> Trained:
        self.tower.on(kind)  # refuses another
        return self

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return self._contents()[0]

    def build(self, learned: Learned) -> TrainedEncoder:
        return TrainedEncoder(self.tower.build(learned), self.width, train=self.train, lr_scale=self.lr_scale)

    def start(self, encoder: Encoder) -> None:
        encoder.load_state_dict(dict(self._contents()[1]))

    def _contents(self) -> tuple[Learned, Mapping[str, Tensor]]:
        if self._learned is None or self._weights is None:
            raise UsageError("Trained holds no weights any more; make it again: Trained.of(model, view)")
        return self._learned, self._weights


class TrainedEncoder(Encoder):
    """An encoder and the projection behind it; kept as they are unless `train`."""

    def __init__(self, encoder: Encoder, width: int, *, train: bool, lr_scale: float):
        super().__init__()
        self.encoder, self.projection = encoder, Projection(encoder.width, width)
        self.width, self.raw_width = width, encoder.raw_width
        self.lr_scale = lr_scale * encoder.lr_scale
        self.learns = train
        if not train:
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> TrainedEncoder:
        """Training mode, which it takes only if it learns: else dropout and BatchNorm would change what it gives."""
        nn.Module.train(self, mode and self.learns)
        return self

    def prepare(self, cells: Sequence) -> Inputs:
        return self.encoder.prepare(cells)

    def vary(self, inputs: Inputs) -> Inputs:
        return self.encoder.vary(inputs)

    def raw(self, inputs: Inputs) -> Tensor:
        return self.encoder.raw(inputs)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        return self.encoder.raw_shape

    def restore(self, raw: np.ndarray) -> np.ndarray:
        return self.encoder.restore(raw)

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.projection(self.encoder(**inputs))
