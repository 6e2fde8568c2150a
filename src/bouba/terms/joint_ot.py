"""Joint transport: rows without a label are matched with labelled ones, and learn their classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.sinkhorn import log_sinkhorn
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_predicted, check_views
from bouba.terms.rows import summed, unlabelled
from bouba.terms.term import Needs, Parts, Space, Term


def joint_ot(
    z_source: Tensor,
    y_source: Tensor,
    z_target: Tensor,
    log_p_target: Tensor,
    *,
    features: float = 1.0,
    classes: float = 1.0,
    sharpness: float = 0.05,
) -> Tensor:
    """What it costs to carry labelled rows onto rows without a label, in place and in class at once.

        C_ij = features |u_i - v_j|^2 - classes log p_j[y_i],    u, v directions of z
        L = min_P sum_ij P_ij C_ij + eps KL(P | 1/(n m)),    over plans P with equal shares of rows and of columns

    The gradient is that of C at the solved plan: nothing is differentiated through the steps.

    Args:
        z_source: (n, d). y_source: (n,) codes. z_target: (m, d). log_p_target: (m, K). n, m >= 1.
        features, classes: weights of both parts, 0 or more, one of them above.
        sharpness: eps of the plan, above 0.

    Returns:
        A scalar of 0 or more.

    Raises:
        UsageError: shapes or weights that do not fit. DataError: NaN or infinity; names the row.

    Reference: Damodaran, Kellenberger, Flamary, Tuia and Courty 2018, DeepJDOT: Deep Joint Distribution Optimal
    Transport for Unsupervised Domain Adaptation, equation 7. Departures: directions instead of embeddings, so that the
    features' weight means the same at any length; an entropic plan, its entropy in the value.

    >>> z = torch.eye(2)
    >>> log_p = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).log()
    >>> round(joint_ot(z, torch.tensor([0, 1]), z, log_p).item(), 4)  # -log 0.9, and eps log 2
    0.14
    """
    if z_source.ndim != 2 or z_source.shape[1:] != z_target.shape[1:] or 0 in (len(z_source), len(z_target)):
        shapes = f"{tuple(z_source.shape)} and {tuple(z_target.shape)}"
        raise UsageError(f"joint_ot needs rows (n, d) and (m, d), n and m >= 1, got {shapes}")
    if y_source.shape != (len(z_source),) or log_p_target.ndim != 2 or len(log_p_target) != len(z_target):
        shapes = f"{tuple(y_source.shape)} and {tuple(log_p_target.shape)}"
        raise UsageError(f"joint_ot needs codes (n,) and log probabilities (m, K), got {shapes}")
    check_weights(features, classes, sharpness)
    for name, values in (("z_source", z_source), ("z_target", z_target), ("log_p_target", log_p_target)):
        check_finite(name, values)
    dtype = torch.promote_types(z_source.dtype, torch.float32)
    u, v = unit_rows(z_source.to(dtype)), unit_rows(z_target.to(dtype))
    cost = features * (2 - 2 * u @ v.T) - classes * log_p_target.to(dtype)[:, y_source].T  # (n, m)
    log_plan = log_sinkhorn(-cost.detach(), sharpness)
    plan = log_plan.exp()
    information = (plan * (log_plan + math.log(cost.numel()))).sum()
    return (plan * cost).sum() + sharpness * information


def check_weights(features: float, classes: float, sharpness: float) -> None:
    """UsageError for weights that are negative or both 0, and for a sharpness that makes no sense."""
    if not (0 <= features < math.inf and 0 <= classes < math.inf and features + classes > 0):
        raise UsageError(f"features and classes are weights of 0 or more, one above, got {features} and {classes}")
    if not 0 < sharpness < math.inf:
        raise UsageError(f"sharpness must be one finite number above 0, got {sharpness}")


@dataclass(frozen=True)
class JointOT(Term):
    """Rows without a label are matched with labelled rows of the batch that lie near and would fit their prediction.

        L = mean over views and label columns of joint_ot(z and codes of labelled rows, z and log p of the others)

    Use it with a Prediction where a target has rows and no labels, and its classes come in about the source's shares:
    the plan gives every row of the batch the same mass. It learns features and classes at once, where MMD and
    DomainAdversarial look at features alone; TransportAligner does the like on features that stay as they are.

    Args:
        views: which views; all of them when None. labels: which label columns; all that are predicted when None.
        features, classes: weights of distance and of cross-entropy. sharpness: eps of the plan.

    Logs `carried.<view>.<label>`.

    Reference: Damodaran et al. 2018, DeepJDOT. Departures: see `joint_ot`.

    >>> JointOT(features=0.1)
    JointOT(views=None, labels=None, features=0.1, classes=1.0, sharpness=0.05)
    """

    views: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    features: float = 1.0
    classes: float = 1.0
    sharpness: float = 0.05

    def needs(self) -> Needs:
        return Needs(predictions=True, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_views("JointOT names", self.views, space.dims)
        check_predicted("JointOT", self.labels, space)
        check_weights(self.features, self.classes, self.sharpness)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for label in self.labels or tuple(batch.predicted):
            if label not in batch.y:
                continue
            for view in self.views or tuple(batch.z):
                known = batch.present[view] & batch.labelled(label)
                others = batch.present[view] & unlabelled(batch, label)
                if not known.any() or not others.any():
                    continue
                cost = joint_ot(
                    batch.z[view][known],
                    batch.y[label][known],
                    batch.z[view][others],
                    batch.predicted[label][others],
                    features=self.features,
                    classes=self.classes,
                    sharpness=self.sharpness,
                )
                costs.append(cost)
                parts[f"carried.{view}.{label}"] = cost.detach()
        return summed(costs) / len(costs) if costs else None, parts
