"""From Views to a network that can be trained: which encoder reads which view, and towers around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bouba.data.loader import Codes
from bouba.errors import ModalityError, UsageError, nearest
from bouba.nn.fusion import Fusion
from bouba.terms.term import Objective, Space
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec, Frames, NGrams, SameAs, Tabular, Tower
from bouba.towers.text import SubwordSpec
from bouba.train import Network

DEFAULT_TOWERS: dict[str, Callable[[], EncoderSpec]] = {
    "image": ConvNet,
    "text": NGrams,
    "vector": MLP,
    "audio": CRNN,
    "video": Frames,
    "table": Tabular,
}

Specs = dict[str, EncoderSpec | SameAs]
"""view -> which encoder reads it."""


def specs_of(towers: Mapping[str, EncoderSpec | SameAs] | None, kinds: Mapping[str, str]) -> Specs:
    """The encoders that are named, by view; or a default for each kind.

    Raises:
        UsageError: a kind without a default, an encoder for another kind. ModalityError: no such view.
    """
    if towers is None:
        for name, kind in kinds.items():
            if kind not in DEFAULT_TOWERS:
                raise UsageError(f"no default tower for {kind} (view {name!r}); give towers={{{name!r}: ...}}")
        return {name: DEFAULT_TOWERS[kind]() for name, kind in kinds.items()}
    unknown = next((name for name in towers if name not in kinds), None)
    if unknown is not None:
        raise ModalityError(f"a tower for {unknown!r}, but no such view{nearest(unknown, kinds)}")
    return {name: spec_for(name, spec, towers, kinds) for name, spec in towers.items()}


def spec_for(
    name: str, spec: EncoderSpec | SameAs, towers: Mapping[str, EncoderSpec | SameAs], kinds: Mapping[str, str]
) -> EncoderSpec | SameAs:
    """The encoder made for the kind of its view. UsageError for one that does not read it."""
    owner = towers.get(spec.view) if isinstance(spec, SameAs) else spec
    if isinstance(spec, SameAs) and (owner is None or isinstance(owner, SameAs)):
        owners = [view for view, tower in towers.items() if not isinstance(tower, SameAs)]
        raise UsageError(f"{name!r} is SameAs({spec.view!r}), which has no tower of its own{nearest('', owners)}")
    try:
        made = owner.on(kinds[name])  # type: ignore[union-attr]
    except UsageError as error:
        raise UsageError(f"view {name!r} is {kinds[name]}, {error}") from None
    return spec if isinstance(spec, SameAs) else made


def with_forms(learned: Mapping[str, dict], specs: Specs) -> dict[str, dict]:
    """What the encoders of a saved model learnt, by view: where it does not tell how its texts are read, as before."""
    readers = {view for view, spec in specs.items() if isinstance(spec, NGrams | SubwordSpec)}
    return {view: ({"form": "composed"} if view in readers else {}) | facts for view, facts in learned.items()}


def build_network(
    specs: Specs,
    learned: Mapping[str, Any],
    codes: Codes,
    objective: Objective,
    *,
    dim: int,
    domain_norm: bool,
    fusion: Fusion | None,
    chunk_size: int | None,
) -> Network:
    """A tower for each view, one for all that share it, and what the objective's terms learn.

    Raises:
        UsageError: a fusion that no term would teach.
    """
    domains = len(codes.domains) if domain_norm else 0
    made = {
        name: Tower(spec.build(learned[name]), dim, domains=domains)
        for name, spec in specs.items()
        if not isinstance(spec, SameAs)
    }
    towers = {name: made[spec.view if isinstance(spec, SameAs) else name] for name, spec in specs.items()}
    space = Space(
        dict.fromkeys(specs, dim),
        codes.domains,
        codes.classes,
        {name: tower.encoder.raw_shape for name, tower in towers.items() if tower.encoder.raw_width},
        fused=None if fusion is None else dim,
        numbers=tuple(codes.numbers),
        shares=codes.shares,
    )
    module = Network(towers, objective, space, fusion=fusion, chunk_size=chunk_size)
    learns = module.fusion is not None and any(True for _ in module.fusion.parameters())
    if learns and not objective.needs().fused:
        raise UsageError(f"nothing in {objective!r} would teach {fusion!r}; leave fusion out")
    return module
