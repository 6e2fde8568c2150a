"""Sigmoid pairs: for each pair of rows by itself, do the two belong together? The loss of SigLIP."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.log_one_plus import log_one_plus
from bouba.nn.off_diagonal_softplus import off_diagonal_softplus
from bouba.nn.similarity import row_similarity
from bouba.nn.temperature import Temperature
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_columns, check_embeddings, check_pairs, check_tile, is_checked, precise, scalar
from bouba.terms.rows import averaged, paired
from bouba.terms.term import Needs, Pairs, Parts, Space, Term


def sigmoid_pairs(
    z_a: Tensor,
    z_b: Tensor,
    *,
    temperature: float | Tensor = 0.1,
    bias: float | Tensor = -10.0,
    key: Tensor | None = None,
    tile: int | None = None,
) -> Tensor:
    """Logistic loss of telling partners from strangers, over all B^2 pairs.

        x_ij = cos(a_i, b_j) / temperature + bias
        L = 1/B sum_i [ log(1 + exp -x_ii)  +  sum_{j != i} log(1 + exp x_ij) ]

    Each pair is judged alone; nothing competes. Use it for small batches, where `info_nce` has too few negatives, or
    for pairs of which a row may have several or none. The bias starts at -10 since of B pairs only one belongs
    together: without it the first steps would go into saying no.

    One row costs log(1 + exp -x_11), not 0: it still has something to learn. Memory is O(tile^2 + B D).

    Args:
        z_a, z_b: (B, D) embeddings; row i of one belongs to row i of the other. Any float type; half precision
            is computed in float32, on a GPU but for what matrix products read (`nn.gpu_tables.operand_dtype`).
        temperature: tau > 0, divides the cosine (the paper's t is 1 / tau); a scalar tensor is learnt.
        bias: b, added to every logit; a scalar tensor is learnt.
        key: int64 (B,); pairs of different rows with equal keys are left out. Negative = unknown.
        tile: side of the tiles the logits are computed in; None picks one. Changes time and memory only.

    Returns:
        The loss, a scalar in nats a row, float32 (float64 for float64 input). A negative below x = -60 counts as -60,
        1e-26 nats.

    Raises:
        UsageError: a shape, temperature, bias or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the argument and the row.

    Reference: Zhai, Mustafa, Kolesnikov and Beyer 2023, Sigmoid Loss for Language Image Pre-Training (SigLIP),
    section 3.2. Departures: `key`; a row shorter than 1e-6 is not normalised.

    >>> z = torch.eye(4)
    >>> round(sigmoid_pairs(z, z, temperature=1.0, bias=0.0).item(), 4)  # log(1 + 1/e) + 3 log 2
    2.3927
    """
    check_embeddings("sigmoid_pairs", z_a=z_a, z_b=z_b)
    check_columns(len(z_a), key=key)
    check_tile(tile)
    operands = operand_dtype(z_a, z_b)
    scale, z_a, z_b = precise(temperature, z_a, z_b)
    bias = scalar(bias, scale.dtype, scale.device)
    if bias.numel() != 1 or (is_checked(bias) and not torch.isfinite(bias).all()):
        raise UsageError(f"bias must be one finite number, got {bias.tolist()}")
    bias = bias.reshape(())
    with torch.autocast(z_a.device.type, enabled=False):
        z_a, z_b = unit_rows(z_a), unit_rows(z_b)
        positives = log_one_plus(-scale * row_similarity(z_a, z_b) - bias).sum()
        negatives = off_diagonal_softplus(z_a, z_b, scale, bias, key=key, tile=tile, operands=operands)
        return (positives + negatives) / len(z_a)


class TemperatureAndBias(nn.Module):
    """What SigmoidPairs learns: tau, whose 1 / tau stays in [1, 100], and the bias."""

    def __init__(self, temperature: float, bias: float, *, trainable: bool):
        if not math.isfinite(bias):
            raise UsageError(f"bias must be one finite number, got {bias}")
        super().__init__()
        self.temperature = Temperature(temperature, trainable=trainable)
        self.bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=trainable)


@dataclass(frozen=True)
class SigmoidPairs(Term):
    """The sigmoid loss over every pair of views, with a learnt temperature and bias.

        L = 1/|P| sum over pairs (a, b) in P of sigmoid_pairs(z_a, z_b; tau, bias),   over the rows that have both views

    It suits small batches better than InfoNCE, whose softmax needs many rows to choose from. Different rows of equal
    key are left out.

    Args:
        temperature: start of tau, which divides the cosines; 0.1 is the paper's t = 10.
        bias: start of what is added to every logit.
        learn: train 1 / tau, clamped to [1, 100], and the bias; or keep both fixed.
        pairs: which pairs of views; the name of one for its pairs with each other (an anchor); every pair when None.
        tile: side of the tiles the logits are computed in; the result is the same.

    Logs `temperature` and `bias`. The loss is the sum over a row's B pairs: compare it between batches of one size.

    Reference: Zhai et al. 2023. Departures: any number of views, masked missing views, masked false negatives, the
    clamp of the temperature.

    >>> SigmoidPairs() * 0.5
    0.5 * SigmoidPairs(temperature=0.1, bias=-10.0, learn=True, pairs=None, tile=None)
    """

    temperature: float = 0.1
    bias: float = -10.0
    learn: bool = True
    pairs: Pairs = None
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, aligns=True)

    def state(self, space: Space) -> TemperatureAndBias:
        check_pairs("SigmoidPairs", self.pairs, space)
        return TemperatureAndBias(self.temperature, self.bias, trainable=self.learn)

    def loss(self, batch, state):
        tau, bias = state.temperature(), state.bias
        costs = [
            sigmoid_pairs(z_a, z_b, temperature=tau, bias=bias, key=key, tile=self.tile)
            for z_a, z_b, key in paired(batch, self.pairs, least=1)
        ]
        parts: Parts = {"temperature": tau.detach(), "bias": bias.detach()}
        return averaged(costs), parts
