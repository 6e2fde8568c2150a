"""Supervised contrastive loss: all that carry the same label are each other's positives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bouba.errors import UsageError, nearest
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.similarity import row_similarity
from bouba.nn.temperature import Temperature
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_columns, check_embeddings, check_tile, check_twins, check_views, precise
from bouba.terms.term import Needs, Parts, Space, Term


def supervised_contrastive(
    z: Tensor, label: Tensor, *, temperature: float | Tensor = 0.1, tile: int | None = None
) -> Tensor:
    """Cross-entropy of picking each of a row's positives, the rows of its label, among all other rows.

        P(i) = {p != i: label_p = label_i},    s_ij = cos(z_i, z_j) / temperature
        L = mean over i with P(i) not empty of  -1/|P(i)| sum_{p in P(i)} log exp s_ip / sum_{j != i} exp s_ij

    Several positives per key, such as five captions of one picture, are the same function: concatenate pictures and
    captions, with the key as label. With two rows a label it is `nt_xent`. Where labels exist, use this instead of
    `nt_xent`, which would push rows of one class apart; a classifier trained by cross-entropy separates classes, and
    does not measure how rows lie within one.

    The sum over P(i) of s_ip is linear in the z_p: one sum a label gives it, and no N x N matrix is held. All alike
    costs log(N - 1). The least possible is not 0 but the mean of log |P(i)|, since the positives of a row compete. In
    float32 the result is rounded at about 1e-7 / temperature.

    Args:
        z: (N, D) embeddings of all views together. Any float type; half precision is computed in float32,
            on a GPU but for what matrix products read (`nn.gpu_tables.operand_dtype`).
        label: int64 (N,); equal = positives of each other. Negative = unlabelled: such a row is left out, as it might
            be of any class.
        temperature: tau > 0, divides the cosine; a scalar tensor is learnt.
        tile: side of the tiles the logits are computed in; None picks one. Changes time and memory only.

    Returns:
        The loss, a scalar in nats, float32 (float64 for float64 input); 0 where no two rows share a label. A row that
        is alone with its label is a negative of the others.

    Raises:
        UsageError: a shape, temperature or tile that makes no sense.
        DataError: NaN or infinity in an embedding; names the row.

    Reference: Khosla et al. 2020, Supervised Contrastive Learning, equation 2 (L_out). Departures: the mean over
    anchors instead of their sum; rows without label or without a positive; a row shorter than 1e-6 is not normalised.

    >>> z = torch.eye(4)
    >>> round(supervised_contrastive(z, torch.tensor([0, 0, 1, 1]), temperature=1.0).item(), 4)  # all cosines 0: log 3
    1.0986
    """
    check_embeddings("supervised_contrastive", z=z)
    check_columns(len(z), label=label)
    check_tile(tile)
    operands = operand_dtype(z)
    scale, z = precise(temperature, z)
    z, label = z[label >= 0], label[label >= 0]
    _, code, size = label.unique(return_inverse=True, return_counts=True)
    positives = size[code] - 1  # |P(i)|, (N,)
    if not positives.any():
        return z[:0].sum() * scale
    with torch.autocast(z.device.type, enabled=False):
        z = unit_rows(z)
        sums = z.new_zeros(len(size), z.shape[1]).index_add(0, code, z)  # of each label, (C, D)
        similar = scale * row_similarity(z, sums[code] - z) / positives.clamp(min=1)  # mean over P(i), (N,)
        floor = torch.full_like(similar, -torch.inf)
        everyone, _ = off_diagonal_logsumexp(z, z, scale, floor=floor, tile=tile, operands=operands)
        return (everyone - similar)[positives > 0].mean()


@dataclass(frozen=True)
class SupervisedContrastive(Term):
    """Cells of one class lie together, whatever their view: the supervised contrastive loss over all of them.

        L = supervised_contrastive(all z of all views, label; tau),   over the cells that are present and labelled

    By label it needs no pairs: rows of one view each are aligned through their classes. By key it is the contrastive
    loss with several positives (five captions of one picture, several photographs of one thing), where InfoNCE would
    merely leave them out as negatives.

    Args:
        label: which label column; the only one when None.
        by: "label", or "key": rows of equal key are one class, a row of unknown key is a class of its own, whose
            views are each other's positives.
        views: which views; all when None.
        twins: embed every cell once more after another random change, as one more positive.
        temperature: tau, which divides the cosines. learn: train it, clamped to [0.01, 1].
        tile: side of the tiles the logits are computed in; the result is the same.

    Logs `temperature`; `positives`, the mean number of a cell's positives; and `of_chance`, where the loss lies between
    the least possible, 0, and that of N cells that all look alike, 1.

    Reference: Khosla et al. 2020, equation 2. Departures: several views, masked missing cells and labels.

    >>> SupervisedContrastive(by="key")  # doctest: +ELLIPSIS
    SupervisedContrastive(label=None, by='key', views=None, twins=False, temperature=0.1, ...)
    """

    label: str | None = None
    by: str = "label"
    views: tuple[str, ...] | None = None
    twins: bool = False
    temperature: float = 0.1
    learn: bool = False
    tile: int | None = None

    def needs(self) -> Needs:
        return Needs(twins=self.twins, aligns=True)

    def class_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        if self.by != "label":
            return ()
        if self.label is None:
            return tuple(labels) if len(labels) == 1 else ()
        return (self.label,)

    def state(self, space: Space) -> Temperature:
        check_views("SupervisedContrastive names", self.views, space.dims)
        if self.by not in ("label", "key"):
            raise UsageError(f"SupervisedContrastive goes by 'label' or 'key', got {self.by!r}")
        if self.by == "label":
            self._refuse_labels(space.classes or {}, space.numbers)
        elif self.label is not None:
            raise UsageError(f"SupervisedContrastive by='key' reads no label, got label={self.label!r}; leave one out")
        return Temperature(self.temperature, trainable=self.learn)

    def _refuse_labels(self, classes, numbers: Sequence[str]) -> None:
        term = "SupervisedContrastive"
        if not classes and numbers:
            listed = ", ".join(map(repr, numbers))
            raise UsageError(f"{term} needs classes, and {listed} hold numbers; say which one are names: label=...")
        if not classes:
            raise UsageError(f"{term} needs a label column, and there is none; name one (label=...), or use by='key'")
        if self.label is None and len(classes) > 1:
            raise UsageError(f"{term} takes one label column of {', '.join(map(repr, classes))}; say which: label=...")
        if self.label is not None and self.label not in classes:
            raise UsageError(f"{term} names {self.label!r}, but no such label column{nearest(self.label, classes)}")

    def _codes(self, batch) -> Tensor:
        """The class of each row, int64 (B,); -1 where it is not known."""
        if self.by == "label":
            classes = [y for name, y in batch.y.items() if self.label in (name, None) and not y.is_floating_point()]
            return classes[0] if classes else torch.full_like(batch.rows, -1)
        row = torch.arange(len(batch), device=batch.rows.device)  # an unknown key is a class of its own
        return row if batch.key is None else torch.where(batch.key < 0, batch.key.max() + 1 + row, batch.key)

    def loss(self, batch, state):
        if self.twins:
            check_twins("SupervisedContrastive", batch)
        tau, code = state(), self._codes(batch)
        copies = [batch.z, batch.twin] if self.twins else [batch.z]
        coded = {view: batch.present[view] & (code >= 0) for view in self.views or batch.z}
        z = torch.cat([copy[view][rows] for view, rows in coded.items() for copy in copies])  # (N, D)
        label = torch.cat([code[rows] for rows in coded.values() for _ in copies])
        _, member, size = label.unique(return_inverse=True, return_counts=True)
        positives = size[member] - 1  # of each cell, (N,)
        parts: Parts = {"temperature": tau.detach()}
        if not positives.any():
            return None, parts
        value = supervised_contrastive(z, label, temperature=tau, tile=self.tile)
        parts["positives"] = positives.float().mean()
        if positives.min() < len(z) - 1:  # one class alone has no negatives
            alike, least = math.log(len(z) - 1), positives[positives > 0].log().mean()
            parts["of_chance"] = (value.detach() - least) / (alike - least)
        return value, parts
