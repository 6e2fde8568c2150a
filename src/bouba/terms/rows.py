"""Which rows of a batch a term reads, and sums and means of what they cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bouba.batch import picked
from bouba.device import moved
from bouba.nn.tiles import pair_codes
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_pairs, check_twins, check_views, is_checked
from bouba.terms.term import Needs, Pairs, Parts, Space

if TYPE_CHECKING:
    from bouba.batch import Batch


def pairs_of(pairs: Pairs, views: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of views that a term compares.

    >>> pairs_of("image", ["text", "image", "audio"])
    [('image', 'text'), ('image', 'audio')]
    """
    if isinstance(pairs, str):
        return [(pairs, view) for view in views if view != pairs]
    return list(pairs or itertools.combinations(views, 2))


def paired(batch: Batch, pairs: Pairs, *, least: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """z_a, z_b and key of the rows that have both views, for every pair of views that has `least` such rows.

    Args:
        pairs: which pairs of views, or the anchor; every pair when None.
    """
    for a, b in pairs_of(pairs, batch.z):
        both = batch.rows_with(a, b)
        if len(batch.rows if both is None else both) >= least:
            key = None if batch.key is None else picked(batch.key, both)
            yield picked(batch.z[a], both), picked(batch.z[b], both), key


def matched(
    term: str, batch: Batch, views: tuple[str, ...] | None, *, across: bool, least: int
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Two embeddings of the same things, (m, d) each, and the names of their views, where `least` rows have them.

    Args:
        term: its name, for messages. views: which views; all when None.
        across: of every two views of a row; else of one view, of a cell's two random changes.
    """
    if not across:
        check_twins(term, batch)
    names = tuple(batch.z) if views is None else views
    for a, b in itertools.combinations(names, 2) if across else zip(names, names):
        rows = batch.rows_with(a, b)
        if len(batch.rows if rows is None else rows) >= least:
            yield a, b, picked(batch.z[a], rows), picked(batch.z[b] if across else batch.twin[b], rows)


def needs_of_matched(views: tuple[str, ...] | None, *, across: bool) -> Needs:
    """What a term reads that compares what `matched` gives: twins of each cell, or the views of a row."""
    return Needs(pairs=across, unpaired=not across, embeddings=views, twins=not across, aligns=across)


def check_matched(term: str, views: tuple[str, ...] | None, space: Space, *, across: bool) -> None:
    """UsageError, ModalityError for views that `matched` could not take."""
    check_views(f"{term} names", views, space.dims)
    if across:
        names = tuple(space.dims) if views is None else views
        check_pairs(term, None, replace(space, dims={name: space.dims[name] for name in names}))


def negatives(key: Tensor | None, rows: int, device) -> Tensor:
    """int64 (rows,), how many of the rows are negatives of each: all whose key is another, or unknown, but itself."""
    if key is None:
        return torch.full((rows,), rows - 1, device=device)
    codes, _ = pair_codes(rows, key, device)
    return rows - equals(codes)


def equals(codes: Tensor) -> Tensor:
    """int64 (n,), how many of n numbers are equal to each, itself among them.

    >>> equals(torch.tensor([3, 5, 3]))
    tensor([2, 1, 2])
    """
    ordered = codes.sort().values
    return torch.searchsorted(ordered, codes, right=True) - torch.searchsorted(ordered, codes)


def of_chance(cost: Tensor, negatives: Sequence[Tensor]) -> Parts:
    """{"of_chance": a sum of mean costs as a share of what they are where all rows look alike}.

    Args:
        cost: the sum. negatives: for each mean, (n,) how many negatives stand in each of its rows' denominators.

    Returns:
        Nothing where no row has a negative: there is nothing to tell apart. A GPU in training gives 0 then, for nobody
        looks.
    """
    alike = summed([count.float().log1p().mean() for count in negatives])
    if not is_checked(alike):  # without a negative the cost is 0
        return {"of_chance": cost.detach() / alike.clamp(min=torch.finfo(alike.dtype).tiny)}
    return {"of_chance": cost.detach() / alike} if alike > 0 else {}


def by_domain(batch: Batch, view: str) -> list[Tensor]:
    """Directions z / |z| (B_d, D), of at least float32, of each domain that has two rows or more with the view."""
    assert batch.domain is not None, "the space has domains"
    known = batch if batch.known is None else batch.known
    domain = known.domain[of_a_domain(view, known)]  # type: ignore[index]
    z = picked(batch.z[view], batch.rows_where(partial(of_a_domain, view)))
    check_finite(view, z)
    z = unit_rows(z.to(torch.promote_types(z.dtype, torch.float32)))
    of_each = [(domain == code).nonzero(as_tuple=True)[0] for code in domain.unique()]
    return [z[moved(rows, z.device)] for rows in of_each if len(rows) > 1]


def of_a_domain(view: str, batch: Batch) -> Tensor:
    """bool (B,), True where a row has the view and its domain is known."""
    assert batch.domain is not None, "the space has domains"
    return batch.present[view] & (batch.domain >= 0)


def unlabelled(batch: Batch, label: str) -> Tensor:
    """bool (B,), True where a row has a view or more and its class is not known."""
    return batch.any_present & ~batch.labelled(label)


def summed(costs: Sequence[Tensor]) -> Tensor:
    """The sum of one cost or more, added up in order."""
    return sum(costs[1:], start=costs[0])


def averaged(costs: Sequence[Tensor]) -> Tensor | None:
    """The mean of the costs; None of none, which is what `Term.loss` returns where no row suits."""
    return summed(costs) / len(costs) if costs else None
