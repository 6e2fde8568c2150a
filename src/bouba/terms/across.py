"""What terms share that give one view from another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bouba.errors import ModalityError, UsageError
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_views
from bouba.terms.term import Space

if TYPE_CHECKING:
    from bouba.batch import Batch


def check_across(term: str, space: Space, source: str, target: str, *, raw: bool) -> tuple[int, tuple[int, ...]]:
    """The width of a condition and the shape of what is to be given.

    Raises:
        ModalityError: a view that is not there, or has no raw form. UsageError: a view that is to give itself.
    """
    check_views(f"{term} names", (source, target), space.dims)
    if source == target:
        raise UsageError(f"{term} gives one view from another, got {source!r} twice")
    for view in (target, *([source] if raw else [])):
        if view not in space.raw:
            decodable = ", ".join(map(repr, space.raw)) or "none"
            raise ModalityError(f"{term}: the encoder of {view!r} has no raw form; views that have one: {decodable}")
    return math.prod(space.raw[source]) if raw else space.dims[source], space.raw[target]


def across(batch: Batch, source: str, target: str, *, raw: bool) -> tuple[Tensor, Tensor]:
    """Conditions (m, d) and targets (m, p) of the m rows that have both views, in at least float32."""
    both = batch.present[source] & batch.present[target]
    told, x = (batch.raw if raw else batch.z)[source][both], batch.raw[target][both]
    check_finite(source, told)
    check_finite(target, x)
    return condition(told, raw=raw), x


def condition(told: Tensor, *, raw: bool) -> Tensor:
    """What a generator is told: raw numbers (B, d) as they are; of an embedding its direction, of length sqrt(d)."""
    told = told.to(torch.promote_types(told.dtype, torch.float32))
    return told if raw else unit_rows(told) * math.sqrt(told.shape[1])


def jittered(c: Tensor, deviation: float) -> Tensor:
    """Conditions with noise on them, so that near ones are told apart less. They keep their gradients."""
    return c + deviation * torch.randn_like(c) if deviation else c
