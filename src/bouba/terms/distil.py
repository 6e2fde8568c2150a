"""Distil: a small model learns to embed as a large one does, from vectors that stand ready in a column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bouba.batch import picked
from bouba.errors import ModalityError, UsageError, nearest
from bouba.nn.by_view import ByView
from bouba.nn.parts import current_part
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_embeddings, check_finite, check_views
from bouba.terms.rows import averaged
from bouba.terms.structure import neighbours
from bouba.terms.term import Needs, Parts, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch


def distil(z: Tensor, teacher: Tensor) -> Tensor:
    """How far B embeddings point away from those of a teacher.

        L = 1/B sum_i (1 - cos(z_i, t_i))  =  1/2B sum_i |u_i - v_i|^2,   u = z / |z|, v = t / |t|

    Args:
        z: (B, p) embeddings. teacher: (B, p) of the same cells, without gradient.

    Returns:
        A scalar in [0, 2], of at least float32.

    Raises:
        UsageError: shapes that differ. DataError: NaN or infinity.

    Reference: Reimers & Gurevych 2020, Making Monolingual Sentence Embeddings Multilingual by Knowledge Distillation,
    equation 1. Departure: of directions, as embeddings are compared by cosine.

    >>> distil(torch.eye(2), 3 * torch.eye(2)).item(), distil(torch.eye(2), -torch.eye(2)).item()
    (0.0, 2.0)
    """
    check_embeddings("distil", z=z, teacher=teacher)
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(z.dtype, torch.float32)
        u, v = unit_rows(z.to(dtype)), unit_rows(teacher.detach().to(dtype))
        return (u - v).square().sum(1).mean() / 2


def distil_similarities(z: Tensor, teacher: Tensor, *, temperature: float = 0.05) -> Tensor:
    """How far the neighbourhoods of B embeddings are from those of a teacher, whatever the widths of the two.

        L = 1/B sum_i KL(p_i || q_i),   p_i = softmax_{j != i}(cos(t_i, t_j) / tau),   q_i the same of z

    Args:
        z: (B, d) embeddings, B >= 3. teacher: (B, p) of the same cells, without gradient.
        temperature: tau, above 0; the smaller, the more the nearest neighbours alone count.

    Returns:
        A scalar in nats, at least 0.

    Raises:
        UsageError: shapes or a temperature that make no sense. DataError: NaN or infinity.

    Reference: Fang et al. 2021, SEED: Self-supervised Distillation for Visual Representation, equations 3 - 5.
    Departures: neighbours are the other rows of the batch, not a queue; one temperature for both.

    >>> z = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    >>> abs(round(distil_similarities(z, 3 * z).item(), 6))
    0.0
    """
    if z.ndim != 2 or teacher.ndim != 2 or len(z) != len(teacher) or len(z) < 3:
        shapes = f"{tuple(z.shape)} and {tuple(teacher.shape)}"
        raise UsageError(f"distil_similarities needs z (B, d) and teacher (B, p), B of 3 or more, got {shapes}")
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature must be one finite number above 0, got {temperature}")
    check_finite("z", z)
    check_finite("teacher", teacher)
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(z.dtype, torch.float32)
        part = current_part()
        [(start, stop)] = part.stretches(len(z))
        q, p = (neighbours(x.to(dtype), slice(start, stop), temperature) for x in (z, teacher.detach()))
        divergences = (p.exp() * (p - q)).sum(1)
        mean = divergences.mean() if part.count == 1 else part.sum_of_costs(divergences.sum()) / len(z)
        return mean.clamp(min=0)


@dataclass(frozen=True)
class Distil(Term):
    """Embeddings drawn to those that a teacher gives of the same cells.

        L = mean over views v of distil(W_v z_v, t),   W_v learnt where the widths differ, else nothing

    Use it where a large model is right and too slow: `bouba.taught(views, teacher)` writes what it gives of each cell
    into a view of its own, once, and the small model trains on these numbers, without a forward pass of the large one.
    Where `dim` is the teacher's width no map stands between, and the student's embeddings can be looked for among the
    teacher's. DistilSimilarities keeps what is near what, and leaves the axes free; beside InfoNCE it costs less of
    what pairs teach.

    Args:
        teacher: a view of ready vectors. It gets no tower, and the fitted model does not need it.
        views: which views it teaches; all when None. A text's vector teaches its picture too, as a caption's meaning.

    Reference: Reimers & Gurevych 2020, equation 1. Departures: cosine; the map.

    >>> Distil("taught caption", views=("caption",)) + Distil("taught picture", views=("picture",))
    Distil(teacher='taught caption', views=('caption',)) + Distil(teacher='taught picture', views=('picture',))
    """

    teacher: str
    views: tuple[str, ...] | None = None

    def needs(self) -> Needs:
        return Needs(embeddings=self.views, teachers=(self.teacher,))

    def state(self, space: Space) -> ByView:
        taught = _students(self, space)
        width = space.teachers[self.teacher]
        return ByView({view: _map(space.dims[view], width) for view in taught})

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view, z, vectors in _pairs(batch, self.teacher, self.views, least=1):
            costs.append(distil(state[view](z), vectors))
            parts[view] = costs[-1].detach()
        return averaged(costs), parts


@dataclass(frozen=True)
class DistilSimilarities(Term):
    """Neighbourhoods in each view drawn to those that a teacher gives the same cells.

        L = mean over views v of distil_similarities(z_v, t; tau)

    Use it instead of Distil where the student is narrower than the teacher, or is to be searched by itself: what is
    near what is taken over, the axes are not. Structure does the same with the student's own encoder as the teacher.

    Args:
        teacher: a view of ready vectors. views: which views it teaches; all when None.
        temperature: how near is near, in cosines.

    Reference: Fang et al. 2021, SEED, equations 3 - 5.

    >>> DistilSimilarities("taught caption", temperature=0.1)
    DistilSimilarities(teacher='taught caption', views=None, temperature=0.1)
    """

    teacher: str
    views: tuple[str, ...] | None = None
    temperature: float = 0.05

    def needs(self) -> Needs:
        return Needs(embeddings=self.views, teachers=(self.teacher,))

    def state(self, space: Space) -> nn.Module:
        _students(self, space)
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature must be one finite number above 0, got {self.temperature}")
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view, z, vectors in _pairs(batch, self.teacher, self.views, least=3):
            costs.append(distil_similarities(z, vectors, temperature=self.temperature))
            parts[view] = costs[-1].detach()
        return averaged(costs), parts


def _pairs(
    batch: Batch, teacher: str, views: tuple[str, ...] | None, *, least: int
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Of each view its name, z and the teacher's vectors, of the rows that have both."""
    for view in views or batch.z:
        rows = batch.rows_with(view, teacher)
        if len(batch.rows if rows is None else rows) >= least:
            yield view, picked(batch.z[view], rows), picked(batch.teachers[teacher], rows)


def _students(term: Distil | DistilSimilarities, space: Space) -> tuple[str, ...]:
    """The views that a term teaches. ModalityError for one, or a teacher, that does not exist."""
    name = type(term).__name__
    check_views(f"{name} names", term.views, space.dims)
    if term.teacher not in space.teachers:
        raise ModalityError(f"{name} learns from {term.teacher!r}, no such view{nearest(term.teacher, space.teachers)}")
    return tuple(space.dims) if term.views is None else term.views


def _map(width: int, wanted: int) -> nn.Module:
    """From the student's width to the teacher's."""
    return nn.Identity() if width == wanted else nn.Linear(width, wanted, bias=False)
