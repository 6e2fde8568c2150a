"""Barlow Twins: number j of one embedding correlates with number j of the other, and with no other number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_embeddings
from bouba.terms.rows import averaged, check_matched, matched, needs_of_matched
from bouba.terms.sim_siam import standardised
from bouba.terms.term import Needs, Parts, Space, Term


def barlow_twins(z: Tensor, other: Tensor, *, redundancy: float = 0.005) -> Tensor:
    """How far the correlations between two embeddings of the same B things are from the identity.

        L = 1/d [ sum_j (1 - C_jj)^2 + redundancy sum_{j != k} C_jk^2 ]
        C_jk = 1/B sum_i u_ij u'_ik,   u = (z - mean) / sqrt(Var + 1e-5), over the rows

    The first sum makes the two agree, the second makes each number say something new, so that they cannot collapse. It
    reads no scale and no mean, unlike `vicreg`, and no negatives, unlike `nt_xent`. `correlation` leaves the axes free
    and cares for the space alone; here number j of one is number j of the other.

    Args:
        z: (B, d) embeddings, B >= 2. Any float type; half precision is computed in float32.
        other: (B, d) embeddings of the same things: of other random changes, or of another view.
        redundancy: lambda, weight of the second sum, at least 0. It has d - 1 times as many summands as the first: the
            paper's value is of d = 8,192, and narrow embeddings bear a larger one.

    Returns:
        A scalar, at least 0, float32 (float64 for float64 input); 1 where nothing correlates.

    Raises:
        UsageError: a shape, a number of rows or a weight that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Zbontar, Jing, Misra, LeCun and Deny 2021, Barlow Twins: Self-Supervised Learning via Redundancy
    Reduction, equations 1 and 2. Departure: divided by d, so that a weight among other terms keeps its meaning.

    >>> z = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    >>> round(barlow_twins(z, 3 * z + 1).item(), 4), round(barlow_twins(z, z[:, [0, 0]], redundancy=1.0).item(), 4)
    (0.0, 1.0)
    """
    check_embeddings("barlow_twins", z=z, other=other)
    _check(redundancy)
    if len(z) < 2:
        raise UsageError(f"barlow_twins needs two rows or more, got {len(z)}: one row correlates with nothing")
    own, rest = _costs(z, other)
    return own + redundancy * rest


def _costs(z: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both sums, divided by d."""
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(torch.promote_types(z.dtype, other.dtype), torch.float32)
        correlations = standardised(z.to(dtype)).T @ standardised(other.to(dtype)) / len(z)  # (d, d)
        own = correlations.diagonal()
        d = len(own)
        return (1 - own).square().sum() / d, (correlations - own.diag()).square().sum() / d


def _check(redundancy: float) -> None:
    if not 0 <= redundancy < torch.inf:
        raise UsageError(f"redundancy is a finite weight of 0 or more, got {redundancy}; 0.005 is the paper's")


@dataclass(frozen=True)
class BarlowTwins(Term):
    """Each number of an embedding agrees with itself in the other, and with nothing else.

        L = 1/|V| sum over views v of barlow_twins(z_v, twin_v),   the two random changes of each cell
        L = 1/|P| sum over pairs of views (a, b) of barlow_twins(z_a, z_b),   with `across`, over rows that have both

    As VICReg, whose neighbour it is: one weight instead of three, and embeddings of any scale. With `across` the axes
    of the views are matched one by one, each of a scale of its own: standardise embeddings before you compare them, or
    take VICReg, which sets the scale.

    Args:
        redundancy: lambda, weight of what different numbers have in common.
        views: which views; all when None.
        across: between the views of a row instead of the random changes of a cell.

    Logs `agreement`, 1/d sum (1 - C_jj)^2, and `redundancy`, 1/d sum_{j != k} C_jk^2, as means over the views or pairs.

    Reference: Zbontar et al. 2021, Barlow Twins. Departures: see `barlow_twins`; any number of views, masked missing
    cells.

    >>> BarlowTwins(across=True)
    BarlowTwins(redundancy=0.005, views=None, across=True)
    """

    redundancy: float = 0.005
    views: tuple[str, ...] | None = None
    across: bool = False

    def needs(self) -> Needs:
        return needs_of_matched(self.views, across=self.across)

    def state(self, space: Space) -> nn.Module:
        check_matched("BarlowTwins", self.views, space, across=self.across)
        _check(self.redundancy)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], []
        for *_, z, other in matched("BarlowTwins", batch, self.views, across=self.across, least=2):
            check_embeddings("barlow_twins", z=z, other=other)
            own, rest = _costs(z, other)
            costs.append(own + self.redundancy * rest)
            parts.append(torch.stack([own, rest]).detach())
        return averaged(costs), Parts(zip(("agreement", "redundancy"), averaged(parts))) if parts else Parts()  # type: ignore[arg-type]
