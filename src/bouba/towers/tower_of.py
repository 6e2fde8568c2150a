"""Towers that begin as those of another model of bouba's, locked or trained on: `TowerOf("runs/simclr")`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba import persist
from bouba.errors import DataError, UsageError, nearest
from bouba.towers.spec import EncoderSpec, Learned, SameAs

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.towers.tower import Encoder, Tower

WAYS = ("frozen", "finetune")
HEADS = ("new", "frozen", "finetune")


@dataclass(frozen=True)
class TowerOf(EncoderSpec):
    """The tower of one view of a model that was saved, whatever its kind: locked, or trained on.

    With train="frozen" the tower is locked while others learn (LiT): each cell passes it once, and its features are
    kept on disk, as those of Pretrained and Packaged. What is behind it is up to `head`:

        head="new"       a projection is learnt: all of the tower is locked but its head
        head="frozen"    all is locked: embeddings are those of the source, and other views learn to lie among them
        head="finetune"  the projection begins as the source's, and learns

    Lock a tower where its view was learnt from more rows than there are pairs, and give head="frozen" where a new view
    shall join a space that is there already. The saved model holds the weights; it loads where the source is not. Rows
    of the source's domains are read as rows of no domain.

    Args:
        source: a run folder or model folder of a trained method.
        view: whose tower; None for the only one that reads the kind of this view.
        train: "frozen" or "finetune".
        head: "new", "frozen" or "finetune"; the latter two keep the source's `dim`.
        lr_scale: share of the learning rate of what is fine-tuned.
        kind: of what it reads; None settles it by the view.
        cache: keep features of a frozen tower on disk, in $BOUBA_CACHE or ~/.cache/bouba.

    Raises:
        UsageError: arguments that do not fit together; on fitting, no such view, or another `dim` than the source's.
            DataError: on fitting, no such model, or one without towers.

    Reference: Zhai et al. 2022, LiT: Zero-Shot Transfer with Locked-image text Tuning, section 3.

    >>> TowerOf("runs/simclr", view="photo", head="frozen").train
    'frozen'
    """

    source: str
    _: KW_ONLY
    view: str | None = None
    train: str = "frozen"
    head: str = "new"
    lr_scale: float = 0.1
    kind: str | None = None  # type: ignore[assignment, misc]
    cache: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", os.fspath(self.source))
        for name, choices in (("train", WAYS), ("head", HEADS)):
            if getattr(self, name) not in choices:
                raise UsageError(f"no {name}={getattr(self, name)!r}{nearest(getattr(self, name), choices)}")
        if self.train == "finetune" and self.head == "frozen":
            raise UsageError("a locked head reads what its own tower gives; take train='frozen' with head='frozen'")
        if not self.lr_scale > 0:
            raise UsageError(f"lr_scale is a share above 0, got {self.lr_scale}")

    def on(self, kind: str) -> TowerOf:
        facts = self._facts()
        views = [view for view, own in facts["kinds"].items() if own == kind]
        if self.view is not None and self.view not in facts["kinds"]:
            raise UsageError(f"{self.source} has no view {self.view!r}{nearest(self.view, facts['kinds'])}")
        if self.view is not None and self.view not in views:
            raise UsageError(f"{self.view!r} of {self.source} reads {facts['kinds'][self.view]}")
        if self.view is None and len(views) != 1:
            owned = ", ".join(f"{view} ({own})" for view, own in facts["kinds"].items())
            raise UsageError(f"TowerOf({self.source!r}) needs view=..., one of {owned}")
        return replace(self, view=self.view or views[0], kind=kind)

    def _facts(self) -> dict[str, Any]:
        """What model.json of the source holds. DataError where it has no towers."""
        facts, _ = persist.read_model(Path(self.source))
        if not isinstance(facts.get("specs"), dict) or not isinstance(facts.get("kinds"), dict):
            raise DataError(f"{self.source} is a model without trained towers; give one of CLIP, SimCLR or their kin")
        return facts

    @property
    def columns(self) -> tuple[str, ...]:
        schema = self._facts().get("schema")
        return tuple(schema["columns"].get(self.view, ())) if schema and self.kind == "vector" else ()

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        from bouba.nn.projection import Projection
        from bouba.towers.text import with_form

        if self.view is None:
            raise UsageError(f"TowerOf({self.source!r}) must know its kind; call .on('image') or give view=")
        facts = self._facts()
        spec = persist.rebuild(facts["specs"][self.view])
        owner = spec.view if isinstance(spec, SameAs) else self.view
        described = facts["specs"][owner]
        learned: Learned = {
            "spec": described,
            "learned": with_form(facts["learned"][owner], persist.rebuild(described)),
            "hidden": Projection.hidden_of(self._weights("projection.")),
        }
        if self.train == "frozen" and self.head == "new":
            encoder: Any = self.build(learned)
            self.start(encoder)
            learned["moments"] = encoder.measured(cells, random_state)
        return learned

    def build(self, learned: Learned) -> Encoder:
        from bouba.towers.frozen import Frozen

        inner = persist.rebuild(learned["spec"]).build(learned["learned"])
        if self.train == "finetune":
            inner.lr_scale *= self.lr_scale
            return inner
        cache = self.cache and not isinstance(inner, Frozen)  # which keeps its own
        facts = {"spec": learned["spec"], "learned": learned["learned"]}
        return Frozen(inner, str(self.kind), facts, moments=learned.get("moments"), cache=cache)

    def surround(self, tower: Tower, learned: Learned) -> None:
        from bouba.nn.projection import Projection

        if self.head != "new" and learned["hidden"] is not None:
            tower.projection = Projection(tower.encoder.width, tower.dim, hidden=learned["hidden"])
        if self.head == "frozen":
            tower.projection.requires_grad_(False)
        elif self.head == "finetune":
            tower.projection.lr_scale = self.lr_scale

    def start(self, encoder: Encoder) -> None:
        inner: Any = encoder if self.train == "finetune" else encoder.inner
        inner.load_state_dict(self._weights("encoder."))

    def start_tower(self, tower: Tower) -> None:
        super().start_tower(tower)
        if self.head == "new":
            return
        weights = self._weights("projection.")
        shapes = {name: tensor.shape for name, tensor in tower.projection.state_dict().items()}
        if {name: tensor.shape for name, tensor in weights.items()} != shapes:
            dim = len(next(iter(weights.values())))
            raise UsageError(f"the head of {self.view!r} in {self.source} gives {dim} numbers; say dim={dim}")
        tower.projection.load_state_dict(weights)

    def _weights(self, part: str) -> Mapping[str, Tensor]:
        """Those of a part of the source's tower, by their names in it."""
        facts, file = persist.read_model(Path(self.source))
        prefix = f"towers.parts.{list(facts['specs']).index(self.view)}.{part}"
        tensors = persist.read_tensors(file).items()
        return {name.removeprefix(prefix): tensor for name, tensor in tensors if name.startswith(prefix)}
