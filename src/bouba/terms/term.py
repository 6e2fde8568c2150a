"""Term and Objective: `InfoNCE() + 0.3 * DomainAdversarial()`.

A term is a small frozen description: it prints, compares and saves as its own constructor call. `needs` is what it
reads, `state` makes what it trains (a temperature, a classifier), `loss` computes its value. It reads a Batch, never
the model, never the loader. A new term is one file: see docs/extending.md.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bouba.declared import Declared
from bouba.errors import UsageError

if TYPE_CHECKING:
    from bouba.batch import Batch

Parts = dict[str, Tensor | float]
"""Named numbers that a term logs."""
Pairs = tuple[tuple[str, str], ...] | str | None
"""Which pairs of views a term compares: those named; those of one view, the anchor, with each other view, where that
one is named (ImageBind, Girdhar et al. 2023); every pair where None."""


@dataclass(frozen=True)
class Space:
    """What is fixed before training: the widths of embeddings, and the codes of domains and classes.

    Args:
        dims: view -> width of z.
        domains: names of the domains, in the order of their codes; empty without domains.
        classes: label column -> class names, in the order of their codes; columns of numbers are not in it.
        raw: view -> shape of what a decoder of it must give back, flat in `batch.raw`; views that cannot be decoded are
            not in it.
        fused: width of the fused vector; None where views are not fused.
        numbers: label columns that hold numbers, standardised by the training rows.
        masks: views whose encoder can hide patches of its inputs.
        shares: label column -> share of each class among the labelled training rows.
        predicted: label columns of classes that a term of the objective predicts.
        teachers: view of ready vectors, which has no embedding -> how many numbers they are.
    """

    dims: Mapping[str, int]
    domains: tuple[str, ...] = ()
    classes: Mapping[str, tuple[str, ...]] | None = None
    raw: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fused: int | None = None
    numbers: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    predicted: tuple[str, ...] = ()
    teachers: Mapping[str, int] = field(default_factory=dict)

    def unfused(self) -> Space:
        """The same without a fused vector, for a term that reads each view by itself."""
        return replace(self, fused=None)


@dataclass(frozen=True)
class Needs:
    """What a term reads of a batch, which rows it trains on, and what its embeddings and its value can be used for.

    Args:
        pairs: only rows with two views are used, in training and validation.
        unpaired: a row with one view only, without label or key, is used too; never together with `pairs`.
        embeddings: the views whose embeddings it reads, all when None. A view that no term reads is not in `batch.z`.
        fused: it reads `batch.fused`, and so trains the fusion.
        rest: it reads `batch.rest`, for each view the vector fused from the row's other views; with `fused`.
        twins: it reads `batch.twin`, a second embedding of each cell after another random change.
        averaged: the decay, in [0, 1), of the towers' moving averages, whose embeddings it reads in `batch.averaged`.
        masked: the share, in (0, 1), of each input's patches that are hidden for `batch.masked`, which it reads.
        masked_views: of which views it reads that, all that can be masked when None.
        raw: it reads `batch.raw`, what a decoder must give back.
        predictions: it reads `batch.predicted`, and with `twins` also `batch.predicted_twin`.
        validates: a smaller value on held-out rows means a better model; False for min-max terms.
        aligns: it brings cells that belong together near each other, whatever their view.
        predicts: it predicts label columns, see `Term.predict`.
        similarity: by what it compares embeddings ("cosine", "dot", "euclidean"); None where the user has no choice.
        teachers: views of ready vectors that it reads as they are, in `batch.teachers`; no term reads an embedding of
            them, and no tower is trained.
        widths: the first so many numbers of an embedding are one by themselves; () where they are not.
    """

    pairs: bool = False
    unpaired: bool = True
    embeddings: tuple[str, ...] | None = None
    fused: bool = False
    rest: bool = False
    twins: bool = False
    averaged: float | None = None
    masked: float | None = None
    masked_views: tuple[str, ...] | None = None
    raw: bool = False
    predictions: bool = False
    validates: bool = True
    aligns: bool = False
    predicts: bool = False
    similarity: str | None = None
    teachers: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()

    def fitting_rows(self, batch: Batch) -> Tensor:
        """bool (B,), True where a row has the views, labels or keys that the term needs."""
        views = batch.view_counts
        if self.pairs:
            return views > 1
        if self.unpaired:
            return views > 0
        is_known = batch.key >= 0 if batch.key is not None else views < 0
        for label in batch.y:
            is_known = is_known | batch.labelled(label)
        return (views > 1) | ((views > 0) & is_known)


class Term(Declared, ABC):
    """One summand of an objective. Subclasses are frozen dataclasses and final."""

    def needs(self) -> Needs:
        """What it reads and what it is good for. The default reads the embeddings of every view, paired or not."""
        return Needs()

    def state(self, space: Space) -> nn.Module:
        """What this term learns. The default learns nothing. Raises UsageError if the space does not suit.

        Where a module in it has a method `after_step()`, it is called after each step: moving averages, clamped
        temperatures.
        """
        return nn.Module()

    def class_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Of all label columns those that it reads as classes, whatever they hold. None by default."""
        return ()

    @abstractmethod
    def loss(self, batch: Batch, state) -> tuple[Tensor | None, Parts]:
        """A scalar to minimise, None where no row suits; and named parts to log.

        Rows without a needed view are masked out. It is not called for a batch without any of `Needs.fitting_rows`.
        """

    def predicted_labels(self, space: Space) -> tuple[str, ...]:
        """The label columns that `predict` gives. None by default."""
        return ()

    def predict(self, batch: Batch, state) -> Mapping[str, Tensor]:
        """label -> log probabilities (B, C), or standardised numbers (B,), of every row. None by default."""
        return {}

    def __mul__(self, weight: float) -> Objective:
        if not isinstance(weight, numbers.Real):
            raise UsageError(f"a term is weighed by a number, 0.3 * {type(self).__name__}(), got {weight!r:.60}")
        return Objective(((float(weight), self),))

    __rmul__ = __mul__

    def __add__(self, other: Term | Objective) -> Objective:
        return Objective.of(self) + other


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms: L = sum_k weight_k * term_k.

    A term that finds no row in a batch adds 0. The sum has a gradient, if only of zeros, to every embedding and every
    parameter of the terms: an optimiser can step, and under several processes none waits for another.
    """

    terms: tuple[tuple[float, Term], ...]

    @classmethod
    def of(cls, objective: Term | Objective) -> Objective:
        """A term as an objective of weight 1; an objective as it is."""
        return objective if isinstance(objective, Objective) else cls(((1.0, objective),))

    def __add__(self, other: Term | Objective) -> Objective:
        return Objective(self.terms + Objective.of(other).terms)

    def __mul__(self, weight: float) -> Objective:
        return Objective(tuple((weight * w, term) for w, term in self.terms))

    __rmul__ = __mul__

    def __iter__(self) -> Iterator[tuple[float, Term]]:
        return iter(self.terms)

    def __repr__(self) -> str:
        return " + ".join(repr(term) if weight == 1 else f"{weight:g} * {term!r}" for weight, term in self)

    def needs(self) -> Needs:
        """What its terms need together: `pairs` where all do, everything else where one does."""
        each = [term.needs() for _, term in self]
        views = [needs.embeddings for needs in each]
        masked = [needs.masked_views for needs in each if needs.masked is not None]
        return Needs(
            pairs=all(needs.pairs for needs in each),
            unpaired=any(needs.unpaired for needs in each),
            embeddings=None if None in views else tuple(dict.fromkeys(chain(*views))),  # type: ignore[arg-type]
            fused=any(needs.fused for needs in each),
            rest=any(needs.rest for needs in each),
            twins=any(needs.twins for needs in each),
            averaged=_the_one("decay of the towers' moving average", [needs.averaged for needs in each]),
            masked=_the_one("share that is masked", [needs.masked for needs in each]),
            masked_views=tuple(dict.fromkeys(chain(*masked))) if masked and None not in masked else None,  # type: ignore[arg-type]
            raw=any(needs.raw for needs in each),
            predictions=any(needs.predictions for needs in each),
            validates=any(needs.validates for needs in each),
            aligns=any(needs.aligns for needs in each),
            predicts=any(needs.predicts for needs in each),
            similarity=next((needs.similarity for needs in each if needs.similarity), None),
            teachers=tuple(dict.fromkeys(view for needs in each for view in needs.teachers)),
            widths=tuple(sorted({width for needs in each for width in needs.widths})),
        )

    def judges(self) -> Objective:
        """The terms whose smaller value on held-out rows means a better model."""
        return Objective(tuple((weight, term) for weight, term in self if term.needs().validates))

    @property
    def requires_fusion(self) -> bool:
        """Whether a term reads the fused vector and cannot do without; what predicts can read each view by itself."""
        return any(needs.fused and not needs.predicts for needs in (term.needs() for _, term in self))

    def state(self, space: Space) -> nn.ModuleList:
        """What every term learns, in order."""
        classes = (label for label in self.predicted_labels(space) if label not in space.numbers)
        space = replace(space, predicted=tuple(dict.fromkeys((*space.predicted, *classes))))
        return nn.ModuleList(term.state(space) for _, term in self)

    def loss(self, batch: Batch, state: nn.ModuleList) -> tuple[Tensor, Parts]:
        """The weighted sum, and every term's value and parts, by name."""
        return self._sum(batch, state, [True] * len(self.terms))

    def validation_loss(self, batch: Batch, state: nn.ModuleList) -> tuple[Tensor, Parts]:
        """The same over the terms whose smaller value means a better model."""
        return self._sum(batch, state, [term.needs().validates for _, term in self])

    def _sum(self, batch: Batch, state: nn.ModuleList, included: Sequence[bool]) -> tuple[Tensor, Parts]:
        total, parts = _zero(batch, state), Parts()
        known = batch if batch.known is None else batch.known
        for name, (weight, term), term_state, is_included in zip(
            self.names(), self.terms, state, included, strict=True
        ):
            if not is_included:
                continue
            has_rows = bool(term.needs().fitting_rows(known).any())
            value, term_parts = term.loss(batch, term_state) if has_rows else (None, Parts())
            value = torch.zeros_like(total) if value is None else torch.as_tensor(value)
            total = total + weight * value
            parts[name] = value.detach()
            parts.update({f"{name}.{part}": number for part, number in term_parts.items()})
        return total, parts

    def class_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Of all label columns those that a term reads as classes, whatever they hold."""
        return tuple(dict.fromkeys(label for _, term in self for label in term.class_labels(labels)))

    def predicted_labels(self, space: Space) -> tuple[str, ...]:
        """The label columns that `predict` gives."""
        return tuple(dict.fromkeys(label for _, term in self for label in term.predicted_labels(space)))

    def predict(self, batch: Batch, state: nn.ModuleList) -> dict[str, Tensor]:
        """label -> log probabilities (B, C) or standardised numbers (B,), by the first term that predicts the label."""
        outputs: dict[str, Tensor] = {}
        for (_, term), term_state in zip(self.terms, state, strict=True):
            outputs = {**term.predict(batch, term_state), **outputs}
        return outputs

    def names(self) -> list[str]:
        """The terms' names as they are logged: 'InfoNCE', and 'InfoNCE-2' for a second one."""
        counts: dict[str, int] = {}
        names = []
        for _, term in self:
            name = type(term).__name__
            counts[name] = counts.get(name, 0) + 1
            names.append(name if counts[name] == 1 else f"{name}-{counts[name]}")
        return names


