"""What terms share that give one view from another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from bouba.errors import ModalityError, UsageError
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_views
from bouba.terms.term import Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch


@dataclass(frozen=True)
class Across(Term):
    """A term that gives one view from another.

    Args:
        source: the view that is told. target: the view that is to be given; it needs a raw form.
        raw: tell the source's raw numbers instead of its embedding.
    """

    reads_raw: ClassVar[bool] = True
    reads_unpaired: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True

    source: str
    target: str
    raw: bool = False

    def embeds(self, views):
        return () if self.raw else (self.source,)

    def widths(self, space: Space) -> tuple[int, tuple[int, ...]]:
        """The width of a condition and the shape of what is to be given.

        Raises:
            ModalityError: a view that is not there, or has no raw form. UsageError: a view that is to give itself.
        """
        term = type(self).__name__
        check_views(f"{term} names", (self.source, self.target), space.dims)
        if self.source == self.target:
            raise UsageError(f"{term} gives one view from another, got {self.source!r} twice")
        for view in (self.target, *([self.source] if self.raw else [])):
            if view not in space.raw:
                decodable = ", ".join(map(repr, space.raw)) or "none"
                raise ModalityError(
                    f"{term}: the encoder of {view!r} has no raw form; views that have one: {decodable}"
                )
        return math.prod(space.raw[self.source]) if self.raw else space.dims[self.source], space.raw[self.target]

    def pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Conditions (m, d) and targets (m, p) of the m rows that have both views, in at least float32."""
        both = batch.present[self.source] & batch.present[self.target]
        told, x = (batch.raw if self.raw else batch.z)[self.source][both], batch.raw[self.target][both]
        check_finite(self.source, told)
        check_finite(self.target, x)
        return condition(told, raw=self.raw), x


def condition(told: Tensor, *, raw: bool) -> Tensor:
    """What a generator is told: raw numbers (B, d) as they are; of an embedding its direction, of length sqrt(d)."""
    told = told.to(torch.promote_types(told.dtype, torch.float32))
    return told if raw else unit_rows(told) * math.sqrt(told.shape[1])


def jittered(c: Tensor, deviation: float) -> Tensor:
    """Conditions with noise on them, so that near ones are told apart less. They keep their gradients."""
    return c + deviation * torch.randn_like(c) if deviation else c
