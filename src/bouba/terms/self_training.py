"""Self-training: sure predictions are used as labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from bouba.errors import UsageError
from bouba.terms.checks import check_finite, check_predicted, check_twins
from bouba.terms.rows import summed, unlabelled
from bouba.terms.term import Needs, Parts, Space, Term


def self_training(log_p: Tensor, teacher: Tensor, *, threshold: float = 0.95) -> tuple[Tensor, Tensor]:
    """Cross-entropy to the classes that a teacher is sure of.

        L = 1/B sum_i [max_c q_ic >= threshold] * -log p_i[argmax_c q_ic]

    Args:
        log_p: (B, C) log probabilities of the student, B >= 1.
        teacher: (B, C), log q of the teacher; no gradient reaches it.
        threshold: the probability from which on a class is believed, in [0, 1].

    Returns:
        The scalar loss, and which rows were believed, bool (B,). Rows that were not count in the mean, so the loss is
        small while few are sure.

    Raises:
        UsageError: unequal shapes or no rows, or a threshold outside [0, 1]. DataError: NaN or infinity.

    Reference: Lee 2013, Pseudo-Label (teacher = student); Sohn et al. 2020, FixMatch, equation 4.

    >>> import torch
    >>> log_p = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    >>> loss, used = self_training(log_p, log_p, threshold=0.7)
    >>> round(loss.exp().item() ** 2, 4), used.tolist()  # 1 / 0.75, of the two rows one
    (1.3333, [True, False])
    """
    if log_p.ndim != 2 or not len(log_p) or log_p.shape != teacher.shape:
        got = f"{tuple(log_p.shape)} and {tuple(teacher.shape)}"
        raise UsageError(f"self_training needs log probabilities of one shape (B, C) with B >= 1, got {got}")
    check_threshold(threshold)
    check_finite("log_p", log_p)
    check_finite("teacher", teacher)
    sure, code = teacher.detach().exp().max(1)
    used = sure >= threshold
    return (F.nll_loss(log_p, code, reduction="none") * used).mean(), used


def check_threshold(threshold: float) -> None:
    """UsageError unless it is a probability."""
    if not 0 <= threshold <= 1:
        raise UsageError(f"threshold is a probability in [0, 1], got {threshold}")


@dataclass(frozen=True)
class SelfTraining(Term):
    """Rows without a label learn the class that is predicted for them, once the prediction is sure (FixMatch).

        L = mean over the label columns of self_training(log p of the twin, log p), over rows that have a view and no
            known class

    The twin is the same row after another random change (crop, colour, dropped words), so the term demands one answer
    whatever the change. Use it with a Prediction where a target has rows and no labels, with towers that vary their
    inputs: it spreads what is predicted rightly to rows that look alike after a change, and repeats its mistakes where
    sure predictions are wrong. Entropy is the cheaper neighbour, which pushes every row and needs no twins; where
    nothing varies the inputs it moves borders further.

    Args:
        labels: which label columns; all that are predicted when None.
        threshold: the probability from which on a class is believed, in [0, 1].
        twins: predict labels from one random change and train on another, for twice the work of the towers. False:
            plain pseudo-labels.

    Logs `used.<label>`, the share of those rows that were believed.

    Reference: Sohn et al. 2020, FixMatch, equation 4; Lee 2013, Pseudo-Label, for twins=False. Departure: both changes
    are drawn alike, where FixMatch teaches a stronger one.

    >>> SelfTraining(threshold=0.9)
    SelfTraining(labels=None, threshold=0.9, twins=True)
    """

    labels: tuple[str, ...] | None = None
    threshold: float = 0.95
    twins: bool = True

    def needs(self) -> Needs:
        return Needs(twins=self.twins, predictions=True, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_predicted("SelfTraining", self.labels, space)
        check_threshold(self.threshold)
        return nn.Module()

    def loss(self, batch, state):
        if self.twins:
            check_twins("SelfTraining", batch)
        costs, parts = [], Parts()
        student = batch.predicted_twin if self.twins else batch.predicted
        labels = self.labels or tuple(batch.predicted)
        for label in labels:
            rows = unlabelled(batch, label)
            if not rows.any():
                continue
            value, used = self_training(student[label][rows], batch.predicted[label][rows], threshold=self.threshold)
            costs.append(value)
            parts[f"used.{label}"] = used.float().mean()
        return summed(costs) / len(labels) if costs else None, parts
