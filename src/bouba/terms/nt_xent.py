"""NT-Xent: of all pictures and their altered copies, pick the other copy of this one. The loss of SimCLR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bouba.batch import picked
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.log_one_plus import log_one_plus
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.similarity import row_similarity
from bouba.nn.temperature import Temperature
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_columns, check_embeddings, check_tile, check_twins, check_views, precise
from bouba.terms.rows import averaged, negatives, of_chance, summed
from bouba.terms.term import Needs, Parts, Space, Term


def nt_xent(
    z: Tensor,
    twin: Tensor,
    *,
    temperature: float | Tensor = 0.5,
    key: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """Cross-entropy of picking a cell's other copy among all copies in the batch.

        U = {z_1, ..., z_B, twin_1, ..., twin_B},    s(x, y) = cos(x, y) / temperature
        L = 1/2B sum over x in U, x' its other copy, of  -log exp s(x, x') / sum_{y in U, y != x} exp s(x, y)

    Each copy has 2B - 2 negatives, its own view's and the altered ones. `info_nce` compares across only: it would
    leave z free to crowd together. Use this for one modality by itself, `info_nce` for two.

    Computed as softplus of (log-sum-exp over negatives - positive), exact also where a solved batch costs 1e-30, and
    without the 2B x 2B matrix. All alike costs log(2B - 1); one cell has no negatives and costs 0.

    Args:
        z: (B, D) embeddings. Any float type; half precision is computed in float32,
            on a GPU but for what matrix products read (`nn.gpu_tables.operand_dtype`).
        twin: (B, D) embeddings of the same cells, changed at random once more.
        temperature: tau > 0, divides the cosine; a scalar tensor is learnt.
        key: int64 (B,); rows of equal key are the same thing and no negatives of each other. Negative = unknown.
        tile: side of the tiles the logits are computed in; None picks one. Changes time and memory only.

    Returns:
        The loss, a scalar in nats, float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, temperature or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Chen, Kornblith, Norouzi and Hinton 2020, A Simple Framework for Contrastive Learning of Visual
    Representations (SimCLR), equation 1. Departures: `key`; a row shorter than 1e-6 is not normalised.

    >>> z = torch.eye(4)
    >>> round(nt_xent(z, z, temperature=1.0).item(), 4)  # log(1 + 6 / e)
    1.1654
    """
    check_embeddings("nt_xent", z=z, twin=twin)
    check_columns(len(z), key=key)
    check_tile(tile)
    operands = operand_dtype(z, twin)
    scale, z, twin = precise(temperature, z, twin)
    with torch.autocast(z.device.type, enabled=False):
        z, twin = unit_rows(z), unit_rows(twin)
        positive = scale * row_similarity(z, twin)  # (B,)
        options: dict[str, Any] = {"scale": scale, "floor": positive, "key": key, "tile": tile, "operands": operands}
        across = off_diagonal_logsumexp(z, twin, **options)
        within = [off_diagonal_logsumexp(copy, copy, **options)[0] for copy in (z, twin)]
        costs = [log_one_plus(x - positive, y - positive) for x, y in zip(across, within)]
        return torch.cat(costs).mean()


@dataclass(frozen=True)
class NTXent(Term):
    """One modality that teaches itself: two random changes of a cell are each other's positive (SimCLR).

        L = 1/|V| sum over views v in V of nt_xent(z_v, twin_v; tau),   over the rows that have the view

    It needs no pairs and no labels, but encoders that vary their inputs (crops, dropped words) or drop units (as in
    SimCSE): what they change is what the embedding learns to ignore. Two views or more with pairs: InfoNCE.

    Args:
        temperature: tau, which divides the cosines. learn: train it, clamped to [0.01, 1].
        views: which views; all when None.
        tile: side of the tiles the logits are computed in; the result is the same.

    Logs `temperature`, and `of_chance`: the loss as a share of the mean ln(1 + number of a copy's negatives), which
    is ln(2B - 1) without equal keys: 1 where all rows look alike, 0 where solved.

    Reference: Chen et al. 2020, equation 1. Departures: masked missing cells, masked false negatives.

    >>> NTXent(views=("image",))
    NTXent(temperature=0.5, learn=False, views=('image',), tile=None)
    """

    temperature: float = 0.5
    learn: bool = False
    views: tuple[str, ...] | None = None
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(twins=True)

    def state(self, space: Space) -> Temperature:
        check_views("NTXent names", self.views, space.dims)
        return Temperature(self.temperature, trainable=self.learn)

    def loss(self, batch, state):
        check_twins("NTXent", batch)
        tau, costs, rivals = state(), [], []
        for view in self.views or batch.z:
            rows = batch.rows_with(view)
            n = len(batch.rows if rows is None else rows)
            if n < 2:
                continue
            key = None if batch.key is None else picked(batch.key, rows)
            z, twin = picked(batch.z[view], rows), picked(batch.twin[view], rows)
            costs.append(nt_xent(z, twin, temperature=tau, key=key, tile=self.tile))
            rivals.append(2 * negatives(key, n, z.device))  # in each of the two views of the other rows
        parts: Parts = {"temperature": tau.detach()}
        if costs:
            parts |= of_chance(summed(costs), rivals)
        return averaged(costs), parts
