"""InfoNCE: of everything in the batch, pick the partner. The loss of CLIP and SimCLR."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bouba.errors import UsageError
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.log_one_plus import log_one_plus
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.similarity import row_similarity
from bouba.nn.temperature import Temperature
from bouba.nn.unit import unit_rows
from bouba.terms.checks import (
    check_columns,
    check_embeddings,
    check_pairs,
    check_similarity,
    check_tile,
    is_checked,
    precise,
)
from bouba.terms.rows import averaged, negatives, of_chance, paired, summed
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


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
    """Symmetric InfoNCE (NT-Xent): cross-entropy of picking row i's partner among all rows, both ways.

        s_ij = sim(a_i, b_j) / temperature
        L = 1/2B sum_i  [-log exp s_ii / sum_j exp s_ij]  +  [-log exp s_ii / sum_j exp s_ji]

    Computed as the mean of softplus(log sum_{j != i} exp s_ij - s_ii): exact, also where a solved batch costs
    1e-30, and without the B x B matrix. Use it when batches are large enough to hold hard negatives (256 and
    more); `sigmoid_pairs` judges each pair alone and suits small batches; `triplet` looks at the margin to the
    hardest negative only and needs no temperature.

    Two values to know: embeddings that are all alike cost log B exactly, so a run stuck at log B has collapsed;
    a batch of one has no negatives and costs 0, with zero gradient.

    Args:
        z_a, z_b: (B, D) embeddings; row i of one belongs to row i of the other. Any float type; half precision
            is computed in float32, on a GPU but for what matrix products read (`nn.gpu_tables.operand_dtype`).
        temperature: tau > 0, divides the similarity; a scalar tensor is learnt.
        similarity: "cosine" in [-1, 1], "dot", or "euclidean" (minus the distance).
        key: int64 (B,); rows of equal key are the same thing and no negatives of each other. Negative = unknown.
        weight: (B,), at least 0; the loss is the weighted mean over rows, 0 if all are 0. A row of weight 0 remains
            a negative of the others.
        tile: side of the tiles the logits are computed in; None picks one. Changes time and memory only.

    Returns:
        The loss, a scalar in nats, float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, temperature, similarity, weight or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    References: van den Oord et al. 2018, equation 4; Chen et al. 2020 (SimCLR), equation 1; Radford et al. 2021
    (CLIP), figure 3. Departures: `key` and `weight`; a row shorter than 1e-6 is not normalised, so that its
    gradient stays small; negatives are taken across the views only, as in CLIP.

    >>> z = torch.eye(4)
    >>> round(info_nce(z, z, temperature=1.0).item(), 4)  # log(1 + 3 / e)
    0.7437
    >>> round(info_nce(torch.ones(4, 2), torch.ones(4, 2)).item(), 4)  # all alike: log 4
    1.3863
    """
    _check(z_a, z_b, similarity, key, weight, tile)
    operands = operand_dtype(z_a, z_b)
    scale, z_a, z_b = precise(temperature, z_a, z_b)
    with torch.autocast(z_a.device.type, enabled=False):
        if similarity == "cosine":
            z_a, z_b = unit_rows(z_a), unit_rows(z_b)
        euclidean = similarity == "euclidean"
        positive = scale * row_similarity(z_a, z_b, euclidean=euclidean)  # (B,)
        strangers = off_diagonal_logsumexp(
            z_a, z_b, scale, floor=positive, key=key, euclidean=euclidean, tile=tile, operands=operands
        )
        cost = log_one_plus(strangers - positive).sum(0) / 2  # of rows and of columns
        if weight is None:
            return cost.mean()
        weight = weight.to(cost.dtype)
        return (cost * weight).sum() / weight.sum().clamp(min=torch.finfo(cost.dtype).tiny)


def _check(z_a, z_b, similarity, key, weight, tile) -> None:
    check_embeddings("info_nce", z_a=z_a, z_b=z_b)
    check_similarity(similarity)
    check_tile(tile)
    check_columns(len(z_a), key=key, weight=weight)
    if weight is not None and is_checked(weight) and not (weight >= 0).all():
        raise UsageError(f"weight must be at least 0 everywhere, got {weight.min().item():g}")


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
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        tile: side of the tiles the logits are computed in; memory is O(tile^2), the result the same.

    Logs `temperature`, and `of_chance`: the loss as a share of the mean ln(1 + number of a row's negatives), which
    is ln B without equal keys: 1 where all rows look alike, 0 where solved.

    Reference: van den Oord et al. 2018; Radford et al. 2021. Departures: any number of views, masked missing views,
    masked false negatives.

    >>> InfoNCE() + 0.3 * InfoNCE(temperature=0.5, learn=False)  # doctest: +ELLIPSIS
    InfoNCE(temperature=0.07, learn=True, ...) + 0.3 * InfoNCE(temperature=0.5, learn=False, ...)
    """

    temperature: float = 0.07
    learn: bool = True
    similarity: str = "cosine"
    pairs: Pairs = None
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True, similarity=self.similarity)

    def state(self, space: Space) -> Temperature:
        check_pairs("InfoNCE", self.pairs, space)
        check_similarity(self.similarity)
        return Temperature(self.temperature, trainable=self.learn)

    def loss(self, batch, state):
        tau, costs, rivals = state(), [], []
        for z_a, z_b, key in paired(batch, self.pairs, least=2):
            costs.append(info_nce(z_a, z_b, temperature=tau, similarity=self.similarity, key=key, tile=self.tile))
            rivals.append(negatives(key, len(z_a), z_a.device))
        parts: Parts = {"temperature": tau.detach()}
        if costs:
            parts |= of_chance(summed(costs), rivals)
        return averaged(costs), parts
