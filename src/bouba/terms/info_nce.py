"""InfoNCE: of everything in the batch, pick the partner. The loss of CLIP and SimCLR."""

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
from bouba.nn.unit import unit_rows
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
            is computed in float32.
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
    z_a, z_b, scale = _precise(z_a, z_b, temperature)
    with torch.autocast(z_a.device.type, enabled=False):
        if similarity == "cosine":
            z_a, z_b = unit_rows(z_a), unit_rows(z_b)
        euclidean = similarity == "euclidean"
        positive = scale * (-(z_a - z_b).norm(dim=1) if euclidean else torch.linalg.vecdot(z_a, z_b))  # (B,)
        rows, cols = off_diagonal_logsumexp(
            z_a, z_b, scale, floor=positive, key=key, euclidean=euclidean, tile=tile or _side(z_a)
        )
        # past 40 nats softplus(x) is x to the last bit of float64
        cost = (F.softplus(rows - positive, threshold=40.0) + F.softplus(cols - positive, threshold=40.0)) / 2
        if weight is None:
            return cost.mean()
        weight = weight.to(cost.dtype)
        return (cost * weight).sum() / weight.sum().clamp(min=torch.finfo(cost.dtype).tiny)


def _side(z: Tensor) -> int:
    """A tile that stays in a CPU's cache, or fills a GPU (measured by `bouba bench info-nce`)."""
    return 1024 if z.device.type == "cpu" else 4096


def _precise(z_a, z_b, temperature) -> tuple[Tensor, Tensor, Tensor]:
    """Both embeddings in one precision of at least float32, and the scale 1 / temperature."""
    dtype = torch.promote_types(torch.promote_types(z_a.dtype, z_b.dtype), torch.float32)
    temperature = torch.as_tensor(temperature, dtype=dtype, device=z_a.device)
    if temperature.numel() != 1 or not 0 < temperature < torch.inf:
        raise UsageError(f"temperature must be one finite number above 0, got {temperature.tolist()}")
    return z_a.to(dtype), z_b.to(dtype), 1 / temperature.reshape(())


def _check(z_a, z_b, similarity, key, weight, tile) -> None:
    if z_a.ndim != 2 or z_a.shape != z_b.shape or len(z_a) == 0:
        shapes = f"z_a {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}"
        raise UsageError(f"info_nce needs two embeddings of one shape (B, D) with B >= 1, got {shapes}")
    check_similarity(similarity)
    if tile is not None and tile < 1:
        raise UsageError(f"tile must be at least 1, got {tile}; leave it out to have one picked")
    for name, column in (("key", key), ("weight", weight)):
        if column is not None and column.shape != z_a.shape[:1]:
            raise UsageError(f"{name} must hold one number a row, ({len(z_a)},), got {tuple(column.shape)}")
    if weight is not None and not (weight >= 0).all():
        raise UsageError(f"weight must be at least 0 everywhere, got {weight.min().item():g}")
    for name, z in (("z_a", z_a), ("z_b", z_b)):
        if not torch.isfinite(z.detach().sum()):  # one pass without a mask; a sum may overflow, so look again
            bad = (~torch.isfinite(z)).any(1).nonzero().flatten().tolist()
            if bad:
                raise DataError(f"{name} holds NaN or infinity in {len(bad)} of {len(z)} rows, first in row {bad[0]}")


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
            return total * tau + 0 * sum(z.sum() for z in batch.z.values()), parts
        return total / used, parts | {"of_chance": total.detach() / chance}
