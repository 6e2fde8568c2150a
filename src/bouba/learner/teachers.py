"""Views of ready vectors that teach: read as they are, without a tower, and not needed once the model is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.views import Views
from bouba.errors import ModalityError, UsageError, nearest
from bouba.terms.term import Objective

if TYPE_CHECKING:
    from torch import Tensor


class ReadyVectors:
    """What the loader asks of an encoder, for vectors that no network reads."""

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        """float32 (cells, p)."""
        import torch

        return {"values": torch.from_numpy(np.stack([decode.vector(cell) for cell in cells]))}


def readers_of(objective: Objective) -> dict[str, Any]:
    """View that teaches -> what reads it."""
    return {view: ReadyVectors() for view in objective.needs().teachers}


def student_kinds(views: Views, objective: Objective) -> dict[str, str]:
    """View -> kind of those that get a tower.

    Raises:
        ModalityError: no such view to learn from. UsageError: one that is no vectors, or nothing but teachers.
    """
    teachers, kinds = objective.needs().teachers, views.modalities
    for view in teachers:
        if view not in kinds:
            raise ModalityError(f"the teacher {view!r} is no view of the table{nearest(view, kinds)}")
        if kinds[view] != "vector":
            raise UsageError(f"a teacher is a view of ready vectors, and {view!r} is {kinds[view]}; see bouba.taught")
    students = {view: kind for view, kind in kinds.items() if view not in teachers}
    if not students:
        raise UsageError(f"there is no view to teach beside {', '.join(teachers)}; name another column")
    return students


def teacher_facts(views: Views, objective: Objective) -> dict[str, dict]:
    """View that teaches -> how wide its vectors are, as a saved model keeps it. UsageError for one without any."""
    facts = {}
    for view in objective.needs().teachers:
        rows = np.flatnonzero(views[view].present)
        if not len(rows):
            raise UsageError(f"the teacher {view!r} has no vector in the training rows")
        facts[view] = {"width": len(decode.vector(views[view][int(rows[0])]))}
    return facts
