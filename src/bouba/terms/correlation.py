"""Correlation: the embeddings of a row's views vary together in every direction. The objective of Deep CCA."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_finite, check_pairs
from bouba.terms.rows import averaged, paired
from bouba.terms.term import Needs, Pairs, Space, Term

FLOOR = 1e-8  # variance below which an embedding counts as constant; its gradient then is of order 1 / sqrt(FLOOR)


def correlation(z_a: Tensor, z_b: Tensor, *, ridge: float = 0.1) -> Tensor:
    """The sum of the canonical correlations between two embeddings, the larger the better.

        T = S_aa^(-1/2) S_ab S_bb^(-1/2),   sum_k s_k(T) = |T|_*        (nuclear norm; s_k are singular values)

    of centred z, each S_ii shifted by ridge * tr(S_ii) / d. Whitening removes scale and, up to the ridge, shape:
    nothing is gained by growing or copying a direction, and a collapsed embedding correlates with nothing. No
    negatives are needed, unlike `info_nce`, which looks at single pairs and cares for their order; this looks at the
    whole batch.

    The gradient is finite wherever the value is. T is whitened by Cholesky factors L_a^-1 S_ab L_b^-T, which has the
    singular values of the symmetric form, and a nuclear norm has the gradient U V'; the usual way through `eigh` or
    `svd` divides by differences of singular values and gives NaN where two are equal. Covariances are float64.

    It takes many rows. Of B rows without any relation d directions still correlate by about sqrt(d / B), and fully for
    B <= d. With fewer than some 10 d rows networks learn to exploit that: a few extreme rows of each batch carry its
    variance, so that every batch correlates and the whole does not. A ridge holds them back (d = 80, B = 500 on halves
    of digits: 67 within batches and 36 over all rows with ridge 1e-3, 66 and 74 with 0.1).

    Args:
        z_a: (B, d_a) embeddings, B >= 2. Any float type.
        z_b: (B, d_b) embeddings; row i of one belongs to row i of the other.
        ridge: share of the mean variance added to every direction's variance, at least 0. What varies less than this
            share counts for little; even a full correlation of equal variances then comes to 1 / (1 + ridge).

    Returns:
        A scalar between 0 and min(d_a, d_b), float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, a number of rows or a ridge that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Andrew, Arora, Bilmes and Livescu 2013, Deep Canonical Correlation Analysis, equations 9 and 10.
    Departures: the ridge is relative to the mean variance, so that scale does not matter, and comes with an absolute
    1e-8; Cholesky instead of symmetric roots; all components count.

    >>> z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> round(correlation(z, z @ torch.tensor([[1.0, 2, 0], [0, 1, 0], [3, 0, 1]]) + 5, ridge=0.0).item(), 4)
    3.0
    >>> round(correlation(z, torch.ones(100, 3)).item(), 4)
    0.0
    """
    _check(z_a, z_b, ridge)
    dtype = torch.promote_types(torch.promote_types(z_a.dtype, z_b.dtype), torch.float32)
    with torch.autocast(z_a.device.type, enabled=False):
        a, b = _centred(z_a), _centred(z_b)
        between = a.T @ b / len(a)  # (d_a, d_b)
        half = torch.linalg.solve_triangular(_factor(a, ridge), between, upper=False)
        whitened = torch.linalg.solve_triangular(_factor(b, ridge), half.T, upper=False)  # (d_b, d_a)
        return torch.linalg.svdvals(whitened).sum().to(z_a.device, dtype)


def _centred(z: Tensor) -> Tensor:
    device = "cpu" if z.device.type == "mps" else z.device  # Apple's GPUs have no float64
    z = z.to(device, torch.float64)
    return z - z.mean(0)


def _factor(z: Tensor, ridge: float) -> Tensor:
    """Cholesky factor of the shifted covariance (d, d) of centred z."""
    covariance = z.T @ z / len(z)
    mean_variance = covariance.diagonal().mean()
    rounding = 1e-12 * len(covariance)  # what keeps the factor real when rank is missing and ridge is 0
    shift = (ridge + rounding) * mean_variance + FLOOR
    return torch.linalg.cholesky(covariance + shift * torch.eye(len(covariance), dtype=z.dtype, device=z.device))


def _check(z_a: Tensor, z_b: Tensor, ridge: float) -> None:
    if z_a.ndim != 2 or z_b.ndim != 2 or len(z_a) != len(z_b) or len(z_a) < 2:
        shapes = f"z_a {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}"
        raise UsageError(f"correlation needs two embeddings (B, d) of the same B >= 2 rows, got {shapes}")
    check_ridge(ridge)
    check_finite("z_a", z_a)
    check_finite("z_b", z_b)


def check_ridge(ridge: float) -> None:
    """UsageError unless `ridge` is a number of 0 or more."""
    if not 0 <= ridge < torch.inf:
        raise UsageError(f"ridge must be a finite number of 0 or more, got {ridge}; 0.1 is a start")


@dataclass(frozen=True)
class Correlation(Term):
    """Deep CCA's objective over every pair of views.

        L = 1/|P| sum over pairs (a, b) in P of 1 - correlation(z_a, z_b) / d,   over the rows that have both views

    Divided by the width d it is 1 without any correlation and 0 with a full one, whatever the width, so that a weight
    among other terms keeps its meaning; the direction of the gradient is the paper's.

    It leaves embeddings free up to an invertible map of each view: canonical variates come out of a linear CCA on
    top, which DeepCCA fits. Batches of 10 d rows or more; see `correlation`.

    Args:
        ridge: share of the mean variance added to every direction's variance.
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.

    Logs `sum`, the paper's objective: the sum of correlations under the ridge, a mean over the pairs.

    Reference: Andrew et al. 2013, Deep Canonical Correlation Analysis; Wang, Arora, Livescu and Bilmes 2015, On Deep
    Multi-View Representation Learning (large batches instead of full ones; DCCAE = Correlation() + w *
    Reconstruction()). Departures: any number of views, masked missing views.

    >>> Correlation() + 0.1 * Correlation(ridge=0.5, pairs=(("image", "text"),))
    Correlation(ridge=0.1, pairs=None) + 0.1 * Correlation(ridge=0.5, pairs=(('image', 'text'),))
    """

    ridge: float = 0.1
    pairs: Pairs = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True)

    def state(self, space: Space) -> nn.Module:
        check_pairs("Correlation", self.pairs, space)
        check_ridge(self.ridge)
        return nn.Module()

    def loss(self, batch, state):
        total: Tensor | float = 0.0
        sums = []
        for z_a, z_b, _ in paired(batch, self.pairs, least=2):
            value = correlation(z_a, z_b, ridge=self.ridge)
            total = total + 1 - value / min(z_a.shape[1], z_b.shape[1])
            sums.append(value.detach())
        if not sums:
            return None, {}
        return total / len(sums), {"sum": averaged(sums)}
