"""Explicit negatives: pick the right caption among wrong ones that stand in columns of their own."""

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
    check_finite,
    check_similarity,
    check_tile,
    check_views,
    precise,
)
from bouba.terms.rows import negatives, of_chance
from bouba.terms.term import Needs, Parts, Space, Term


def explicit_negatives(
    anchor: Tensor,
    positive: Tensor,
    negatives: Tensor,
    *,
    present: Tensor | None = None,
    temperature: float | Tensor = 0.07,
    similarity: str = "cosine",
    in_batch: bool = False,
    key: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """Cross-entropy of picking row i's positive among it and row i's own negatives.

        s_i = sim(anchor_i, positive_i) / temperature,    s_ij = sim(anchor_i, negative_ij) / temperature
        L = mean_i  -log exp s_i / (exp s_i + sum_j exp s_ij)

    With `in_batch` the positives of the other rows join the sum. Use it where the negatives are known and hard: the
    same caption with one word changed, passages that a search returned wrongly. Where they are not, `info_nce` makes
    negatives of the batch.

    Computed as softplus of (log-sum-exp over negatives - positive), exact also where a solved batch costs 1e-30.
    Embeddings that are all alike cost log(1 + number of negatives).

    Args:
        anchor, positive: (B, D) embeddings; row i of one belongs to row i of the other. Any float type; half
            precision is computed in float32.
        negatives: (B, J, D), up to J negatives of each row.
        present: bool (B, J), which negatives there are; all when None. The others are not read.
        temperature: tau > 0, divides the similarity; a scalar tensor is learnt.
        similarity: "cosine" in [-1, 1], "dot", or "euclidean" (minus the distance).
        in_batch: whether row k's positive is a negative of row i.
        key: int64 (B,), for `in_batch`; rows of equal key are the same thing and no negatives of each other.
            Negative = unknown.
        tile: for `in_batch`, side of the tiles the logits are computed in; changes time and memory only.

    Returns:
        The loss, a scalar in nats, float32 (float64 for float64 input): the mean over rows with a negative, 0 where
        there is none.

    Raises:
        UsageError: a shape, temperature, similarity or tile that makes no sense.
        DataError: NaN or infinity in an embedding that is present; names the argument and the row.

    Reference: Karpukhin et al. 2020, Dense Passage Retrieval, equation 2; with `in_batch` also Henderson et al. 2017,
    Efficient Natural Language Response Suggestion. Departures: `present`, `key`; the other rows' explicit negatives
    are not shared.

    >>> z = torch.eye(3)
    >>> round(explicit_negatives(z, z, torch.zeros(3, 2, 3), temperature=1.0).item(), 4)  # log(1 + 2 / e)
    0.5514
    """
    _check(anchor, positive, negatives, present)
    check_similarity(similarity)
    check_columns(len(anchor), key=key)
    check_tile(tile)
    if present is None:
        present = negatives.new_ones(negatives.shape[:2], dtype=torch.bool)
    negatives = torch.where(present[..., None], negatives, 0.0)
    check_finite("negatives", negatives)
    operands = operand_dtype(anchor, positive)
    scale, anchor, positive, negatives = precise(temperature, anchor, positive, negatives)
    with torch.autocast(anchor.device.type, enabled=False):
        if similarity == "cosine":
            anchor, positive = unit_rows(anchor), unit_rows(positive)
            negatives = unit_rows(negatives.flatten(0, 1)).view_as(negatives)
        euclidean = similarity == "euclidean"
        right = scale * row_similarity(anchor, positive, euclidean=euclidean)  # (B,)
        wrong = scale * row_similarity(anchor[:, None], negatives, euclidean=euclidean)  # (B, J)
        never = torch.finfo(wrong.dtype).min / 4  # finite, or its gradient would be NaN where a row has none
        sums, counts = [wrong.masked_fill(~present, never).logsumexp(1)], present.any(1)
        if in_batch:
            others, _ = off_diagonal_logsumexp(
                anchor, positive, scale, floor=right, key=key, euclidean=euclidean, tile=tile, operands=operands
            )
            sums, counts = [*sums, others], counts | ~others.isneginf()
        cost = log_one_plus(*(total - right for total in sums))
        return (cost * counts).sum() / counts.sum().clamp(min=1)


def _check(anchor, positive, negatives, present) -> None:
    check_embeddings("explicit_negatives", anchor=anchor, positive=positive)
    rows, width = anchor.shape
    if negatives.ndim != 3 or negatives.shape[::2] != (rows, width) or not negatives.shape[1]:
        raise UsageError(f"negatives must be ({rows}, J, {width}) with J >= 1, got {tuple(negatives.shape)}")
    if present is not None and (present.shape != negatives.shape[:2] or present.dtype != torch.bool):
        raise UsageError(
            f"present must be bool {tuple(negatives.shape[:2])}, got {present.dtype} {tuple(present.shape)}"
        )


@dataclass(frozen=True)
class ExplicitNegatives(Term):
    """Positives against negatives that have columns of their own.

        L = explicit_negatives(z[anchor], z[positive], (z[n] for n in negatives); tau)
        over the rows that have anchor, positive and at least one negative

    Negatives are embedded by the tower of the positive:

        Learner({"image": ConvNet(), "caption": LSTM(), "wrong caption": SameAs("caption")},
                ExplicitNegatives("image", "caption", ("wrong caption",)))

    Beside InfoNCE(pairs=(("image", "caption"),)) each has a softmax of its own; with `in_batch` the written negatives
    and the batch's compete in one, from anchor to positive only.

    Args:
        anchor, positive: two views; a row's own belong together.
        negatives: views that hold what does not belong to the row's anchor; cells may be missing.
        temperature: start of tau, which divides the similarities.
        learn: train logit_scale = -log tau, clamped to [1, 100], or keep tau fixed.
        similarity: "cosine", "dot" or "euclidean" (the negative distance).
        in_batch: whether the positives of the other rows are negatives too; rows of equal key are not.
        tile: for `in_batch`, side of the tiles the logits are computed in; the result is the same.

    Logs `temperature`, and `of_chance`: the loss as a share of the mean ln(1 + number of a row's negatives), 1 where
    all look alike, 0 where solved.

    Reference: Karpukhin et al. 2020, equation 2. Departures: masked missing negatives, masked false negatives.

    >>> ExplicitNegatives("image", "caption", ("wrong caption",))  # doctest: +ELLIPSIS
    ExplicitNegatives(anchor='image', positive='caption', negatives=('wrong caption',), temperature=0.07, ...)
    """

    anchor: str
    positive: str
    negatives: tuple[str, ...]
    temperature: float = 0.07
    learn: bool = True
    similarity: str = "cosine"
    in_batch: bool = False
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True, similarity=self.similarity)

    def state(self, space: Space) -> Temperature:
        check_views("ExplicitNegatives names", self.negatives, space.dims)
        check_views("ExplicitNegatives names", (self.anchor, self.positive), space.dims)
        named = (self.anchor, self.positive, *self.negatives)
        if not self.negatives or len(set(named)) < len(named):
            raise UsageError(
                f"ExplicitNegatives needs an anchor, a positive and negatives, all different, got {named}; "
                "without columns of negatives use InfoNCE"
            )
        check_similarity(self.similarity)
        return Temperature(self.temperature, trainable=self.learn)

    def loss(self, batch, state):
        tau = state()
        parts: Parts = {"temperature": tau.detach()}
        present = torch.stack([batch.present[name] for name in self.negatives], 1)  # (B, J)
        rows = batch.present[self.anchor] & batch.present[self.positive] & (present.any(1) | self.in_batch)
        key = None if batch.key is None else batch.key[rows]
        rivals = present[rows].sum(1)
        if self.in_batch:
            rivals = rivals + negatives(key, len(rivals), rivals.device)
        if not rivals.any():
            return None, parts
        value = explicit_negatives(
            batch.z[self.anchor][rows],
            batch.z[self.positive][rows],
            torch.stack([batch.z[name][rows] for name in self.negatives], 1),
            present=present[rows],
            temperature=tau,
            similarity=self.similarity,
            in_batch=self.in_batch,
            key=key,
            tile=self.tile,
        )
        return value, parts | of_chance(value, [rivals[rivals > 0]])
