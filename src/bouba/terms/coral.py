"""CORAL: embeddings whose covariances are alike in every domain."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_domains, check_finite, check_views
from bouba.terms.rows import averaged, by_domain
from bouba.terms.term import Needs, Parts, Space, Term


def coral(z_a: Tensor, z_b: Tensor) -> Tensor:
    """How far apart the covariances of two sets of embeddings are.

        L = |C_a - C_b|_F^2 / (4 d^2),    C = sum_i (z_i - mean)(z_i - mean)' / (n - 1)

    Means play no part, nor does anything beyond second moments: `mmd` and `domain_adversarial` match more, and cost all
    pairs of rows or a classifier. This costs n d^2 operations and d x d memory a set.

    Values to know. Two sets of n rows of one normal distribution give (tr(C)^2 + |C|_F^2) / (2 (n - 1) d^2) in the
    mean, not 0. Embeddings shrunk by half give 1/16 of it: without something else that holds their scale, shrinking
    is the cheapest way down.

    Args:
        z_a: (n, d) embeddings of one domain, n >= 1. Any float type; half precision is computed in float32.
        z_b: (m, d) of another, m >= 1. A single row has a covariance of 0.

    Returns:
        A scalar of 0 or more, float32 (float64 for float64 input).

    Raises:
        UsageError: unequal widths, or no rows.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Sun and Saenko 2016, Deep CORAL: Correlation Alignment for Deep Domain Adaptation, equations 1 to 3.

    >>> x = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # covariance 2/3 I
    >>> coral(x, 2 * x).item()  # 2 (8/3 - 2/3)^2 / 16
    0.5
    """
    if z_a.ndim != 2 or z_b.ndim != 2 or z_a.shape[1] != z_b.shape[1] or 0 in (len(z_a), len(z_b)):
        shapes = f"z_a {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}"
        raise UsageError(f"coral needs embeddings (n, d) and (m, d) of one width d, n and m >= 1, got {shapes}")
    check_finite("z_a", z_a)
    check_finite("z_b", z_b)
    return _distance(_covariance(z_a), _covariance(z_b))


def _covariance(z: Tensor) -> Tensor:
    """(d, d), in float32 or better."""
    with torch.autocast(z.device.type, enabled=False):
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        z = z - z.mean(0)
        return z.T @ z / max(len(z) - 1, 1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum() / (4 * len(a) ** 2)


@dataclass(frozen=True)
class CORAL(Term):
    """Embeddings whose directions have the same covariance in every domain.

        L = 1/|V| sum over views v in V of mean over pairs of domains (p, q) of coral(U_p, U_q),
        U_p = rows sqrt(d) z_i / |z_i|, i in p

    Every two domains are compared and all pairs count the same, whatever the domains' shares of the batch; V are the
    views that two domains or more have. Rows without the view, or of an unknown domain, are left out, and a domain
    with one row, which has no covariance.

    Use it when a source with pairs or labels must carry over to a target without them. It is the cheapest term for
    this and has nothing to tune but its weight, and matches least: domains that differ in their means alone are alike
    to it, and not to `MMD` and `DomainAdversarial`. The paper's rule for the weight is that this term and the other
    end about equal; too large a weight gives up the task. CORALAligner does the same to features that are ready,
    without training.

    Held-out rows of the target are not validated on (see `fit`), so this is not either.

    Args:
        views: which views to adapt; all of them when None.

    Logs `distance.<view>`, the distance of a view's covariances.

    Reference: Sun and Saenko 2016, Deep CORAL, equation 1. Departures: directions instead of embeddings, since
    embeddings are compared by them and a cosine would let z shrink for nothing; any number of domains; masked missing
    views.

    >>> 100 * CORAL(("image",))
    100 * CORAL(views=('image',))
    """

    views: tuple[str, ...] | None = None

    def needs(self) -> Needs:
        return Needs(validates=False)

    def state(self, space: Space) -> nn.Module:
        check_views("CORAL names", self.views, space.dims)
        check_domains("CORAL", space)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view in self.views or batch.z:
            covariances = [_covariance(z * math.sqrt(z.shape[1])) for z in by_domain(batch, view)]
            pairs = [_distance(*pair) for pair in itertools.combinations(covariances, 2)]
            if pairs:
                costs.append(torch.stack(pairs).mean())
                parts[f"distance.{view}"] = costs[-1].detach()
        return averaged(costs), parts
