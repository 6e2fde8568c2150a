"""Triplets: a partner has to be nearer than a stranger, by a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bouba.errors import UsageError, nearest
from bouba.nn.parts import Part, current_part
from bouba.nn.similarity import row_similarity, similarity_table
from bouba.nn.tiles import pair_codes, slices
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_columns, check_embeddings, check_pairs, check_similarity, check_tile, precise
from bouba.terms.rows import averaged, paired, summed
from bouba.terms.term import Needs, Pairs, Space, Term

MININGS = ("semi-hard", "hardest", "all")


def triplet(
    z_a: Tensor,
    z_b: Tensor,
    *,
    margin: float = 0.2,
    mining: str = "semi-hard",
    similarity: str = "cosine",
    key: Tensor | None = None,
    tile: int = 256,
) -> Tensor:
    """Hinge loss on how much more similar a row's partner is than a negative, both ways.

        h(i, j) = max(0, margin + sim(a_i, b_j) - sim(a_i, b_i))
        L = 1/2B sum_i  h(i, n_i)  +  the same with a and b exchanged

    `mining` chooses the negatives n_i of row i:

    - "hardest": the most similar one. Sharp, and the one that a wrong pair in the data misleads most.
    - "semi-hard": the most similar one among those less similar than the partner. The hinge is 0 unless it lies within
      the margin. Where all negatives are more similar than the partner, the least similar of them is taken, so that no
      row that is wrong goes without a gradient.
    - "all": the sum of h over all negatives, which grows with B.

    Use it where a ranking is wanted and no probability, or where few negatives matter; `info_nce` weighs all negatives
    by how near they are and needs no margin, but a temperature.

    Embeddings that are all alike cost the margin exactly (B - 1 of it with "all"): "hardest" may fall there from a
    random start and stay; "semi-hard" seldom does. A batch of one costs 0.

    Args:
        z_a, z_b: (B, D) embeddings; row i of one belongs to row i of the other. Any float type; half precision
            is computed in float32.
        margin: above 0, in units of the similarity.
        mining: "semi-hard", "hardest" or "all".
        similarity: "cosine" in [-1, 1], "dot", or "euclidean" (minus the distance).
        key: int64 (B,); rows of equal key are the same thing and no negatives of each other. Negative = unknown.
        tile: rows compared with all others at once; memory is O(B * tile), the result the same.

    Returns:
        The loss, a scalar in units of the similarity, float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, margin, mining, similarity or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    References: Faghri et al. 2018 (VSE++), the sum of hinges ("all") and the max of hinges ("hardest"); Schroff et al.
    2015 (FaceNet), equation 4 ("semi-hard"). Departures: the two ways are averaged, not added; FaceNet compares
    squared distances of unit rows, which are 2 - 2 cos, so that its margin of 0.2 is 0.1 here.

    >>> z = torch.eye(4)
    >>> triplet(z, z, mining="hardest").item()
    0.0
    >>> round(triplet(z, z.roll(1, 0), mining="hardest").item(), 4)  # a stranger at 1, the partner at 0
    1.2
    """
    check_embeddings("triplet", z_a=z_a, z_b=z_b)
    _check_choices(margin, mining, similarity)
    check_columns(len(z_a), key=key)
    check_tile(tile)
    _, z_a, z_b = precise(1.0, z_a, z_b)
    codes, _ = pair_codes(len(z_a), key, z_a.device)
    euclidean = similarity == "euclidean"
    with torch.autocast(z_a.device.type, enabled=False):
        if similarity == "cosine":
            z_a, z_b = unit_rows(z_a), unit_rows(z_b)
        if euclidean:  # distances ignore a common shift; a centred cloud loses fewer digits
            z_a, z_b = z_a - z_a.detach().mean(0), z_b - z_a.detach().mean(0)
        positive = row_similarity(z_a, z_b, euclidean=euclidean)  # (B,)
        if mining == "all":
            return _all_hinges(z_a, z_b, positive, margin, codes, euclidean, tile) / (2 * len(z_a))
        hinges = []
        for a, b in ((z_a, z_b), (z_b, z_a)):
            rival = _mine(a, b, positive, mining, codes, euclidean, tile)
            hinge = F.relu(margin + row_similarity(a, b[rival], euclidean=euclidean) - positive)
            hinges.append(hinge.masked_fill(codes == codes[rival], 0.0))  # a row without negatives costs nothing
        return torch.cat(hinges).mean()


@torch.no_grad()
def _mine(a, b, positive, mining, codes, euclidean, tile) -> Tensor:
    """n_i, the row of b that row i of a is compared with, int64 (B,); one of its own code if it has no negatives."""

    def rivals(i: slice) -> Tensor:
        table = similarity_table(a[i], b, euclidean=euclidean)  # (I, B)
        same = codes[i, None] == codes
        if mining == "hardest":
            return table.masked_fill(same, -torch.inf).argmax(1)
        nearer = table >= positive[i, None]
        best, index = table.masked_fill(same | nearer, -torch.inf).max(1)
        mildest = table.masked_fill(same, torch.inf).argmin(1)
        return torch.where(best.isneginf(), mildest, index)

    part, found = current_part(), torch.zeros_like(codes)
    for i in _row_slices(len(a), tile, part):
        found[i] = rivals(i)
    return part.sum(found)


def _all_hinges(a, b, positive, margin, codes, euclidean, tile) -> Tensor:
    """The sum of h over all pairs and both ways; each tile of the table is made again on the way back."""

    def hinges(a, b, positive, i: slice) -> Tensor:
        table = similarity_table(a[i], b, euclidean=euclidean, exact=True) + margin  # (I, B)
        both = F.relu(table - positive[i, None]) + F.relu(table - positive)
        return both.masked_fill(codes[i, None] == codes, 0.0).sum()

    part = current_part()
    rows = _row_slices(len(a), tile, part)
    costs = (checkpoint(hinges, a, b, positive, i, use_reentrant=False, preserve_rng_state=False) for i in rows)
    return part.sum_of_costs(sum(costs, start=positive.new_zeros(())))


def _row_slices(rows: int, tile: int, part: Part) -> list[slice]:
    return [i for start, stop in part.stretches(rows) for i in slices(stop, tile, start=start)]


def _check_choices(margin: float, mining: str, similarity: str) -> None:
    if not 0 < margin < math.inf:
        raise UsageError(f"margin must be one finite number above 0, got {margin}")
    if mining not in MININGS:
        raise UsageError(f"no mining {mining!r}{nearest(mining, MININGS)}")
    check_similarity(similarity)


@dataclass(frozen=True)
class Triplet(Term):
    """The triplet loss over every pair of views.

        L = 1/|P| sum over pairs (a, b) in P of triplet(z_a, z_b; margin),   over the rows that have both views

    Rows of equal key are no negatives of each other: with "hardest", duplicates without a key are all it would see.

    Args:
        margin: how much more similar the partner has to be.
        mining: which negatives count: "semi-hard", "hardest" (VSE++) or "all"; see `triplet`.
        similarity: "cosine", "dot" or "euclidean" (the negative distance).
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        tile: rows compared at once; the result is the same.

    Logs `of_margin`: the loss as a share of the margin (of B - 1 margins with "all"), 1 where all rows look alike, 0
    where solved, above 1 where strangers are nearer than partners.

    References: Faghri et al. 2018; Schroff et al. 2015. Departures: any number of views, masked missing views, masked
    false negatives; see `triplet`.

    >>> Triplet(mining="hardest")
    Triplet(margin=0.2, mining='hardest', similarity='cosine', pairs=None, tile=256)
    """

    margin: float = 0.2
    mining: str = "semi-hard"
    similarity: str = "cosine"
    pairs: Pairs = None
    tile: int = 256

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True, similarity=self.similarity)

    def state(self, space: Space) -> nn.Module:
        check_pairs("Triplet", self.pairs, space)
        _check_choices(self.margin, self.mining, self.similarity)
        return nn.Module()

    def loss(self, batch, state):
        costs, alike = [], 0.0
        for z_a, z_b, key in paired(batch, self.pairs, least=2):
            cost = triplet(
                z_a,
                z_b,
                margin=self.margin,
                mining=self.mining,
                similarity=self.similarity,
                key=key,
                tile=self.tile,
            )
            costs.append(cost)
            alike += self.margin * (len(z_a) - 1 if self.mining == "all" else 1)  # the cost of rows that all look alike
        return averaged(costs), {"of_margin": summed(costs).detach() / alike} if costs else {}
