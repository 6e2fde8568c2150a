"""FuseMix: contrast between pairs that are mixed of two, by one share in both views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bouba.errors import UsageError
from bouba.nn.temperature import Temperature
from bouba.terms.checks import check_embeddings, check_pairs, is_checked
from bouba.terms.info_nce import info_nce
from bouba.terms.rows import averaged, paired
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


def fuse_mix(z_a: Tensor, z_b: Tensor, share: Tensor, order: Tensor, *, temperature: float | Tensor = 0.07) -> Tensor:
    """InfoNCE between rows that are mixed of two, by the same share and with the same other row in both views.

        a~_i = l_i a_i + (1 - l_i) a_o(i),   b~_i = l_i b_i + (1 - l_i) b_o(i),   L = info_nce(a~, b~)

    Where towers end in a linear map of ready features, mixing what they give is mixing the features.

    Args:
        z_a, z_b: (B, D), row i of one belongs to row i of the other. share: (B,) l, from 0 to 1. order: int64 (B,) o.
        temperature: tau, divides the cosines; a scalar tensor is learnt.

    Raises:
        UsageError: shapes, shares or a temperature that make no sense. DataError: NaN or infinity.

    Reference: Vouitsis et al. 2024, Data-Efficient Multimodal Fusion on a Single GPU (FuseMix).

    >>> z = torch.eye(4)
    >>> fuse_mix(z, z, torch.ones(4), torch.arange(4)).item() == info_nce(z, z).item()
    True
    """
    check_embeddings("fuse_mix", z_a=z_a, z_b=z_b)
    if share.shape != (len(z_a),) or (is_checked(share) and not ((share >= 0) & (share <= 1)).all()):
        raise UsageError(f"share must hold a number from 0 to 1 for each of {len(z_a)} rows, got {tuple(share.shape)}")
    l = share.to(z_a.dtype)[:, None]  # noqa: E741
    mixed = [l * z + (1 - l) * z[order] for z in (z_a, z_b)]
    return info_nce(*mixed, temperature=temperature)


@dataclass(frozen=True)
class FuseMix(Term):
    """InfoNCE over pairs that are mixed of two, every batch anew, for heads on frozen features and few pairs.

        L = 1/|P| sum over pairs (a, b) in P of fuse_mix(z_a, z_b),   l ~ Beta(alpha, alpha)

    Use it instead of InfoNCE, or beside it, where heads learn a few hundred pairs by heart. With MLP(hidden=()) or
    frozen encoders it is FuseMix as published; behind hidden layers it mixes what they give.

    Args:
        alpha: of the Beta distribution, above 0; 1 takes every share alike, larger ones come near a half.
        temperature: start of tau. learn: train it, as InfoNCE does, or keep it.
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.

    Logs `temperature`.

    Reference: Vouitsis et al. 2024, section 4. Departure: the mixing is behind the towers.

    >>> FuseMix(alpha=2.0)
    FuseMix(alpha=2.0, temperature=0.07, learn=True, pairs=None)
    """

    alpha: float = 1.0
    temperature: float = 0.07
    learn: bool = True
    pairs: Pairs = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, validates=False, aligns=True)

    def state(self, space: Space) -> Temperature:
        check_pairs("FuseMix", self.pairs, space)
        if not 0 < self.alpha < float("inf"):
            raise UsageError(f"alpha must be one finite number above 0, got {self.alpha}")
        return Temperature(self.temperature, trainable=self.learn)

    def loss(self, batch, state):
        tau, costs = state(), []
        beta = torch.distributions.Beta(self.alpha, self.alpha)
        for z_a, z_b, _ in paired(batch, self.pairs, least=2):
            share, order = beta.sample((len(z_a),)).to(z_a), torch.randperm(len(z_a)).to(z_a.device)
            costs.append(fuse_mix(z_a, z_b, share, order, temperature=tau))
        return averaged(costs), Parts(temperature=tau.detach())
