"""What a teacher gives of each cell, as views of their own: what Distil learns from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from bouba.data.views import Column, Views
from bouba.errors import ModalityError, UsageError


def taught(views: Views, teacher: Any, *, names: Sequence[str] | None = None) -> Views:
    """The same rows with the teacher's embedding of each cell of NAME as a view of ready vectors, "taught NAME".

    The teacher runs once, here; training then reads numbers. It may be of another method, with other towers: what it
    is called for is `embed`.

        views = bouba.taught(bouba.read("things.csv"), "runs/large")
        Learner(objective=InfoNCE() + Distil("taught caption", views=("caption",)), dim=64).fit(views)

    Args:
        views: rows to train on. teacher: a Run, the path of one, or a fitted model.
        names: which views; all that both have when None.

    Raises:
        ModalityError: no view of these is one of the teacher's. UsageError: a view that is called so already.
    """
    model = fitted(teacher)
    both = [name for name in views.columns if name in model.kinds_] if names is None else list(names)
    strange = next((name for name in both if name not in views.columns or name not in model.kinds_), None)
    if strange is not None or not both:
        known = f"the teacher reads {', '.join(model.kinds_)}, and there is {', '.join(views.columns)}"
        raise ModalityError(known if strange is None else f"{strange!r} is no view of both: {known}")
    taken = next((name for name in both if f"taught {name}" in views.columns), None)
    if taken is not None:
        raise UsageError(f"there is a view 'taught {taken}' already")
    z = model.embed(views.select(*both))
    present = views.present  # after embedding: cells may have broken
    added = {f"taught {name}": Column.of(z[name], "vector", present[name]) for name in both}
    return views.replace(columns={**views.columns, **added})


def fitted(teacher: Any) -> Any:
    """The estimator of a run, of its path, or as it is."""
    from bouba.runs.run import Run

    if isinstance(teacher, str | os.PathLike):
        teacher = Run.open(teacher)
    return teacher.model if isinstance(teacher, Run) else teacher
