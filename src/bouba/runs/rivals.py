"""What is trained or solved beside a model and compared with it: the same rows, without its idea."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sklearn.base import clone

from bouba.data.target import source_only
from bouba.data.views import Views
from bouba.fuse import FusionClassifier
from bouba.learner import BaseLearner
from bouba.runs.method import Method
from bouba.runs.normed import with_target_statistics
from bouba.runs.recipe import OF_THE_CUT
from bouba.runs.yardsticks import LATE_FUSION, NEAREST, REGRESSION, SOURCE_ONLY, TARGET_STATISTICS
from bouba.transfer import NearestTranslator, RegressionTranslator

Rival = TypeVar("Rival", bound=BaseLearner)


def trained_rivals(
    method: Method,
    model: Any,
    training: Views,
    fit_options: Mapping[str, Any],
    say: Callable[[str], None],
    folder: Path,
) -> dict[str, BaseLearner]:
    """Name -> fitted model, of those rivals of the method that have a network and that this model has.

    Args:
        model: fitted. training: the rows it was fitted on.
        fit_options: [fit] of its recipe. say: takes a sentence on what is trained.
        folder: of their checkpoints; one that was cut off goes on from there.
    """
    options = {name: value for name, value in fit_options.items() if name not in OF_THE_CUT}
    chosen_by: dict[str, Any] = {"validation": options.get("validation")}
    rivals: dict[str, BaseLearner] = {}
    for name in method.rivals:
        goes_on: dict[str, Any] = {"folder": folder / name, "resume": True}
        if name == REGRESSION.name:
            say("regression, the baseline, is trained beside; --no-baseline leaves it out")
            rivals[name] = _with_parameters_of(model, RegressionTranslator()).fit(training, **chosen_by, **goes_on)
        elif name == NEAREST.name:
            rivals[name] = _with_parameters_of(model, NearestTranslator()).fit(training)
        elif name == SOURCE_ONLY.name:
            say("a classifier of the source alone is trained beside; --no-baseline leaves it out")
            rival = _with_parameters_of(model, FusionClassifier(calibration=0.0, alone=0.0))
            rivals[name] = rival.fit(source_only(training, options["target"]), **chosen_by, **goes_on)
        elif name == TARGET_STATISTICS.name:
            normed = with_target_statistics(rivals[SOURCE_ONLY.name], training, options["target"])
            rivals |= {} if normed is None else {name: normed}
        elif name == LATE_FUSION.name and _could_fuse_late(model):
            say("late fusion, the baseline, is trained beside; --no-baseline leaves it out")
            rivals[name] = clone(model).set_params(fusion=None).fit(training, **options, **goes_on)
    return rivals


def _could_fuse_late(model: Any) -> bool:
    """Whether the model would also work without a fusion: nothing but its predictions reads the fused vector."""
    return model.predicts and model.fuses and len(model.kinds_) > 1 and not model._objective().requires_fusion


def _with_parameters_of(model: BaseLearner, rival: Rival) -> Rival:
    """The rival with those of the model's parameters that it has."""
    own = rival.get_params(deep=False)
    return rival.set_params(**{n: value for n, value in clone(model).get_params(deep=False).items() if n in own})
