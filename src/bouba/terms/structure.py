"""Structure: what was near before training stays near."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.batch import picked
from bouba.errors import ModalityError, UsageError
from bouba.nn.parts import current_part
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_views
from bouba.terms.rows import averaged
from bouba.terms.term import Needs, Parts, Space, Term


def structure(z: Tensor, before: Tensor, *, temperature: float = 0.1) -> Tensor:
    """How much the neighbourhoods of B rows differ from those that they had before.

        L = 1/B sum_i JS(p_i, q_i),   p_i = softmax_{j != i}(cos(z_i, z_j) / tau),   q_i the same of `before`, centred

    Args:
        z: (B, d) embeddings, B >= 3. before: (B, e) of the same rows, without gradient. temperature: tau, above 0.

    Returns:
        A scalar in [0, log 2].

    Raises:
        UsageError: shapes or a temperature that make no sense. DataError: NaN or infinity.

    Reference: STRUCTURE (2025), the Jensen-Shannon divergence of neighbourhoods before and after; one level of them.

    >>> z = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    >>> round(structure(z, 3 * z).item(), 6)
    0.0
    """
    if z.ndim != 2 or before.ndim != 2 or len(z) != len(before) or len(z) < 3:
        shapes = f"{tuple(z.shape)} and {tuple(before.shape)}"
        raise UsageError(f"structure needs rows (B, d) and the same before (B, e), B of 3 or more, got {shapes}")
    _check_temperature(temperature)
    check_finite("z", z)
    check_finite("before", before)
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(z.dtype, torch.float32)
        z, before = z.to(dtype), before.detach().to(dtype)
        part = current_part()
        [(start, stop)] = part.stretches(len(z))
        rows = slice(start, stop)
        p, q = neighbours(z, rows, temperature), neighbours(before - before.mean(0), rows, temperature)
        middle = torch.logaddexp(p, q) - torch.log(z.new_tensor(2.0))
        divergences = (p.exp() * (p - middle) + q.exp() * (q - middle)).sum(1) / 2
        mean = divergences.mean() if part.count == 1 else part.sum_of_costs(divergences.sum()) / len(z)
        return mean.clamp(min=0)


def neighbours(x: Tensor, rows: slice, temperature: float) -> Tensor:
    """(I, B - 1) log probabilities of the others as neighbours of some rows."""
    u = unit_rows(x)
    size = len(u)
    others = torch.arange(size - 1, device=u.device)
    others = others + (others >= torch.arange(rows.start, rows.stop, device=u.device)[:, None])  # (I, B - 1)
    return (u[rows] @ u.T / temperature).gather(1, others).log_softmax(1)


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature must be one finite number above 0, got {temperature}")


@dataclass(frozen=True)
class Structure(Term):
    """Neighbourhoods of each view are kept as its encoder gave them before training.

        L = mean over views of structure(z_v, x_v),   x_v what the encoder of v gives before training

    Use it beside a contrastive term on frozen features where pairs are few: the heads then cannot learn the pairs by
    heart at the price of what the encoders knew. Any row teaches it, paired or not. Towers must have a raw form, as MLP
    and frozen encoders have; of pictures trained from scratch that would be their pixels, which is no knowledge.

    Args:
        views: which views; all that have a raw form when None. temperature: how near is near, in cosines.

    Reference: STRUCTURE (2025). Departure: one level of neighbourhoods instead of several.

    >>> Structure()
    Structure(views=None, temperature=0.1)
    """

    views: tuple[str, ...] | None = None
    temperature: float = 0.1

    def needs(self) -> Needs:
        return Needs(raw=True, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_views("Structure names", self.views, space.dims)
        _check_temperature(self.temperature)
        for view in self.views or ():
            if view not in space.raw:
                raise ModalityError(f"Structure reads {view!r} before training, and its encoder has no raw form")
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view in self.views or batch.raw:
            rows = batch.rows_with(view)
            if len(batch.rows if rows is None else rows) < 3:
                continue
            z, raw = picked(batch.z[view], rows), picked(batch.raw[view], rows).flatten(1)
            costs.append(structure(z, raw, temperature=self.temperature))
            parts[view] = costs[-1].detach()
        return averaged(costs), parts
