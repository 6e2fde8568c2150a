"""Term and Objective: `InfoNCE() + 0.3 * DomainAdversarial()`.

A term is a small frozen description: it prints, compares and saves as its own constructor call. What it learns
(a temperature, a classifier) it makes in `state`; what it costs it computes in `loss`. It sees a Batch, never
the model, never the loader. A new term is one file: see docs/new-term.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from bouba.batch import Batch

Parts = dict[str, Tensor | float]
"""Named numbers a term wants to see logged."""


@dataclass(frozen=True)
class Space:
    """What a term may know before training: the embeddings' widths, and the codes that will come.

    Args:
        dims: view -> width of z.
        domains: names of the domains, in the order of their codes; empty without domains.
        classes: label column -> class names, in the order of their codes; columns of numbers are not in it.
        raw: view -> shape of what a decoder of it must give back, flat in `batch.raw`; views that cannot be decoded are
            not in it.
        fused: width of the fused vector; None where views are not fused.
        numbers: label columns that hold numbers, standardised by the training rows.
        shares: label column -> share of each class among the labelled training rows.
        predicted: label columns of classes that a Prediction of the objective predicts.
    """

    dims: Mapping[str, int]
    domains: tuple[str, ...] = ()
    classes: Mapping[str, tuple[str, ...]] | None = None
    raw: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fused: int | None = None
    numbers: tuple[str, ...] = ()
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    predicted: tuple[str, ...] = ()

    def unfused(self) -> Space:
        """The same, for one who reads each view by itself."""
        return replace(self, fused=None)


class Term(ABC):
    """One summand of an objective. Subclasses are frozen dataclasses and final."""

    validates: ClassVar[bool] = True
    """Whether a smaller value on held-out rows means a better model; False for min-max terms."""

    reads_unpaired: ClassVar[bool] = True
    """Whether rows that have one view only, without label or key, can teach this term anything."""

    needs_pairs: ClassVar[bool] = False
    """Whether a row teaches and judges only where it has two views."""

    reads_fused: ClassVar[bool] = False
    """Whether it reads `batch.fused`, and so teaches what fuses the views."""

    reads_twins: ClassVar[bool] = False
    """Whether it needs `batch.twin`, a second embedding of each cell after another random change."""

    reads_raw: ClassVar[bool] = False
    """Whether it needs `batch.raw`, what a decoder must give back."""

    reads_predictions: ClassVar[bool] = False
    """Whether it needs `batch.predicted`, what a Prediction beside it says; with `reads_twins` also of the twins."""

    def embeds(self, views: Collection[str]) -> Collection[str]:
        """Those of the views whose embeddings it reads, by default all. What no term reads is not in `batch.z`."""
        return views

    def state(self, space: Space) -> nn.Module:
        """What this term learns. The default learns nothing. Raises UsageError if the space does not suit.

        A module in it that has a method `after_step()` is told of each step: moving averages, clamped temperatures.
        """
        return nn.Module()

    @abstractmethod
    def loss(self, batch: Batch, state) -> tuple[Tensor, Parts]:
        """A scalar to minimise, and named parts to log. Rows without a needed view are masked out."""

    def __mul__(self, weight: float) -> Objective:
        return Objective(((float(weight), self),))

    __rmul__ = __mul__

    def __add__(self, other: Term | Objective) -> Objective:
        return Objective.of(self) + other


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms: L = sum_k weight_k * term_k."""

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

    def state(self, space: Space) -> nn.Module:
        """One module holding what every term learns, in order."""
        return nn.ModuleList(term.state(space) for _, term in self)

    def loss(self, batch: Batch, state) -> tuple[Tensor, Parts]:
        """The weighted sum, and every term's value and parts, by name."""
        return self._sum(batch, state, [True] * len(self.terms))

    def validation_loss(self, batch: Batch, state) -> tuple[Tensor, Parts]:
        """The same over the terms whose smaller value means a better model."""
        return self._sum(batch, state, [term.validates for _, term in self])

    def _sum(self, batch, state, wanted) -> tuple[Tensor, Parts]:
        total = batch.rows.new_zeros((), dtype=next((z.dtype for z in batch.z.values()), torch.get_default_dtype()))
        parts: Parts = {}
        for name, (weight, term), learnt, use in zip(self.names(), self.terms, state, wanted, strict=True):
            if not use:
                continue
            value, own = term.loss(batch, learnt)
            total = total + weight * value
            parts[name] = value.detach()
            parts.update({f"{name}.{part}": number for part, number in own.items()})
        return total, parts

    def names(self) -> list[str]:
        """The terms' names as they are logged: 'InfoNCE', and 'InfoNCE-2' for a second one."""
        seen: dict[str, int] = {}
        names = []
        for _, term in self:
            name = type(term).__name__
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
        return names
