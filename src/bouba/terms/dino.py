"""DINO: towers sort cells into groups as their own moving averages do, without any name for a group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.batch import picked
from bouba.errors import UsageError
from bouba.nn.by_view import ByView
from bouba.nn.moving_average import MovingAverage
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_embeddings, check_views
from bouba.terms.rows import averaged, matched
from bouba.terms.term import Needs, Parts, Space, Term


def dino(
    student: Tensor, teacher: Tensor, centre: Tensor, *, temperature: float = 0.1, teacher_temperature: float = 0.04
) -> Tensor:
    """Cross-entropy between how a teacher sorts B things into K groups and how a student does.

        L = -1/B sum_i sum_k p_ik log q_ik,   p = softmax((t - c) / tau_t),   q = softmax(s / tau_s)

    Taking off the centre keeps one group from taking all; the small temperature of the teacher, which sharpens, keeps
    all groups from being alike. One without the other collapses.

    Args:
        student: (B, K) scores. teacher: (B, K) scores, without gradient. centre: (K,) c, a running mean of the
            teacher's scores. temperature, teacher_temperature: tau_s and tau_t, above 0.

    Returns:
        A scalar in nats, of at least float32; log K where the student knows nothing.

    Raises:
        UsageError: shapes or temperatures that make no sense. DataError: NaN or infinity; names the row.

    Reference: Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, equations 1 to 4.

    >>> scores = torch.eye(4)
    >>> round(dino(0 * scores, scores, torch.zeros(4)).item(), 4)  # log 4
    1.3863
    """
    check_embeddings("dino", student=student, teacher=teacher)
    _check(temperature, teacher_temperature)
    with torch.autocast(student.device.type, enabled=False):
        dtype = torch.promote_types(student.dtype, torch.float32)
        p = ((teacher.detach().to(dtype) - centre.to(dtype)) / teacher_temperature).softmax(1)
        return -(p * (student.to(dtype) / temperature).log_softmax(1)).sum(1).mean()


def _check(*temperatures: float) -> None:
    if not all(0 < tau < torch.inf for tau in temperatures):
        raise UsageError(f"temperatures must be finite numbers above 0, got {temperatures}; 0.1 and 0.04 are a start")


class Prototypes(nn.Module):
    """Directions of K groups: embeddings (B, d) -> cosines (B, K)."""

    def __init__(self, dim: int, groups: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(groups, dim))

    def forward(self, z: Tensor) -> Tensor:
        return unit_rows(z) @ unit_rows(self.weight).T


class Sorting(nn.Module):
    """The student's prototypes, their moving average, and the centre of the teacher's scores."""

    centre: Tensor
    taken: Tensor

    def __init__(self, dim: int, groups: int, decay: float, momentum: float):
        super().__init__()
        self.momentum = momentum
        self.prototypes = Prototypes(dim, groups)
        self.average = MovingAverage(self.prototypes, decay)
        self.register_buffer("centre", torch.zeros(groups))
        self.register_buffer("taken", torch.zeros(groups), persistent=False)

    @torch.no_grad()
    def teacher(self, z: Tensor) -> Tensor:
        """The teacher's scores (B, K), which move the centre from `after_step` on."""
        scores = self.average.run(self.prototypes, z)
        self.taken = self.momentum * self.centre + (1 - self.momentum) * scores.mean(0).to(self.centre.dtype)
        return scores

    @torch.no_grad()
    def after_step(self) -> None:
        """Keep what the last rows made of the centre; the average takes in the step."""
        self.centre.copy_(self.taken)
        self.average.update(self.prototypes)


@dataclass(frozen=True)
class DINO(Term):
    """Towers sort the random changes of a cell into groups as their moving averages sort another change of it.

        L = 1/|V| sum over views v of 1/2 [ dino(s_v, t_v) + dino(s'_v, t_v) ]
        s = P u, s' = P u', t = P_avg u_avg;   u directions of z, twin and average, P (K, d) unit prototypes

    Use it where a cell's kind matters more than which cell it is: groups pull alike cells together, where NTXent pushes
    every two apart. BYOL predicts the slow towers' embedding itself.

    Args:
        groups: K, how many; more than there are kinds.
        temperature, teacher_temperature: tau_s and tau_t; the teacher's is smaller.
        decay: of the moving averages of towers and prototypes, in [0, 1).
        momentum: of the centre, in [0, 1).
        views: which views; all when None.

    Logs `used`: e to the entropy of the teacher's mean shares, in groups, 1 where all cells are in one; and
    `sharpness`: the mean largest share of a cell, 1/K where nothing is sorted. A smaller loss does not mean a better
    model, so nothing is validated by it.

    Reference: Caron et al. 2021, DINO. Departures: two changes of full size and no small crops; prototypes on the
    embedding itself instead of a deep head; a fixed decay with a warm-up, fixed temperatures; a running centre that
    moves after the step; any kind of view, masked missing cells.

    >>> DINO(groups=64).teacher_temperature
    0.04
    """

    groups: int = 256
    temperature: float = 0.1
    teacher_temperature: float = 0.04
    decay: float = 0.99
    momentum: float = 0.9
    views: tuple[str, ...] | None = None

    def needs(self) -> Needs:
        return Needs(embeddings=self.views, twins=True, averaged=self.decay, validates=False)

    def state(self, space: Space) -> ByView:
        check_views("DINO names", self.views, space.dims)
        _check(self.temperature, self.teacher_temperature)
        if self.groups < 2 or not 0 <= self.momentum < 1:
            raise UsageError(
                f"DINO needs 2 groups or more and a momentum in [0, 1), got {self.groups} and {self.momentum}"
            )
        views = self.views or space.dims
        return ByView({v: Sorting(space.dims[v], self.groups, self.decay, self.momentum) for v in views})

    def loss(self, batch, state):
        costs: list[Tensor] = []
        logged: list[Tensor] = []
        for view, _, *students in matched("DINO", batch, self.views, across=False, least=1):
            sorting: Sorting = state[view]
            centre = sorting.centre.clone()
            teacher = sorting.teacher(picked(batch.averaged[view], batch.rows_with(view)))
            options = {"temperature": self.temperature, "teacher_temperature": self.teacher_temperature}
            costs += [dino(sorting.prototypes(z), teacher, centre, **options) for z in students]
            logged.append(_sorted(((teacher - centre) / self.teacher_temperature).softmax(1)))
        return averaged(costs), Parts(zip(("used", "sharpness"), averaged(logged))) if logged else Parts()  # type: ignore[arg-type]


def _sorted(shares: Tensor) -> Tensor:
    """How many groups are used, and how sure a cell's is, (2,), of shares (B, K)."""
    mean = shares.mean(0)
    return torch.stack([torch.special.entr(mean).sum().exp(), shares.amax(1).mean()]).detach()
