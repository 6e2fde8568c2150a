"""VICReg: two embeddings of a thing agree, and neither collapses: each number varies, and no two vary together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_embeddings
from bouba.terms.rows import averaged, check_matched, matched, needs_of_matched
from bouba.terms.term import Needs, Parts, Space, Term

EPSILON = 1e-4  # added to a variance before its root, whose gradient is infinite at 0


def vicreg(
    z: Tensor, other: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """How far two embeddings of the same B things disagree, and how far each is from varying in every direction.

        L = invariance * s + variance * v + covariance * c
        s = 1/Bd sum_i |z_i - z'_i|^2
        v = 1/2d sum_j max(0, 1 - sqrt(Var(z^j) + 1e-4)),   and the same of z', added
        c = 1/d sum_{j != k} Cov(z)_jk^2,                   and the same of z', added

    Var and Cov are over the rows, divided by B - 1. Only moments of the batch hold the rows apart: no row is another's
    negative, so that it holds for small batches and does not push apart what is alike. Use `nt_xent` where embeddings
    are to be compared by cosine at once; `correlation` where only what two embeddings share is wanted, whatever its
    scale; `barlow_twins` asks the same with one matrix and no scale.

    Args:
        z: (B, d) embeddings, B >= 2. Any float type; half precision is computed in float32.
        other: (B, d) embeddings of the same things: of other random changes, or of another view.
        invariance, variance, covariance: weights of the three, at least 0.

    Returns:
        A scalar, at least 0, float32 (float64 for float64 input). Two constant embeddings that agree cost
        variance * (1 - 0.01).

    Raises:
        UsageError: a shape, a number of rows or a weight that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Bardes, Ponce and LeCun 2022, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
    Learning, equations 1 to 6, as in the authors' program: s is divided by d, v by 2, which the paper's text does not.

    >>> z = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # uncorrelated, of a variance above 1
    >>> vicreg(z, z).item()
    0.0
    """
    _check(invariance, variance, covariance)
    s, v, c = _costs(z, other)
    return invariance * s + variance * v + covariance * c


def _costs(z: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Invariance, variance and covariance."""
    check_embeddings("vicreg", z=z, other=other)
    if len(z) < 2:
        raise UsageError(f"vicreg needs two rows or more, got {len(z)}: one row has no variance")
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(torch.promote_types(z.dtype, other.dtype), torch.float32)
        z, other = z.to(dtype), other.to(dtype)
        s = (z - other).square().mean()
        spreads, overlaps = [], []
        for x in (z, other):
            covariance = _covariance(x)
            variance = covariance.diagonal()
            spreads.append((1 - (variance + EPSILON).sqrt()).clamp(min=0).mean() / 2)
            overlaps.append((covariance - variance.diag()).square().sum() / x.shape[1])
        return s, spreads[0] + spreads[1], overlaps[0] + overlaps[1]


def _covariance(z: Tensor) -> Tensor:
    """(d, d), of (B, d)."""
    z = z - z.mean(0)
    return z.T @ z / (len(z) - 1)


def _check(*weights: float) -> None:
    if not all(0 <= weight < torch.inf for weight in weights):
        raise UsageError(f"invariance, variance and covariance are finite weights of 0 or more, got {weights}")


@dataclass(frozen=True)
class VICReg(Term):
    """Two embeddings of a thing agree, while each number of an embedding varies and none repeats another.

        L = 1/|V| sum over views v of vicreg(z_v, twin_v),   the two random changes of each cell
        L = 1/|P| sum over pairs of views (a, b) of vicreg(z_a, z_b),   with `across`, over the rows that have both

    As NTXent for one modality, or with `across` as InfoNCE for two, without negatives: batches may be small, and rows
    that show the same thing are not pushed apart. `VICReg() + VICReg(across=True)` does both. Embeddings end with a
    variance of about 1 in each direction, and are compared by distance.

    Args:
        invariance, variance, covariance: weights of the three parts.
        views: which views; all when None.
        across: between the views of a row instead of the random changes of a cell.

    Logs `invariance`, `variance` and `covariance`, unweighted, as means over the views or pairs; a variance near 1 says
    that embeddings have collapsed.

    Reference: Bardes et al. 2022, VICReg. Departures: any number of views, masked missing cells.

    >>> VICReg(views=("image",))
    VICReg(invariance=25.0, variance=25.0, covariance=1.0, views=('image',), across=False)
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    views: tuple[str, ...] | None = None
    across: bool = False

    def needs(self) -> Needs:
        return replace(needs_of_matched(self.views, across=self.across), similarity="euclidean")

    def state(self, space: Space) -> nn.Module:
        check_matched("VICReg", self.views, space, across=self.across)
        _check(self.invariance, self.variance, self.covariance)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], []
        for *_, z, other in matched("VICReg", batch, self.views, across=self.across, least=2):
            s, v, c = _costs(z, other)
            costs.append(self.invariance * s + self.variance * v + self.covariance * c)
            parts.append(torch.stack([s, v, c]).detach())
        names = ("invariance", "variance", "covariance")
        return averaged(costs), Parts(zip(names, averaged(parts))) if parts else Parts()  # type: ignore[arg-type]
