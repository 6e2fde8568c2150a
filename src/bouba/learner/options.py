"""The arguments of a trained method, checked when it is fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bouba.declared import refuse_options
from bouba.errors import UsageError
from bouba.nn.fusion import StackedFusion
from bouba.terms.term import Objective, Term
from bouba.towers import EncoderSpec, SameAs


def refuse_arguments(estimator: Any) -> None:
    """UsageError for towers and terms that are none, and for whatever `declared.refuse_options` refuses."""
    given = estimator.get_params(deep=False)
    _refuse_other_towers(type(estimator).__name__, given.get("towers"))
    if given.get("objective") is not None:
        refuse_other_terms(given["objective"])
    refuse_options(estimator)
    if isinstance(given.get("fusion"), StackedFusion) and not getattr(type(estimator), "stacks", False):
        raise UsageError(
            f"{type(estimator).__name__} stacks no predictions; StackedFusion is for FusionClassifier, FusionRegressor "
            "and MultitaskLearner, give another fusion"
        )


def refuse_other_terms(objective: Any) -> None:
    """UsageError for what is no term or sum of terms, or weighs one by less than 0."""
    if isinstance(objective, type):
        raise UsageError(f"objective is a class; make a term of it: {objective.__name__}()")
    if not isinstance(objective, Term | Objective):
        raise UsageError(f"objective is a term or a sum of terms, InfoNCE() + 0.3 * MMD(), got {objective!r:.60}")
    for weight, term in Objective.of(objective):
        if not isinstance(term, Term) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise UsageError(f"a term weighs 0 or more, got {weight!r:.60} * {term!r:.60}")


def _refuse_other_towers(name: str, towers: Any) -> None:
    if towers is None:
        return
    if not isinstance(towers, Mapping):
        raise UsageError(f"{name} takes towers by view, {{'photo': ConvNet()}}, got {towers!r:.60}")
    for view, tower in towers.items():
        if not isinstance(view, str):
            raise UsageError(f"{name} takes towers by view, {{'photo': ConvNet()}}, got a tower of {view!r:.60}")
        if isinstance(tower, type):
            raise UsageError(f"the tower of {view!r} is a class; make one of it: {tower.__name__}()")
        if not isinstance(tower, EncoderSpec | SameAs):
            raise UsageError(f"the tower of {view!r} is {tower!r:.60}; give one of bouba.towers, for example MLP()")
