"""Entropy: predictions that are sure of each row, and of all classes equally often."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_finite, check_predicted
from bouba.terms.rows import summed, unlabelled
from bouba.terms.term import Needs, Parts, Space, Term


def entropy(log_p: Tensor, *, diversity: float = 0.0) -> Tensor:
    """How unsure predictions are, and how unequal their classes.

        L = mean_i H(p_i) + diversity * (ln C - H(mean_i p_i)),    H(p) = -sum_c p_c ln p_c

    Values to know, with diversity = 1. Every row sure, all classes equally often: 0. Every row the same, whether sure
    of one class or of none: ln C. Without diversity the first of these costs 0.

    Args:
        log_p: (B, C) log probabilities, B >= 1.
        diversity: weight of the second summand, 0 or more.

    Returns:
        A scalar of 0 or more, in nats.

    Raises:
        UsageError: no such shape, or a negative weight. DataError: NaN or infinity; names the row.

    Reference: Grandvalet and Bengio 2005, Semi-supervised Learning by Entropy Minimization (the first summand); Liang,
    Hu and Feng 2020, Do We Really Need to Access the Source Data (SHOT), equation 3. Departure: ln C is added, so that
    0 is the least.

    >>> import torch
    >>> entropy(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()).item()  # ln 2
    0.6931471824645996
    """
    if log_p.ndim != 2 or not len(log_p):
        raise UsageError(f"entropy needs log probabilities (B, C) with B >= 1, got {tuple(log_p.shape)}")
    check_diversity(diversity)
    check_finite("log_p", log_p)
    p = log_p.exp()
    value = _entropy(p, log_p).mean()
    if diversity:
        mean = p.mean(0)  # (C,)
        value = value + diversity * (math.log(len(mean)) - _entropy(mean, mean.clamp(min=1e-12).log()))
    return value


def _entropy(p: Tensor, log_p: Tensor) -> Tensor:
    """-sum over the last dimension of p log p."""
    return -(p * log_p).sum(-1)


def check_diversity(diversity: float) -> None:
    """UsageError unless it is a weight of 0 or more."""
    if not 0 <= diversity < math.inf:
        raise UsageError(f"diversity is a weight of 0 or more, got {diversity}")


@dataclass(frozen=True)
class Entropy(Term):
    """Rows without a label are predicted surely, and all classes equally often (information maximisation).

        L = mean over the label columns of entropy(log p of the rows that have a view and no known class)

    Use it with a Prediction where a target has rows and no labels: the boundary between classes then moves to where
    few of them lie. It needs no twins and costs nothing, and it believes whatever is predicted first, so let something
    else bring source and target together before (DomainAdversarial, MMD, domain-wise BatchNorm). `SelfTraining` learns
    from the sure rows only.

    Args:
        labels: which label columns; all that are predicted when None.
        diversity: weight of equal shares. Without it, predicting one class always is the cheapest way down; where
            classes are far from equally frequent in the target, lower it.

    Logs `unsure.<label>`, the mean entropy of a row, and `diverse.<label>`, the entropy of the mean, both as shares of
    ln C: towards 0 and 1.

    Reference: Liang, Hu and Feng 2020, SHOT, equation 3. Departure: 0 is the least value.

    >>> Entropy(diversity=0.5)
    Entropy(labels=None, diversity=0.5)
    """

    labels: tuple[str, ...] | None = None
    diversity: float = 1.0

    def needs(self) -> Needs:
        return Needs(predictions=True, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_predicted("Entropy", self.labels, space)
        check_diversity(self.diversity)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        labels = self.labels or tuple(batch.predicted)
        for label in labels:
            log_p = batch.predicted[label][unlabelled(batch, label)]
            if not len(log_p):
                continue
            costs.append(entropy(log_p, diversity=self.diversity))
            p, most = log_p.detach().exp(), math.log(log_p.shape[1])
            parts[f"unsure.{label}"] = _entropy(p, log_p.detach()).mean() / most
            mean = p.mean(0)
            parts[f"diverse.{label}"] = _entropy(mean, mean.clamp(min=1e-12).log()) / most
        return summed(costs) / len(labels) if costs else None, parts
