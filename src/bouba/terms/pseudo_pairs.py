"""Pseudo-pairs: cells without a partner are pulled to the one they surely match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_pairs, check_twins, precise
from bouba.terms.rows import averaged, pairs_of
from bouba.terms.self_training import check_threshold
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


def pseudo_pairs(
    z: Tensor,
    candidates: Tensor,
    *,
    twin: Tensor | None = None,
    key: Tensor | None = None,
    temperature: float = 0.07,
    threshold: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each cell to the candidate that it, and that candidate it, surely matches.

        p_ij = softmax_j(u_i . v_j / T),   r_ij = softmax_i(u_i . v_j / T),   j(i) = argmax_j p_ij,
        L = 1/N sum_i [min(p_ij(i), r_ij(i)) >= threshold] * -log p'_ij(i),   p' = p of the twins

    Candidates of one key are one candidate: of its several p_ij the sum counts, of its r_ij the mean.

    Args:
        z: (N, d) cells without a partner, N >= 1. candidates: (M, d) of the other view, M >= 1.
        twin: (N, d), what learns: the same cells after another random change; z itself when None.
        key: (M,) of the candidates; equal keys are the same thing, -1 is unknown.
        temperature: T, which divides the cosines, above 0.
        threshold: the probability, both ways, from which on a match is believed, in [0, 1].

    Returns:
        The scalar loss, and which cells were believed, bool (N,).

    Raises:
        UsageError: shapes, temperature or threshold that do not fit. DataError: NaN or infinity.

    Reference: Sohn et al. 2020, FixMatch, equation 4, with the batch's candidates as the classes; the check in both
    directions is ours.
    """
    twin = z if twin is None else twin
    if z.ndim != 2 or z.shape != twin.shape or z.shape[1:] != candidates.shape[1:] or 0 in (len(z), len(candidates)):
        shapes = f"{tuple(z.shape)}, {tuple(twin.shape)} and {tuple(candidates.shape)}"
        raise UsageError(f"pseudo_pairs needs cells (N, d), twins (N, d) and candidates (M, d), got {shapes}")
    check_threshold(threshold)
    for name, embeddings in (("z", z), ("twin", twin), ("candidates", candidates)):
        check_finite(name, embeddings)
    scale, z, twin, candidates = precise(temperature, z, twin, candidates)
    row = torch.arange(len(candidates), device=z.device)  # an unknown key is a group of its own
    groups = row if key is None else torch.where(key < 0, key.max() + 1 + row, key).unique(return_inverse=True)[1]
    v = unit_rows(candidates)
    with torch.no_grad():
        logits = scale * unit_rows(z) @ v.T  # (N, M)
        sure, group = _by_group(logits.softmax(1), groups).max(1)  # (N,)
        back = _by_group(logits.softmax(0), groups) / groups.bincount()  # (N, G)
        used = torch.minimum(sure, back.gather(1, group[:, None])[:, 0]) >= threshold
    log_p = (scale * unit_rows(twin) @ v.T).log_softmax(1)
    matched = groups == group[:, None]  # (N, M)
    cost = -log_p.masked_fill(~matched, -torch.inf).logsumexp(1)
    return (cost * used).mean(), used


def _by_group(p: Tensor, groups: Tensor) -> Tensor:
    """Columns of one group added up: (N, M) -> (N, G)."""
    return p.new_zeros(len(p), int(groups.max()) + 1).index_add(1, groups, p)


@dataclass(frozen=True)
class PseudoPairs(Term):
    """Rows that lack a view learn the partner they surely match among the batch's cells of that view.

        L = mean over views a, b of pseudo_pairs(z_a of rows that lack b, z_b of the batch)

    For aligners what SelfTraining is for predictors: a target has pictures and no captions, and captions of the source
    are the candidates. It helps where most of its pictures have a fitting caption among those, and trains on mistakes
    where they show things no caption names; the share of the batch's captions that fits falls with the number of things
    there are, so large batches help.

    Args:
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        temperature: T, which divides the cosines; about that of the contrastive term.
        threshold: the probability, in both directions, from which on a match is believed, in [0, 1].
        twins: choose pairs by one random change of a cell and train on another, for twice the work of the towers.

    Logs `used.<a>-<b>`, the share of the cells of a without b that were believed.

    Reference: Sohn et al. 2020, FixMatch, equation 4. Departures: see `pseudo_pairs`.

    >>> PseudoPairs((("image", "text"),))
    PseudoPairs(pairs=(('image', 'text'),), temperature=0.07, threshold=0.5, twins=True)
    """

    pairs: Pairs = None
    temperature: float = 0.07
    threshold: float = 0.5
    twins: bool = True

    def needs(self) -> Needs:
        return Needs(twins=self.twins, validates=False, aligns=True)

    def state(self, space: Space) -> nn.Module:
        check_pairs("PseudoPairs", self.pairs, space)
        check_threshold(self.threshold)
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature must be one finite number above 0, got {self.temperature}")
        return nn.Module()

    def _directions(self, batch) -> Iterator[tuple[str, str]]:
        for a, b in pairs_of(self.pairs, batch.z):
            yield from ((a, b), (b, a))

    def loss(self, batch, state):
        if self.twins:
            check_twins("PseudoPairs", batch)
        costs, parts = [], Parts()
        for a, b in self._directions(batch):
            alone, candidates = batch.present[a] & ~batch.present[b], batch.present[b]
            if not alone.any() or not candidates.any():
                continue
            value, used = pseudo_pairs(
                batch.z[a][alone],
                batch.z[b][candidates],
                twin=batch.twin[a][alone] if self.twins else None,
                key=None if batch.key is None else batch.key[candidates],
                temperature=self.temperature,
                threshold=self.threshold,
            )
            costs.append(value)
            parts[f"used.{a}-{b}"] = used.float().mean()
        return averaged(costs), parts
