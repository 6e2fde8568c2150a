"""What bouba fit tells of a model that adapts: its target, and how far source and target lie apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bouba.adapt import Diagnosis, diagnose
from bouba.cli.rivals import SOURCE_ONLY
from bouba.data.target import Target, name_of
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.learner import BaseLearner


class Adapted(NamedTuple):
    """What a report says of adaptation; all empty where there was none."""

    target: str | None = None
    diagnosis: Diagnosis | None = None
    remarks: tuple[str, ...] = ()


def adapted(
    folder: Path, model: Any, held_out: Views | None, rivals: Mapping[str, BaseLearner], target: Target | None
) -> Adapted:
    """How far source and target lie apart on held-out rows, written to diagnosis.json; or why it is not known."""
    if target is None or held_out is None:
        return Adapted(None if target is None else name_of(target))
    try:
        found = diagnose(model, held_out, target=target, before=rivals.get(SOURCE_ONLY))
    except DataError as error:  # too few rows of either to compare
        return Adapted(name_of(target), None, (f"How far source and target lie apart was not measured: {error}.",))
    (folder / "diagnosis.json").write_text(json.dumps(found.to_dict(), indent=1))
    return Adapted(name_of(target), found)
