"""The base of terms that generate one view from another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bouba.errors import ModalityError, UsageError
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_views
from bouba.terms.term import Needs, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch


@dataclass(frozen=True)
class Across(Term):
    """A term that generates one view from another.

    Args:
        source: the view that is the condition. target: the view to generate; it needs a raw form.
        raw: condition on the source's raw numbers instead of its embedding.
    """

    source: str
    target: str
    raw: bool = False

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, raw=True, embeddings=() if self.raw else (self.source,))

    def widths(self, space: Space) -> tuple[int, tuple[int, ...]]:
        """The width of a condition and the shape of an item.

        Raises:
            ModalityError: a view that does not exist, or has no raw form. UsageError: source and target are one view.
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
        """Conditions (m, d), in at least float32, and items (m, p) of the m rows that have both views."""
        both = batch.present[self.source] & batch.present[self.target]
        source, x = (batch.raw if self.raw else batch.z)[self.source][both], batch.raw[self.target][both]
        check_finite(self.source, source)
        check_finite(self.target, x)
        return condition(source, raw=self.raw), x


def condition(source: Tensor, *, raw: bool) -> Tensor:
    """A generator's condition: raw numbers (B, d) as they are; of an embedding its direction, of length sqrt(d)."""
    source = source.to(torch.promote_types(source.dtype, torch.float32))
    return source if raw else unit_rows(source) * math.sqrt(source.shape[1])


def jittered(c: Tensor, deviation: float) -> Tensor:
    """Conditions with noise on them, so that near ones are harder to separate. They keep their gradients."""
    return c + deviation * torch.randn_like(c) if deviation else c
