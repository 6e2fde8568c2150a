"""Centroid labels: rows without a label learn the class whose centre they lie next to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.errors import UsageError
from bouba.nn.by_view import ByView
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_finite, check_predicted, check_views
from bouba.terms.rows import averaged, unlabelled
from bouba.terms.term import Needs, Parts, Space, Term

LEAST = 1e-6  # mass of a class, below which it has no centre


class Centroids(nn.Module):
    """For each class the sum of directions that were taken for it, of which old ones fade."""

    sums: Tensor
    taken: Tensor

    def __init__(self, classes: int, width: int, momentum: float):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("sums", torch.zeros(classes, width + 1))  # the last column counts
        self.register_buffer("taken", torch.zeros(classes, width + 1), persistent=False)

    @torch.no_grad()
    def nearest(self, u: Tensor, p: Tensor) -> Tensor:
        """(B,) the class whose centre has the largest cosine with each direction u (B, d), once these rows, with
        probabilities p (B, K), have moved the centres; they stay so from `after_step` on."""
        counted = torch.cat([u, u.new_ones(len(u), 1)], 1)
        self.taken = self.momentum * self.sums + (1 - self.momentum) * (p.T @ counted).to(self.sums.dtype)
        similarity = u @ unit_rows(self.taken[:, :-1]).to(u.dtype).T
        return similarity.masked_fill(self.taken[:, -1] < LEAST, -torch.inf).argmax(1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Keep what the last rows made of the centres."""
        self.sums.copy_(self.taken)


def centroid_labels(z: Tensor, log_p: Tensor, centroids: Centroids) -> tuple[Tensor, Tensor]:
    """Cross-entropy to the class of the nearest centre, which these rows first move.

        m_k <- a m_k + (1 - a) sum_i p_ik u_i,    y_i = argmax_k cos(u_i, m_k),    L = -1/B sum_i log p_i[y_i]

    Args:
        z: (B, d) embeddings, u their directions, B >= 1. log_p: (B, K). centroids: of K classes in d dimensions.

    Returns:
        The scalar loss, and the share of rows whose nearest centre is of the class that is predicted.

    Raises:
        UsageError: shapes that do not fit. DataError: NaN or infinity; names the row.

    Reference: Liang, Hu and Feng 2020, Do We Really Need to Access the Source Data (SHOT), equations 4 to 6.
    Departures: centres are a running mean over batches, where theirs are of all rows, taken once an epoch and then once
    more from the labels.
    """
    classes, width = centroids.sums.shape[0], centroids.sums.shape[1] - 1
    if z.ndim != 2 or not len(z) or z.shape[1] != width or log_p.shape != (len(z), classes):
        shapes = f"{tuple(z.shape)} and {tuple(log_p.shape)}"
        raise UsageError(f"centroid_labels needs z (B, {width}) and log probabilities (B, {classes}), got {shapes}")
    check_finite("z", z)
    check_finite("log_p", log_p)
    u = unit_rows(z.detach().float())
    code = centroids.nearest(u, log_p.detach().float().exp())
    return F.nll_loss(log_p, code), (code == log_p.argmax(1)).float().mean()


@dataclass(frozen=True)
class CentroidLabels(Term):
    """Rows without a label learn the class next to whose centre they lie, of all rows that are taken for it (SHOT).

        L = mean over views and label columns of centroid_labels(z, log p of rows with the view and no known class)

    Use it with a Prediction and Entropy where predictions are often wrong and embeddings fall into clusters: a cluster
    names its rows together, where SelfTraining believes each row by itself. It needs no rows of the source, which makes
    it the half of `bouba.adapt.source_free`.

    Args:
        views: which views; all of them when None. labels: which label columns; all that are predicted when None.
        momentum: a in [0, 1), how much of the centres a batch leaves.

    Logs `agrees.<view>.<label>`, the share of rows whose nearest centre is of the class that is predicted.

    Reference: Liang et al. 2020, SHOT, equations 4 to 7. Departures: see `centroid_labels`.

    >>> 0.3 * CentroidLabels()
    0.3 * CentroidLabels(views=None, labels=None, momentum=0.9)
    """

    views: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    momentum: float = 0.9

    def needs(self) -> Needs:
        return Needs(predictions=True, validates=False)

    def state(self, space: Space) -> ByView:
        check_views("CentroidLabels names", self.views, space.dims)
        labels = check_predicted("CentroidLabels", self.labels, space)
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum lies in [0, 1), got {self.momentum}")
        classes = space.classes or {}
        by_view = {
            view: ByView({label: Centroids(len(classes[label]), space.dims[view], self.momentum) for label in labels})
            for view in self.views or space.dims
        }
        return ByView(by_view)

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view, by_label in state.items():
            for label, centroids in by_label.items():
                rows = batch.present[view] & unlabelled(batch, label)
                if not rows.any():
                    continue
                cost, agrees = centroid_labels(batch.z[view][rows], batch.predicted[label][rows], centroids)
                costs.append(cost)
                parts[f"agrees.{view}.{label}"] = agrees
        return averaged(costs), parts
