"""Which rows of a batch a term reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite

if TYPE_CHECKING:
    from bouba.batch import Batch


def paired(
    batch: Batch, pairs: Iterable[tuple[str, str]] | None, *, least: int
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """z_a, z_b and key of the rows that have both views, for every pair of views that has `least` such rows.

    Args:
        pairs: which pairs of views; every pair when None.
    """
    for a, b in pairs or itertools.combinations(batch.z, 2):
        both = batch.present[a] & batch.present[b]
        if int(both.sum()) >= least:
            yield batch.z[a][both], batch.z[b][both], None if batch.key is None else batch.key[both]


def by_domain(batch: Batch, view: str) -> list[Tensor]:
    """Directions z / |z| (B_d, D), of at least float32, of each domain that has two rows or more with the view."""
    assert batch.domain is not None, "the space has domains"
    known = batch.present[view] & (batch.domain >= 0)
    domain, z = batch.domain[known], batch.z[view][known]
    check_finite(view, z)
    z = unit_rows(z.to(torch.promote_types(z.dtype, torch.float32)))
    return [z[domain == code] for code in domain.unique() if (domain == code).sum() > 1]


def unlabelled(batch: Batch, label: str) -> Tensor:
    """bool (B,), True where a row has a view or more and its class is not known."""
    here = batch.any_present
    return here & (batch.y[label] < 0) if label in batch.y else here


def nothing(batch: Batch, state: nn.Module) -> Tensor:
    """0, as a function of every embedding and of all that the term learns. A term that starts its sum here takes part
    in the backward pass also when no row suits it; other processes wait for it there. What a cell holds is not read.
    """
    fused = [] if batch.fused is None else [batch.fused]
    tensors = [*batch.z.values(), *fused, *batch.twin.values(), *state.parameters()]
    return sum((t.flatten()[:0].sum() for t in tensors), start=batch.rows.new_zeros((), dtype=tensors[0].dtype))
