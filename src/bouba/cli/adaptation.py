"""What a model that adapts needs on the command line: its like on the source alone, how far the domains lie apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.base import clone

from bouba.adapt import Diagnosis, diagnose
from bouba.data.target import Target, name_of, source_only
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.fuse import FusionClassifier
from bouba.learner import BaseLearner

RIVAL = "source_only"


class Adapted(NamedTuple):
    """What a report says of adaptation; all empty where there was none."""

    target: str | None = None
    diagnosis: Diagnosis | None = None
    remarks: tuple[str, ...] = ()


def source_alone(model: Any, training: Views, said: Mapping[str, Any], *, aloud: bool) -> dict[str, BaseLearner]:
    """The baseline of a classifier that adapts: the same towers and training, and nothing of the target."""
    if aloud:
        sys.stderr.write("a classifier of the source alone is trained beside; --no-baseline leaves it out\n")
    mine = clone(model).get_params(deep=False)
    rival = FusionClassifier(calibration=0.0, alone=0.0)
    shared = {name: value for name, value in mine.items() if name in rival.get_params(deep=False)}
    rival.set_params(**shared)
    return {RIVAL: rival.fit(source_only(training, said["target"]), validation=said.get("validation"))}


def adapted(
    folder: Path, model: Any, held_out: Views | None, rivals: Mapping[str, BaseLearner], target: Target | None
) -> Adapted:
    """How far source and target lie apart on held-out rows, written to diagnosis.json; or why it is not known."""
    if target is None or held_out is None:
        return Adapted(None if target is None else name_of(target))
    try:
        found = diagnose(model, held_out, target=target, before=rivals.get(RIVAL))
    except DataError as error:  # too few rows of either to compare
        return Adapted(name_of(target), None, (f"How far source and target lie apart was not measured: {error}.",))
    (folder / "diagnosis.json").write_text(json.dumps(found.to_dict(), indent=1))
    return Adapted(name_of(target), found)
