"""Minimum class confusion: rows without a label are not torn between the same two classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.terms.checks import check_finite, check_predicted
from bouba.terms.rows import summed, unlabelled
from bouba.terms.term import Needs, Parts, Space, Term


def minimum_class_confusion(log_p: Tensor, *, temperature: float = 2.5) -> Tensor:
    """How often the classifier wavers between two classes, on rows whose class nobody knows.

        q_i = softmax(log p_i / T),   w_i = (1 + exp(-H(q_i))) / mean_k (1 + exp(-H(q_k)))
        C = sum_i w_i q_i q_i',   C_jk <- C_jk / sum_l C_jl,   L = 1/|classes| sum_{j != k} C_jk

    Values to know. Every row sure of a class: 0. Every row sure of none: 1 - 1/|classes|. Other than Entropy it costs
    nothing that all rows are of one class, and nothing is asked of the shares of classes.

    Args:
        log_p: (B, K) log probabilities, B >= 1, K >= 2. temperature: T, above 0; larger values soften predictions that
            are too sure of themselves.

    Returns:
        A scalar in [0, 1].

    Raises:
        UsageError: no such shape or temperature. DataError: NaN or infinity; names the row.

    Reference: Jin, Wang, Long and Wang 2020, Minimum Class Confusion for Versatile Domain Adaptation, equations 2 to 8.
    Departure: a class that no row has any probability of is left as it is, where the authors divide 0 by 0.

    >>> import torch
    >>> minimum_class_confusion(torch.full((3, 4), 0.25).log()).item()
    0.75
    """
    if log_p.ndim != 2 or not len(log_p) or log_p.shape[1] < 2:
        raise UsageError(f"minimum_class_confusion needs log probabilities (B, K), K >= 2, got {tuple(log_p.shape)}")
    check_temperature(temperature)
    check_finite("log_p", log_p)
    log_q = (log_p / temperature).log_softmax(1)
    q = log_q.exp()
    weight = 1 + (q * log_q).sum(1).exp()  # sum q log q is -H
    weight = weight / weight.mean()
    confusion = (q * weight[:, None]).T @ q  # (K, K)
    confusion = confusion / confusion.sum(1, keepdim=True).clamp(min=1e-12)
    return (confusion.sum() - confusion.diagonal().sum()) / len(confusion)


def check_temperature(temperature: float) -> None:
    """UsageError unless it is a finite number above 0."""
    if not 0 < temperature < math.inf:
        raise UsageError(f"temperature must be one finite number above 0, got {temperature}")


@dataclass(frozen=True)
class MinimumClassConfusion(Term):
    """Rows without a label are predicted without wavering between two classes.

        L = mean over the label columns of minimum_class_confusion(log p of rows that have a view and no known class)

    Use it with a Prediction where a target has rows and no labels. It brings no domains together, and so also suits
    targets that hold only some of the classes, or several sources; DomainAdversarial and MMD match what should not
    match there. Entropy, its neighbour, asks for equal shares of classes; without that part it is content with one
    class for all, which this hardly prefers. Large batches help: confusion is counted within one.

    Args:
        labels: which label columns; all that are predicted when None.
        temperature: T, above 0, which softens predictions; 2.5 in the paper.

    Reference: Jin et al. 2020, equation 8. Departures: see `minimum_class_confusion`.

    >>> 0.5 * MinimumClassConfusion()
    0.5 * MinimumClassConfusion(labels=None, temperature=2.5)
    """

    labels: tuple[str, ...] | None = None
    temperature: float = 2.5

    def needs(self) -> Needs:
        return Needs(predictions=True, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_predicted("MinimumClassConfusion", self.labels, space)
        check_temperature(self.temperature)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        labels = self.labels or tuple(batch.predicted)
        for label in labels:
            log_p = batch.predicted[label][unlabelled(batch, label)]
            if len(log_p):
                costs.append(minimum_class_confusion(log_p, temperature=self.temperature))
                parts[f"confused.{label}"] = costs[-1].detach()
        return summed(costs) / len(labels) if costs else None, parts
