"""The rows that a fit trains on, and those that it holds out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bouba.data.matching import views_like
from bouba.data.pairing import row_values
from bouba.data.read import as_views
from bouba.data.schema import Schema
from bouba.data.split import split
from bouba.data.target import Target, hide, source_only
from bouba.data.views import Views
from bouba.errors import DataError, UsageError
from bouba.terms.term import Objective

log = logging.getLogger("bouba")


@dataclass(frozen=True)
class TrainingData:
    """The arguments of `fit`, on the way to the training rows.

    Args:
        views: rows to train on.
        validation: rows whose loss chooses the best epoch, or the share of the keys to hold out for that.
        target: the domain whose labels and pairings are still to be hidden.
        calibration: rows held out for the hook `_finish` alone.
        labels_as_y: labels came as the argument y, and are the label column "y".
        is_target: (n,) True on rows of the target, once it is hidden.
        schema: of the rows as they came in.
    """

    views: Views
    validation: float | Views | None = None
    target: Target | None = None
    calibration: Views | None = None
    labels_as_y: bool = False
    is_target: np.ndarray | None = None
    schema: Schema | None = None

    @classmethod
    def of(cls, X, y, domain, validation: float | Views | None, target: Target | None) -> TrainingData:
        """What comes in at `fit`. What is about rows is matched with them by its index, where both have one; rows of a
        table without any cell are left out."""
        views = as_views(X, every_row=True)
        schema = Schema.of(views)
        validation = views_like(validation, schema) if isinstance(validation, Views) else validation
        if domain is not None:
            views = views.replace(domain=row_values("domain", domain, views.row_names).astype(object))
        if y is not None:
            views = views.replace(y={**views.y, "y": row_values("y", y, views.row_names)})
        if not isinstance(X, Views):
            views = _with_a_cell(views)
        return cls(views, validation, target, labels_as_y=y is not None, schema=schema)

    @property
    def held_out(self) -> Views | None:
        """The rows that choose the best epoch, once they are held out."""
        return self.validation if isinstance(self.validation, Views) else None

    @property
    def source(self) -> Views:
        """The rows to train on that are not of the target."""
        return self.views if self.is_target is None else self.views[~self.is_target]

    def hold_out(self, random_state: int) -> TrainingData:
        """With rows in place of a share of the keys; those of the target all train, their keys unread."""
        if not isinstance(self.validation, float):
            return self
        source = self.views if self.target is None else source_only(self.views, self.target)
        parts = split(source, {"train": 1 - self.validation, "held out": self.validation}, random_state=random_state)
        is_held_out = np.isin(self.views.rows, parts["held out"].rows)
        return replace(self, views=self.views[~is_held_out], validation=parts["held out"])

    def hide_target(self, objective: Objective, random_state: int) -> TrainingData:
        """Without labels, keys and pairings of the target; without its rows where no term could read them."""
        if self.target is None:
            return replace(self, is_target=np.zeros(len(self.views), bool))
        held_out = None if self.held_out is None else source_only(self.held_out, self.target)
        views, is_target = hide(self.views, self.target, random_state=random_state)
        if not objective.needs().unpaired:
            views, is_target = views[~is_target], is_target[~is_target]
        return replace(self, views=views, validation=held_out, is_target=is_target)

    def of_views(self, names: Iterable[str]) -> TrainingData:
        """The same rows with these views alone; rows held out may lack some."""

        def of(part: Views) -> Views:
            return part.select(*(name for name in names if name in part.columns))

        held_out = of(self.validation) if isinstance(self.validation, Views) else self.validation
        calibration = None if self.calibration is None else of(self.calibration)
        return replace(self, views=of(self.views), validation=held_out, calibration=calibration)

    def check(self, objective: Objective) -> None:
        """DataError or UsageError for rows that cannot train, or cannot judge."""
        held_out, judges = self.held_out, objective.judges()
        if held_out is not None and not len(held_out):
            raise DataError("validation has no rows; give it some, or a share of the training rows")
        if held_out is not None and not judges.terms:  # every epoch would cost 0, and the first be kept
            raise UsageError(f"no term of {objective!r} judges held-out rows; leave validation out")
        if held_out is not None and judges.needs().pairs:
            _refuse_unjudging(held_out)
        if len(self.views) < 2:
            raise DataError(f"training needs two rows or more, got {len(self.views)}")


def _with_a_cell(views: Views) -> Views:
    """The rows that have a cell; the others are left out, with a warning."""
    some = np.asarray(np.any(list(views.present.values()), axis=0))
    if some.all():
        return views
    first = views.rows[int((~some).argmax())]
    log.warning(
        "%d of %d rows have no cell that can be read and are left out, first row %d", (~some).sum(), len(some), first
    )
    return views[some]


def _refuse_unjudging(held_out: Views) -> None:
    """DataError where no two rows have two views: the loss would be 0 and look perfect."""
    several = np.sum(list(held_out.present.values()), axis=0) > 1
    if len(held_out.columns) > 1 and several.sum() < 2:
        raise DataError(
            f"validation holds {int(several.sum())} rows with two views; two or more are needed: raise the share"
        )


def check_training(validation, patience: int | None, epochs: int, batch_size: int | None) -> None:
    """UsageError for arguments of a fit that would be ignored in silence, or fail late."""
    if not (validation is None or isinstance(validation, float | Views)):
        raise UsageError(f"validation is a share like 0.2 or Views, got {validation!r}; read a file with bouba.read")
    if patience is not None and validation is None:
        raise UsageError("patience needs validation, for example validation=0.2")
    if epochs < 1 or (batch_size is not None and batch_size < 2):
        raise UsageError(f"epochs must be 1 or more and batch_size 2, got {epochs} and {batch_size}")
