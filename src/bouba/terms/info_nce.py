"""InfoNCE: what belongs together is more alike than what does not."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.temperature import Temperature
from bouba.terms.term import Parts, Space, Term

SIMILARITIES = ("cosine", "dot", "euclidean")


def info_nce(
    z_a: Tensor,
    z_b: Tensor,
    *,
    temperature: float | Tensor = 0.07,
    similarity: str = "cosine",
    key: Tensor | None = None,
    weight: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """The symmetric contrastive loss of B pairs, each the other pairs' negatives (NT-Xent, CLIP's loss).

        s_ij = sim(a_i, b_j) / tau
        L = 1/2B sum_i [ -log exp(s_ii) / sum_j exp(s_ij)  -  log exp(s_ii) / sum_j exp(s_ji) ]
          = 1/2B sum_i [ softplus(r_i - s_ii) + softplus(c_i - s_ii) ],   r_i = log sum_{j != i} exp(s_ij), c_i likewise

    The second form is what is computed: r and c in tiles, so memory is O(tile^2 + B d), and the positives apart, so
    a solved batch keeps its digits. A sigmoid pairwise loss judges each pair alone and suits small batches; a
    triplet loss looks only at the hardest negative.

    Args:
        z_a, z_b: (B, d) embeddings; row i of both is the same thing. Halves are computed in float32.
        temperature: tau > 0, a number or a scalar tensor with gradient; it divides.
        similarity: "cosine"; "dot"; or "euclidean", the negative distance.
        key: int64 (B,); pairs with equal keys are no negatives of each other. Negative keys equal no other.
        weight: (B,) >= 0, how much each pair counts; all alike when None.
        tile: side of the tiles; chosen when None. The result does not depend on it.

    Returns:
        Scalar, in nats. ln B where all embeddings are alike; 0 for B = 1, which has no negatives.

    Raises:
        UsageError: shapes that differ, temperature <= 0, an unknown similarity. DataError: NaN or infinity.

    Reference: van den Oord et al. 2018, equation 4; Chen et al. 2020 (NT-Xent); Radford et al. 2021, figure 3.

    >>> z = torch.eye(4)
    >>> round(float(info_nce(z, z, temperature=1.0)), 4)  # log(1 + 3 exp(-1))
    0.7437
    """
    _refuse_unfit(z_a, z_b, temperature, similarity)
    z_a, z_b = (z.float() if z.dtype.itemsize < 4 else z for z in (z_a, z_b))
    scale = 1 / torch.as_tensor(temperature, dtype=z_a.dtype, device=z_a.device)
    if similarity == "cosine":
        z_a, z_b = F.normalize(z_a, dim=1, eps=1e-6), F.normalize(z_b, dim=1, eps=1e-6)
    if similarity == "euclidean":
        positive = -scale * torch.linalg.vector_norm(z_a - z_b, dim=1)  # (B,)
    else:
        positive = scale * (z_a * z_b).sum(1)
    rows, cols = off_diagonal_logsumexp(
        z_a,
        z_b,
        scale,
        floor=positive.detach(),
        key=key,
        euclidean=similarity == "euclidean",
        tile=tile or 1024,
    )
    zero = torch.zeros_like(positive)  # softplus(x) = log(exp(x) + exp(0)); torch's own gives up digits above x = 20
    each = (torch.logaddexp(rows - positive, zero) + torch.logaddexp(cols - positive, zero)) / 2
    return each.mean() if weight is None else (weight * each).sum() / weight.sum()


def _refuse_unfit(z_a: Tensor, z_b: Tensor, temperature: float | Tensor, similarity: str) -> None:
    if z_a.dim() != 2 or z_a.shape != z_b.shape or not len(z_a):
        raise UsageError(f"info_nce pairs two (B, d) tensors row by row, got {tuple(z_a.shape)} and {tuple(z_b.shape)}")
    tau = float(temperature.detach() if isinstance(temperature, Tensor) else temperature)
    if not tau > 0:
        raise UsageError(f"temperature divides and must be above 0, got {tau:g}")
    check_similarity(similarity)
    for name, z in (("z_a", z_a), ("z_b", z_b)):
        bad = (~torch.isfinite(z).all(1)).nonzero()
        if len(bad):
            raise DataError(f"{name} holds NaN or infinity in {len(bad)} of {len(z)} rows, first in row {int(bad[0])}")


def check_similarity(similarity: str) -> None:
    """UsageError unless `similarity` is one of SIMILARITIES."""
    if similarity not in SIMILARITIES:
        raise UsageError(f"no similarity {similarity!r}{nearest(similarity, SIMILARITIES)}")


@dataclass(frozen=True)
class InfoNCE(Term):
    """The symmetric contrastive loss over every pair of views, with a learnt temperature.

        L = 1/|P| sum over pairs (a, b) in P of info_nce(z_a, z_b; tau),   over the rows that have both views

    Rows with equal keys show the same thing and are no negatives of each other. It needs rows with two views or
    more, and large batches help: every other row is a negative.

    Args:
        temperature: start of tau, which divides the similarities.
        learn: train logit_scale = -log tau, clamped to [1, 100] (Radford et al. 2021), or keep tau fixed.
        similarity: "cosine", "dot" or "euclidean" (the negative distance).
        pairs: which pairs of views; every pair when None.
        tile: side of the tiles the logits are computed in; memory is O(tile^2), the result the same.

    Logs `temperature`, and `of_chance`: the loss as a share of ln B, 1 where all rows look alike, 0 where solved.

    Reference: van den Oord et al. 2018; Radford et al. 2021. Departures: any number of views, masked missing views,
    masked false negatives.

    >>> InfoNCE() + 0.3 * InfoNCE(temperature=0.5, learn=False)  # doctest: +ELLIPSIS
    InfoNCE(temperature=0.07, learn=True, ...) + 0.3 * InfoNCE(temperature=0.5, learn=False, ...)
    """

    reads_unpaired: ClassVar[bool] = False

    temperature: float = 0.07
    learn: bool = True
    similarity: str = "cosine"
    pairs: tuple[tuple[str, str], ...] | None = None
    tile: int | None = None

    def state(self, space: Space) -> Temperature:
        if len(space.dims) < 2:
            raise UsageError(
                f"InfoNCE needs two views or more, got {len(space.dims)} ({', '.join(map(repr, space.dims))}); "
                "name another column, for example text=..."
            )
        for view in itertools.chain.from_iterable(self.pairs or ()):
            if view not in space.dims:
                raise ModalityError(f"InfoNCE pairs name {view!r}, but no such view{nearest(view, space.dims)}")
        check_similarity(self.similarity)
        return Temperature(self.temperature, learnt=self.learn)

    def loss(self, batch, state):
        tau = state()
        total, used, chance = tau.new_zeros(()), 0, 0.0
        for a, b in self.pairs or itertools.combinations(batch.z, 2):
            both = batch.present[a] & batch.present[b]
            n = int(both.sum())
            if n < 2:
                continue
            key = None if batch.key is None else batch.key[both]
            total = total + info_nce(
                batch.z[a][both], batch.z[b][both], temperature=tau, similarity=self.similarity, key=key, tile=self.tile
            )
            used, chance = used + 1, chance + math.log(n)
        parts: Parts = {"temperature": tau.detach()}
        if not used:  # no pair in this batch; keep the graph so that every process steps
            return total * tau, parts
        return total / used, parts | {"of_chance": total.detach() / chance}
