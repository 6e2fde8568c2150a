"""How far the target domain lies from the source, for the report of a model that adapts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bouba.adapt import Diagnosis, diagnose
from bouba.data.target import Target, name_of
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.learner import BaseLearner
from bouba.runs.methods import SOURCE_ONLY


class Adaptation(NamedTuple):
    """What a report says of adaptation; all empty where there was none."""

    target: str | None = None
    diagnosis: Diagnosis | None = None
    remarks: tuple[str, ...] = ()


NOT_ADAPTED = Adaptation()


def diagnosed(
    folder: Path, model: Any, held_out: Views | None, rivals: Mapping[str, BaseLearner], target: Target | None
) -> Adaptation:
    """How far source and target lie apart on held-out rows, written to diagnosis.json; or why it is not known."""
    if target is None or held_out is None:
        return Adaptation(None if target is None else name_of(target))
    try:
        diagnosis = diagnose(model, held_out, target=target, before=rivals.get(SOURCE_ONLY.name))
    except DataError as error:  # too few rows of either to compare
        remark = f"How far source and target lie apart was not measured: {error}."
        return Adaptation(name_of(target), None, (remark,))
    (folder / "diagnosis.json").write_text(json.dumps(diagnosis.to_dict(), indent=1), encoding="utf-8")
    return Adaptation(name_of(target), diagnosis)
