"""Transport plans: cells without a partner are matched as what is known of the batch's pairs would match them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import ModalityError, UsageError
from bouba.nn.sinkhorn import log_sinkhorn
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_pairs
from bouba.terms.rows import averaged, pairs_of
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


def transport_plans(affinity: Tensor, teacher: Tensor, *, sharpness: float = 0.1) -> Tensor:
    """How far the matching that affinities make is from the one that a teacher's make.

        L = KL(P* | P) = sum_ij P*_ij log(P*_ij / P_ij),   P = Sinkhorn(affinity / eps),   P* = Sinkhorn(teacher / eps)

    Plans share out every row and every column evenly, so that no cell is everybody's partner. The gradient is that of
    the solved plan, (P - P*) / eps in the affinity: nothing is differentiated through the steps.

    Args:
        affinity: (n, m), learns. teacher: (n, m), does not. sharpness: eps, above 0.

    Returns:
        A scalar of 0 or more, in nats.

    Raises:
        UsageError: unequal shapes or a sharpness that makes no sense. DataError: NaN or infinity.

    Reference: SOTAlign (2026), the divergence of entropic plans; Cuturi 2013.

    >>> transport_plans(torch.eye(3), torch.eye(3)).item()
    0.0
    """
    if affinity.ndim != 2 or affinity.shape != teacher.shape or 0 in affinity.shape:
        shapes = f"{tuple(affinity.shape)} and {tuple(teacher.shape)}"
        raise UsageError(f"transport_plans needs two matrices of one shape (n, m), got {shapes}")
    _check_sharpness(sharpness)
    check_finite("affinity", affinity)
    check_finite("teacher", teacher)
    with torch.autocast(affinity.device.type, enabled=False):
        dtype = torch.promote_types(affinity.dtype, torch.float32)
        affinity, teacher = affinity.to(dtype), teacher.detach().to(dtype)
        wanted, made = log_sinkhorn(teacher, sharpness), log_sinkhorn(affinity, sharpness)
        value = (wanted.exp() * (wanted - made)).sum().clamp(min=0)
        slope = (made.exp() - wanted.exp()) / sharpness
        pull = (slope * affinity).sum()
        return value + pull - pull.detach()


def _check_sharpness(sharpness: float) -> None:
    if not 0 < sharpness < float("inf"):
        raise UsageError(f"sharpness must be one finite number above 0, got {sharpness}")


@dataclass(frozen=True)
class TransportPlans(Term):
    """Every two views' cells, paired or not, are matched as their likeness to the batch's pairs would match them.

        teacher_ij  = cos(r_a(i), r_b(j)),   r_v(i) = clip(cos(x_i, x_p), 0)^4 over the batch's pairs p,
                      x what the encoder of v gives before training
        L = mean over pairs of views of transport_plans(cos(z_a, z_b), teacher)

    Use it beside a contrastive term where most rows have one view only: that term learns from the pairs, this one from
    the rest. It needs some ten pairs in a batch or more, so large batches; where all rows are pairs it has nothing to
    add. Towers must have a raw form, as MLP and frozen encoders have.

    Args:
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        sharpness: eps of both plans.
        least: pairs that a batch must have.

    Reference: SOTAlign (2026), whose teacher is a linear map fitted to the pairs. Departure: here it is relative
    representations (Norelli et al. 2023, ASIF), which need no training of their own.

    >>> 0.1 * TransportPlans()
    0.1 * TransportPlans(pairs=None, sharpness=0.1, least=4)
    """

    pairs: Pairs = None
    sharpness: float = 0.1
    least: int = 4

    def needs(self) -> Needs:
        return Needs(raw=True, validates=False, aligns=True)

    def state(self, space: Space) -> nn.Module:
        check_pairs("TransportPlans", self.pairs, space)
        _check_sharpness(self.sharpness)
        named = (self.pairs,) if isinstance(self.pairs, str) else itertools.chain(*self.pairs or ())
        for view in dict.fromkeys(named):
            if view not in space.raw:
                raise ModalityError(f"TransportPlans reads {view!r} before training, and its encoder has no raw form")
        return nn.Module()

    def loss(self, batch, state):
        costs = []
        views = [view for view in batch.z if view in batch.raw]
        for a, b in pairs_of(self.pairs, views):
            both = batch.present[a] & batch.present[b]
            if int(both.sum()) < self.least:
                continue
            rows = {view: batch.present[view] for view in (a, b)}
            relative = [relative_rows(batch.raw[view], rows[view], both) for view in (a, b)]
            z = [unit_rows(batch.z[view][rows[view]]) for view in (a, b)]
            costs.append(transport_plans(z[0] @ z[1].T, relative[0] @ relative[1].T, sharpness=self.sharpness))
        return averaged(costs), Parts()


@torch.no_grad()
def relative_rows(raw: Tensor, rows: Tensor, anchors: Tensor) -> Tensor:
    """Similarities of some rows (n,) to anchors (p,), both bool (B,), to the fourth power: unit rows (n, p)."""
    x = raw.detach().flatten(1)
    x = unit_rows(torch.where(rows[:, None], x, torch.zeros_like(x)) - x[rows].mean(0))
    return unit_rows((x[rows] @ x[anchors].T).clamp(min=0) ** 4)