def _the_one(what: str, values: Sequence[float | None]) -> float | None:
    """What terms ask of the network, once for all of them. UsageError where they ask for different numbers."""
    wanted = sorted({value for value in values if value is not None})
    if len(wanted) > 1:
        raise UsageError(f"there is one {what}, and the terms want {' and '.join(map(str, wanted))}; give them one")
    if wanted and not 0 <= wanted[0] < 1:
        raise UsageError(f"the {what} must lie in [0, 1), got {wanted[0]}")
    return wanted[0] if wanted else None


def _zero(batch: Batch, state: nn.Module) -> Tensor:
    """0, as a function of every embedding and of all that the terms learn. What a cell holds is not read."""
    fused = [] if batch.fused is None else [batch.fused]
    others = (*batch.rest.values(), *batch.twin.values(), *batch.masked.values())
    tensors = [*batch.z.values(), *fused, *others, *state.parameters()]
    dtype = tensors[0].dtype if tensors else torch.get_default_dtype()
    zero = batch.rows.new_zeros((), dtype=dtype)
    return _Constant.apply(zero, *tensors) if tensors else zero


class _Constant(torch.autograd.Function):
    """A value as a function of tensors of which it does not depend: their gradients are zeros."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *tensors: Tensor) -> Tensor:  # type: ignore[override]
        ctx.like = [(tensor.shape, tensor.dtype) for tensor in tensors]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return None, *(gradient.new_zeros(shape, dtype=dtype) for shape, dtype in ctx.like)
