"""What bouba fit trains beside a model and compares it with: the same towers and training, without its idea."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from sklearn.base import clone

from bouba.adapt.adapted_classifier import AdaptedClassifier
from bouba.data.target import source_only
from bouba.data.views import Views
from bouba.fuse import FusionClassifier
from bouba.learner import BaseLearner
from bouba.transfer import RegressionTranslator, Translator

SOURCE_ONLY = "source_only"
Rival = TypeVar("Rival", bound=BaseLearner)


def trained(model: Any, training: Views, said: Mapping[str, Any], *, aloud: bool) -> dict[str, BaseLearner]:
    """Of a translator one that gives the mean; of a classifier that adapts its like on the source alone; of a fusion
    each view predicting alone. None where a model has no such rival."""
    validation = said.get("validation")
    if isinstance(model, Translator):
        _say("regression, the baseline, is trained beside", aloud)
        return {"regression": _like(model, RegressionTranslator()).fit(training, validation=validation)}
    if isinstance(model, AdaptedClassifier):
        _say("a classifier of the source alone is trained beside", aloud)
        rival = _like(model, FusionClassifier(calibration=0.0, alone=0.0))
        return {SOURCE_ONLY: rival.fit(source_only(training, said["target"]), validation=validation)}
    if model.fusion is None or len(model.kinds_) < 2 or model._objective().requires_fusion:
        return {}
    _say("late fusion, the baseline, is trained beside", aloud)
    late = clone(model).set_params(fusion=None)
    return {"late_fusion": late.fit(training, **{name: value for name, value in said.items() if name != "holdout"})}


def _like(model: BaseLearner, rival: Rival) -> Rival:
    """The rival with the model's parameters, those that it has."""
    own = rival.get_params(deep=False)
    return rival.set_params(**{n: value for n, value in clone(model).get_params(deep=False).items() if n in own})


def _say(what: str, aloud: bool) -> None:
    if aloud:
        sys.stderr.write(f"{what}; --no-baseline leaves it out\n")
