"""The contract of every term, as checks that run: `check_term(MyTerm())`.

A term that passes can stand in any objective, whatever a batch lacks. Batches hold what the term's `needs` name and
nothing else, so that a term that reads more than its needs fails. docs/extending.md shows a term that passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from bouba.batch import Batch
from bouba.terms.term import Needs, Objective, Parts, Space, Term

SPACE = Space(
    dims=dict.fromkeys("abc", 4),
    domains=("p", "q"),
    classes={"kind": ("x", "y", "z")},
    raw={"a": (3,), "b": (5,)},
    masks=("a", "b"),
    fused=4,
    numbers=("size",),
    shares={"kind": (0.5, 0.3, 0.2)},
    predicted=("kind",),
    teachers={"taught": 6},
)
"""Three views of width 4, two of which can be decoded, two domains, a column of classes and one of numbers."""


def check_term(term: Term, space: Space = SPACE) -> None:
    """Run every check of CHECKS.

    Args:
        term: of any class, also one of your own.
        space: what its `state` is made for; give one of your own if it names other views or labels.

    Raises:
        AssertionError: a part of the contract that the term breaks, in words.

    >>> from bouba.terms import InfoNCE
    >>> check_term(InfoNCE())
    """
    for check in CHECKS:
        check(term, space)


def check_description(term: Term, space: Space) -> None:
    """It is a value: frozen, equal to what its repr makes, with the same needs each time."""
    parameters = getattr(type(term), "__dataclass_params__", None)
    _require(parameters is not None and parameters.frozen, f"{type(term).__name__} is no frozen dataclass")
    again = eval(repr(term), dict(_classes(term)))
    _require(again == term and hash(again) == hash(term), f"{term!r} is not what its repr makes")
    needs = term.needs()
    _require(isinstance(needs, Needs) and needs == again.needs(), f"{term!r} needs something else the second time")
    _require(not (needs.pairs and needs.unpaired), f"{term!r} needs pairs and reads unpaired rows; set unpaired=False")


def _classes(term: Term) -> Iterator[tuple[str, type]]:
    """Name -> class, of a term and of those within it."""
    yield type(term).__name__, type(term)
    for field in fields(term):  # type: ignore[arg-type]
        if isinstance(inner := getattr(term, field.name), Term):
            yield from _classes(inner)


def check_missing_cells(term: Term, space: Space) -> None:
    """Cells that are missing change neither cost nor parts and get no gradient, whatever they hold."""
    for size, seed in ((1, 0), (2, 1), (8, 2), (8, 3), (8, 4)):
        batch, state = a_batch(term, space, size=size, seed=seed), _state(term, space)
        spoilt = _spoilt(batch)
        cost, parts = _loss(term, batch, state)
        spoilt_cost, spoilt_parts = _loss(term, spoilt, state)
        _require(cost.equal(spoilt_cost), f"{term!r} reads missing cells: {cost:g}, with NaN in them {spoilt_cost:g}")
        for name, part in parts.items():
            finite = torch.as_tensor(part).isfinite().all()
            _require(finite and bool(part == spoilt_parts[name]), f"{term!r} logs {name} = {spoilt_parts[name]}")
        spoilt_cost.backward()
        for name, tensor, present in _tensors(spoilt):
            gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            _require(gradient.isfinite().all(), f"{term!r} sends NaN or infinity back to {name}")
            _require(not gradient[~present].count_nonzero(), f"{term!r} sends a gradient to missing cells of {name}")
        for parameter in state.parameters():
            _require(parameter.grad is None or parameter.grad.isfinite().all(), f"{term!r} learns NaN or infinity")


def check_order(term: Term, space: Space) -> None:
    """The order of rows changes nothing, where no random numbers are drawn."""
    batch, state = a_batch(term, space, size=12, present=0.9), _state(term, space)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    cost, again = (_loss(term, batch, state, seed=seed)[0] for seed in (0, 1))
    if cost.equal(again):
        shuffled, _ = _loss(term, batch.map(lambda column: column[order]), state)
        _require(
            torch.allclose(cost, shuffled, rtol=1e-5, atol=1e-6),
            f"{term!r} costs {cost:g}, with rows shuffled {shuffled:g}",
        )


def check_batches_without_rows(term: Term, space: Space) -> None:
    """Where no row suits, the objective is a finite zero with a gradient to every embedding and parameter."""
    needs = term.needs()
    for name, batch in _poor_batches(a_batch(term, space, size=6)):
        state, batch = _state(term, space), _leaves(batch)
        cost, parts = _loss(term, batch, state)
        _require(cost.isfinite(), f"{term!r} costs {cost:g} in a batch with {name}; return None where no row suits")
        _require(
            all(torch.as_tensor(part).isfinite().all() for part in parts.values()), f"{term!r}, {name}, logs {parts}"
        )
        if not needs.fitting_rows(batch).any():
            _require(cost == 0, f"{term!r} costs {cost:g} in a batch with {name}")
        cost.backward()
        trained = [parameter for parameter in state.parameters() if parameter.requires_grad]
        embedded = (batch.z, batch.twin, batch.masked, batch.rest)
        for tensor in (*(z for views in embedded for z in views.values()), *trained):
            has_gradient = tensor.grad is not None and tensor.grad.isfinite().all()
            _require(has_gradient, f"{term!r} has no finite gradient in a batch with {name}")


def check_predictions(term: Term, space: Space) -> None:
    """Where it predicts: every label that it names, for every row, also without any view."""
    labels = term.predicted_labels(space)
    _require(bool(labels) == term.needs().predicts, f"{term!r} predicts {labels}, its needs say otherwise")
    batch = a_batch(term, space, size=6, present=0.5)
    outputs = Objective.of(term).predict(_spoilt(batch), _state(term, space))
    _require(set(outputs) == set(labels), f"{term!r} predicts {tuple(outputs)}, and names {labels}")
    for label, output in outputs.items():
        shape = (6,) if label in space.numbers else (6, len((space.classes or {})[label]))
        _require(output.shape == shape, f"{term!r} predicts {label} of shape {tuple(output.shape)}, not {shape}")
        _require(output.isfinite().all(), f"{term!r} predicts NaN or infinity for {label}")


CHECKS = (check_description, check_missing_cells, check_order, check_batches_without_rows, check_predictions)


def a_batch(term: Term, space: Space, *, size: int, seed: int = 0, present: float = 0.7) -> Batch:
    """Random rows with what a term needs: each has each view with probability `present`, and may lack label and key."""
    needs, draw = term.needs(), torch.Generator().manual_seed(seed)
    views = space.dims if needs.embeddings is None else needs.embeddings

    def normal(*shape: int) -> Tensor:
        return torch.randn(size, *shape, generator=draw).requires_grad_()

    def log_p() -> dict[str, Tensor]:
        widths = {label: len((space.classes or {})[label]) for label in space.predicted}
        return {label: normal(width).detach().log_softmax(1).requires_grad_() for label, width in widths.items()}

    classes = {
        label: torch.randint(-1, len(names), (size,), generator=draw) for label, names in (space.classes or {}).items()
    }
    numbers = {label: normal().detach().where(torch.arange(size) % 3 > 0, torch.nan) for label in space.numbers}
    return Batch(
        inputs={},
        present={view: torch.rand(size, generator=draw) < present for view in (*space.dims, *needs.teachers)},
        rows=torch.arange(size),
        z={view: normal(space.dims[view]) for view in views},
        fused=normal(space.fused) if needs.fused and space.fused is not None else None,
        rest={view: normal(space.fused) for view in views} if needs.rest and space.fused is not None else {},
        twin={view: normal(space.dims[view]) for view in views} if needs.twins else {},
        averaged={} if needs.averaged is None else {view: normal(space.dims[view]).detach() for view in views},
        masked={} if needs.masked is None else {view: normal(space.dims[view]) for view in space.masks},
        hidden={}
        if needs.masked is None
        else {view: torch.rand(size, *space.raw[view], generator=draw) < 0.5 for view in space.masks},
        raw={view: normal(*shape).detach() for view, shape in space.raw.items()} if needs.raw else {},
        teachers={view: normal(space.teachers[view]).detach() for view in needs.teachers},
        predicted=log_p() if needs.predictions else {},
        predicted_twin=log_p() if needs.predictions and needs.twins else {},
        y=classes | numbers,
        domain=torch.arange(size) % max(len(space.domains), 1),
        key=torch.randint(-1, 5, (size,), generator=draw),
        progress=0.5,
    )


def _poor_batches(batch: Batch) -> Iterator[tuple[str, Batch]]:
    """Batches that lack something, each with what they lack in words."""
    everywhere, nowhere = torch.ones(len(batch), dtype=torch.bool), torch.zeros(len(batch), dtype=torch.bool)
    number = torch.arange(len(batch))
    whole = batch.replace(present=dict.fromkeys(batch.present, everywhere))
    single = {view: number % len(batch.present) == place for place, view in enumerate(batch.present)}
    unlabelled = {label: torch.full_like(y, torch.nan if y.is_floating_point() else -1) for label, y in batch.y.items()}
    unknown = {"y": unlabelled, "key": torch.full_like(number, -1), "domain": torch.full_like(number, -1)}
    yield "no rows", batch.map(lambda column: column[:0])
    yield "no views", batch.replace(present=dict.fromkeys(batch.present, nowhere))
    yield "one row", batch.map(lambda column: column[:1])
    yield "one view a row", batch.replace(present=single)
    yield "no labels and keys", whole.replace(y=unlabelled, key=unknown["key"])
    yield "no label columns, keys and domains", whole.replace(y={}, key=None)
    yield "one domain", whole.replace(domain=torch.zeros_like(number))
    yield "one view a row and nothing else", batch.replace(present=single, **unknown)


def _loss(term: Term, batch: Batch, state: nn.ModuleList, *, seed: int = 0) -> tuple[Tensor, Parts]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Objective.of(term).loss(batch, state)


def _state(term: Term, space: Space) -> nn.ModuleList:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Objective.of(term).state(space)


def _tensors(batch: Batch) -> Iterator[tuple[str, Tensor, Tensor]]:
    """What a term may send gradients to: a name, the tensor, and which of its rows are present."""
    for name in ("z", "twin", "masked"):
        yield from ((f"{name}[{view!r}]", z, batch.present[view]) for view, z in getattr(batch, name).items())
    if batch.fused is not None:
        yield "fused", batch.fused, batch.any_present
    yield from ((f"rest[{view!r}]", x, _has_rest(view, batch)) for view, x in batch.rest.items())
    for name in ("predicted", "predicted_twin"):
        yield from ((f"{name}[{label!r}]", p, batch.any_present) for label, p in getattr(batch, name).items())


def _has_rest(view: str, batch: Batch) -> Tensor:
    """bool (B,), True where a row has a view besides one."""
    return batch.view_counts > batch.present[view].to(torch.int64)


def _spoilt(batch: Batch) -> Batch:
    """The same with NaN in every cell that is missing."""

    def spoil(x: Tensor, present: Tensor) -> Tensor:
        return x.detach().masked_fill(~present[:, None], torch.nan).requires_grad_(x.requires_grad)

    def by_view(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {view: spoil(x, batch.present[view]) for view, x in columns.items()}

    def by_label(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {label: spoil(x, batch.any_present) for label, x in columns.items()}

    return replace(
        batch,
        z=by_view(batch.z),
        twin=by_view(batch.twin),
        averaged=by_view(batch.averaged),
        masked=by_view(batch.masked),
        raw=by_view(batch.raw),
        rest={view: spoil(x, _has_rest(view, batch)) for view, x in batch.rest.items()},
        fused=None if batch.fused is None else spoil(batch.fused, batch.any_present),
        predicted=by_label(batch.predicted),
        predicted_twin=by_label(batch.predicted_twin),
    )


def _leaves(batch: Batch) -> Batch:
    """The same, with gradients of its own."""
    return batch.map(lambda column: column.detach().requires_grad_(column.requires_grad))


def _require(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)
