"""Robust InfoNCE: the contrastive loss for pairs of which some are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.log_one_plus import log_one_plus
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.similarity import row_similarity
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_columns, check_embeddings, check_pairs, check_tile, precise
from bouba.terms.rows import averaged, paired
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


def robust_info_nce(
    z_a: Tensor,
    z_b: Tensor,
    *,
    q: float = 0.5,
    density: float = 0.01,
    temperature: float = 0.07,
    key: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """Contrast that a few wrong pairs cannot bend: rows that never fit lose their pull. Symmetric, both ways.

        s_ij = cos(a_i, b_j) / temperature,   c = 1 / temperature
        L = 1/2B sum_i  [ -e^{q (s_ii - c)} + (density * sum_j e^{s_ij - c})^q ] / q   +   the same with s_ji

    The gradient towards the partner carries e^{q s_ii}: a pair that is still far apart while others have come together
    is believed less and less. For q towards 0 the loss is `info_nce` but for a constant; at q = 1 every pair pulls with
    the weight of its own similarity, and wrong labels cancel out.

    Args:
        z_a, z_b: (B, D) embeddings; row i of one belongs to row i of the other. Any float type; half precision
            is computed in float32, on a GPU but for what matrix products read (`nn.gpu_tables.operand_dtype`).
        q: how little a pair that does not fit is believed, in (0, 1]; the paper advises 0.1 to 0.5.
        density: lambda, in (0, 1], weighs strangers against partners.
        temperature: tau > 0, divides the cosines. It is not learnt: sharper would always cost less.
        key: int64 (B,); rows of equal key are the same thing and no negatives of each other. Negative = unknown.
        tile: side of the tiles the logits are computed in; None picks one. Changes time and memory only.

    Returns:
        The loss, a scalar from -1/q up, float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, q, density, temperature or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Chuang et al. 2022, Robust Contrastive Learning against Noisy Views (RINCE), equation 5. Departures: a
    constant factor e^{-q c}, so that no loss overflows; `key`; negatives are taken across the views only, as in CLIP.

    >>> z = torch.eye(4)
    >>> round(robust_info_nce(z, z, q=1.0, density=0.5, temperature=1.0).item(), 4)  # -1 + (1 + 3 / e) / 2
    0.0518
    """
    check_embeddings("robust_info_nce", z_a=z_a, z_b=z_b)
    _check_shares(q, density)
    check_tile(tile)
    check_columns(len(z_a), key=key)
    operands = operand_dtype(z_a, z_b)
    scale, z_a, z_b = precise(temperature, z_a, z_b)
    with torch.autocast(z_a.device.type, enabled=False):
        z_a, z_b = unit_rows(z_a), unit_rows(z_b)
        positive = scale * row_similarity(z_a, z_b)  # (B,)
        sums = off_diagonal_logsumexp(z_a, z_b, scale, floor=positive, key=key, tile=tile, operands=operands)
        pull = (q * (positive - scale)).exp()
        costs = [
            (q * (math.log(density) + positive + log_one_plus(strangers - positive) - scale)).exp() - pull
            for strangers in sums
        ]
        return (costs[0] + costs[1]).mean() / (2 * q)


def _check_shares(q: float, density: float) -> None:
    for name, share in (("q", q), ("density", density)):
        if not 0 < share <= 1:
            raise UsageError(f"{name} lies above 0 and is at most 1, got {share}")


@dataclass(frozen=True)
class RobustInfoNCE(Term):
    """Robust contrast over every pair of views, for tables in which some captions belong to other rows.

        L = 1/|P| sum over pairs (a, b) in P of robust_info_nce(z_a, z_b),   over the rows that have both views

    Use it where a fifth of the pairs or more may be wrong, and InfoNCE where they are right: pairs that do not fit yet
    are then the ones that teach, and this one finds fewer partners. `bouba bench wrong-pairs` measures both.

    Args:
        q: how little a pair that does not fit is believed, in (0, 1].
        density: weighs strangers against partners, in (0, 1].
        temperature: divides the cosines, and stays.
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        tile: side of the tiles the logits are computed in; the result is the same.

    Reference: Chuang et al. 2022. Departures: any number of views, masked missing views, masked false negatives, and
    those of `robust_info_nce`.

    >>> RobustInfoNCE(q=0.3)
    RobustInfoNCE(q=0.3, density=0.01, temperature=0.07, pairs=None, tile=None)
    """

    q: float = 0.5
    density: float = 0.01
    temperature: float = 0.07
    pairs: Pairs = None
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True)

    def state(self, space: Space) -> nn.Module:
        check_pairs("RobustInfoNCE", self.pairs, space)
        _check_shares(self.q, self.density)
        if not 0 < self.temperature < math.inf:
            raise UsageError(f"temperature must be one finite number above 0, got {self.temperature}")
        return nn.Module()

    def loss(self, batch, state):
        costs = [
            robust_info_nce(
                z_a, z_b, q=self.q, density=self.density, temperature=self.temperature, key=key, tile=self.tile
            )
            for z_a, z_b, key in paired(batch, self.pairs, least=2)
        ]
        return averaged(costs), Parts()
