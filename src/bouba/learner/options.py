"""The arguments of an estimator, checked when it is fitted: of the types they are declared with, and within range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bouba.declared import refuse_misfits
from bouba.errors import UsageError
from bouba.terms.term import Objective, Term
from bouba.towers import EncoderSpec, SameAs

RANGES: dict[str, tuple[float, float]] = {  # argument -> least and largest value
    "dim": (1, 2**20),
    "weight_decay": (0, 10**6),
    "patience": (0, 2**31),
    "chunk_size": (1, 2**31),
    "random_state": (0, 2**32 - 1),
}


def refuse_options(estimator: Any) -> None:
    """UsageError for the first argument that is of another type than declared, or out of range."""
    given = estimator.get_params(deep=False)
    name = type(estimator).__name__
    _refuse_other_towers(name, given.get("towers"))
    objective = given.get("objective")
    if objective is not None:
        refuse_other_terms(objective)
    checked = {
        argument: v for argument, v in given.items() if not (argument == "fusion" and v is None)
    }  # terms need it
    refuse_misfits(type(estimator), checked)
    for argument, (least, largest) in RANGES.items():
        value = given.get(argument)
        if isinstance(value, int | float) and not least <= value <= largest:
            raise UsageError(f"{name}: {argument}={value!r} lies outside {least:,} to {largest:,}")
    lr = given.get("lr")
    if lr is not None and not 0 <= lr < math.inf:
        raise UsageError(f"{name}: lr={lr!r} is no learning rate, for example 0.002")


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
