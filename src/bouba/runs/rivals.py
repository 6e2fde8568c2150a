"""What is trained or solved beside a model and compared with it: the same rows, without its idea."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sklearn.base import clone

from bouba.align import LinearBaseline
from bouba.data.target import source_only
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.fuse import FusionClassifier
from bouba.learner import BaseLearner
from bouba.runs.methods import LATE_FUSION, REGRESSION, SOURCE_ONLY, Method
from bouba.transfer import RegressionTranslator

Rival = TypeVar("Rival", bound=BaseLearner)


def trained_rivals(
    method: Method,
    model: Any,
    training: Views,
    fit_options: Mapping[str, Any],
    say: Callable[[str], None],
    folder: Path,
) -> dict[str, BaseLearner]:
    """Name -> fitted model, of those rivals of the method that are trained and that this model has.

    Args:
        model: fitted. training: the rows it was fitted on.
        fit_options: [fit] of its recipe. say: takes a sentence on what is trained.
        folder: of their checkpoints; one that was cut off goes on from there.
    """
    options = {name: value for name, value in fit_options.items() if name != "holdout"}
    rivals: dict[str, BaseLearner] = {}
    for name in method.rivals:
        if name == REGRESSION.name:
            say("regression, the baseline, is trained beside; --no-baseline leaves it out")
            rival = _with_parameters_of(model, RegressionTranslator())
            rivals[name] = rival.fit(training, validation=options.get("validation"), folder=folder / name, resume=True)
        elif name == SOURCE_ONLY.name:
            say("a classifier of the source alone is trained beside; --no-baseline leaves it out")
            rival = _with_parameters_of(model, FusionClassifier(calibration=0.0, alone=0.0))
            source = source_only(training, options["target"])
            rivals[name] = rival.fit(source, validation=options.get("validation"), folder=folder / name, resume=True)
        elif name == LATE_FUSION.name and _could_fuse_late(model):
            say("late fusion, the baseline, is trained beside; --no-baseline leaves it out")
            rival = clone(model).set_params(fusion=None)
            rivals[name] = rival.fit(training, **options, folder=folder / name, resume=True)
    return rivals


def linear_baseline(model: Any, training: Views) -> LinearBaseline | None:
    """Linear CCA on simple features of the model's views; None where rows are too few or views of other kinds."""
    try:
        return LinearBaseline().fit(training.select(*(view for view in training.columns if view in model.kinds_)))
    except DataError:
        return None


def _could_fuse_late(model: Any) -> bool:
    """Whether the model would also work without a fusion: nothing but its predictions reads the fused vector."""
    return model.predicts and model.fuses and len(model.kinds_) > 1 and not model._objective().requires_fusion


def _with_parameters_of(model: BaseLearner, rival: Rival) -> Rival:
    """The rival with those of the model's parameters that it has."""
    own = rival.get_params(deep=False)
    return rival.set_params(**{n: value for n, value in clone(model).get_params(deep=False).items() if n in own})
