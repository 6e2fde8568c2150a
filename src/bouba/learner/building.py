"""From Views to a network that can be trained: which encoder reads which view, and towers around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bouba.data.alphabet import alphabet
from bouba.data.faults import decoded
from bouba.data.labels import holds_numbers, refuse_quantity
from bouba.data.loader import Codes
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.nn.fusion import Fusion
from bouba.terms.term import Objective, Space
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec, Frames, NGrams, Pooled, SameAs, Tabular, Tower
from bouba.towers.spec import Learned
from bouba.towers.text import with_form
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


def specs_of(
    towers: Mapping[str, EncoderSpec | SameAs] | None, kinds: Mapping[str, str], views: Views | None = None
) -> Specs:
    """The encoders that are named, by view; or a default for each kind. Where cells of `views` hold several things each
    is `Pooled`.

    Raises:
        UsageError: a kind without a default, an encoder for another kind. ModalityError: no such view. DataError: see
        `refuse_other_columns`.
    """
    if towers is None:
        for name, kind in kinds.items():
            if kind not in DEFAULT_TOWERS:
                raise UsageError(f"no default tower for {kind} (view {name!r}); give towers={{{name!r}: ...}}")
        towers = {name: DEFAULT_TOWERS[kind]() for name, kind in kinds.items()}
    unknown = next((name for name in towers if name not in kinds), None)
    if unknown is not None:
        raise ModalityError(f"a tower for {unknown!r}, but no such view{nearest(unknown, kinds)}")
    specs = {name: spec_for(name, spec, towers, kinds) for name, spec in towers.items()}
    if views is None:
        return specs
    specs = {name: pooled(spec, views[name]) for name, spec in specs.items()}
    refuse_other_columns(specs, views.sources)
    return specs


def pooled(spec: EncoderSpec | SameAs, column: Column) -> EncoderSpec | SameAs:
    """An encoder as it reads a column: of several things in a cell all, not the first alone."""
    if isinstance(spec, Pooled | SameAs) or not column.holds_several:
        return spec
    return Pooled(spec)


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


def refuse_other_columns(specs: Specs, columns: Mapping[str, Sequence[str]]) -> None:
    """DataError where a tower that was trained before, or that two views share, would read numbers in another order.

    Args:
        columns: view of vectors -> the names of its numbers, where they have names.
    """
    for view, spec in specs.items():
        before = tuple(columns.get(spec.view, ())) if isinstance(spec, SameAs) else spec.columns
        now = tuple(columns.get(view, ()))
        if set(before) & set(now) and before != now:
            raise DataError(
                f"the tower of {view!r} reads {', '.join(before)} in this order, and the view holds {', '.join(now)}; "
                "give it the same columns in the same order"
            )


def codes_of(views: Views, objective: Objective, numeric_labels: Callable[[list[str]], list[str]]) -> Codes:
    """The codes of domains and labels. A label column of numbers is classes where the method or a term says so.

    Args:
        numeric_labels: the method's choice of the label columns that are numbers, from those that look like it.

    Raises:
        DataError: classes are to be made of a quantity.
    """
    looks_numeric = [name for name, values in views.y.items() if holds_numbers(values)]
    classes = objective.class_labels(list(views.y))
    numeric = [name for name in numeric_labels(looks_numeric) if name not in classes]
    for name in looks_numeric:
        if name not in numeric:
            refuse_quantity(name, views.y[name])
    return Codes.of(views, numeric)


def learn(name: str, spec: EncoderSpec | SameAs, column: Column, random_state: int) -> Learned:
    """What an encoder must know of its training cells before it is built; {} of one that is shared. Cells that break
    while it looks at them count as missing.

    Raises:
        DataError: no cell in these rows.
    """

    def read(cells: list) -> Learned:
        return spec.learn(cells, random_state=random_state) if isinstance(spec, EncoderSpec) else {}

    _, learned = decoded(name, column, range(len(column)), read, singly=False)
    if learned is None:
        raise DataError(f"view {name!r} has no cell in the training rows; leave it out or choose other rows")
    return learned


def alphabets_of(views: Views, kinds: Mapping[str, str]) -> dict[str, str]:
    """Text view -> the characters of its cells, by which the language of a question is told."""
    texts = [name for name, kind in kinds.items() if kind == "text"]
    return {name: alphabet(views[name].take(views[name].present)) for name in texts}


def with_forms(learned: Mapping[str, dict], specs: Specs) -> dict[str, dict]:
    """What the encoders of a saved model learnt, by view: where it does not tell how its texts are read, as before."""
    return {view: with_form(facts, specs.get(view)) for view, facts in learned.items()}


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
    extend: Callable[[Network], None] = lambda network: None,
) -> Network:
    """A tower for each view, one for all that share it, and what the objective's terms learn; then what `extend` adds,
    and moving averages of the towers where a term reads them.

    Raises:
        UsageError: a fusion that no term would teach.
    """
    domains = len(codes.domains) if domain_norm else 0
    width = dim if fusion is None else fusion.embedding_width(dim)
    made = {
        name: _tower(spec, learned[name], width, domains)
        for name, spec in specs.items()
        if not isinstance(spec, SameAs)
    }
    towers = {name: made[spec.view if isinstance(spec, SameAs) else name] for name, spec in specs.items()}
    space = Space(
        dict.fromkeys(specs, width),
        codes.domains,
        codes.classes,
        {name: tower.encoder.raw_shape for name, tower in towers.items() if tower.encoder.raw_width},
        fused=None if fusion is None else dim,
        numbers=tuple(codes.numbers),
        shares=codes.shares,
        masks=tuple(name for name, tower in towers.items() if tower.encoder.masks),
        teachers={name: learned[name]["width"] for name in objective.needs().teachers},
    )
    module = Network(towers, objective, space, fusion=fusion, chunk_size=chunk_size)
    learns = module.fusion is not None and any(True for _ in module.fusion.parameters())
    if learns and not objective.needs().fused:
        raise UsageError(f"nothing in {objective!r} would teach {fusion!r}; leave fusion out")
    extend(module)
    if objective.terms and not any(parameter.requires_grad for parameter in module.parameters()):
        raise UsageError("every tower and head is locked, and nothing is left to learn; let one of them learn")
    module.average()
    return module


def _tower(spec: EncoderSpec, learned: Learned, width: int, domains: int) -> Tower:
    tower = Tower(spec.build(learned), width, domains=domains)
    spec.surround(tower, learned)
    return tower
