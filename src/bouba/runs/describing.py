"""From an estimator to the recipe that builds it again: the inverse of `recipe.build`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.errors import UsageError
from bouba.runs.methods import method_of
from bouba.runs.recipe import LATE, NONE

if TYPE_CHECKING:
    from bouba.terms import Objective

PLAIN = (str, int, float, bool)


def recipe_of(estimator: Any) -> dict[str, Any]:
    """The recipe that builds an estimator again: sections for what differs from its defaults.

    Raises:
        UsageError: no method of the table, or a parameter that a TOML file cannot hold.
    """
    if isinstance(estimator, type):
        raise UsageError(f"{estimator.__name__} is a class; give an estimator, {estimator.__name__}()")
    method = method_of(estimator)
    if method is None:
        raise UsageError(f"{type(estimator).__name__} is no method; give a name of `bouba methods`, or one of theirs")
    usual = method.cls().get_params(deep=False)
    parameters = {name: v for name, v in estimator.get_params(deep=False).items() if name != "device"}
    changed = {name: v for name, v in parameters.items() if name == "fusion" or v != usual[name]}
    if not method.takes_fusion and changed.get("fusion") is None:
        changed.pop("fusion", None)
    return {"method": method.name} | sections_of(changed)


def sections_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator as the sections of a recipe that hold them.

    Raises:
        UsageError: one that a TOML file cannot hold.
    """
    recipe: dict[str, Any] = {"arguments": {}}
    for name, value in parameters.items():
        if name == "towers":
            recipe["towers"] = {view: _entry(spec, "encoder") for view, spec in value.items()}
        elif name == "objective":
            from bouba.terms import Objective

            recipe["objective"] = _terms(Objective.of(value))
        elif name == "fusion":
            recipe["fusion"] = {"kind": LATE} if value is None else _entry(value, "kind")
        else:
            if value is None:
                raise UsageError(
                    f"a recipe cannot hold {name}=None; fit the estimator itself, with its `fit` and `save`"
                )
            recipe["arguments"][name] = _value(name, value)
    return recipe


def _terms(objective: Objective) -> list[dict[str, Any]]:
    return [_entry(term, "term") | {"weight": weight} for weight, term in objective]


def _entry(description: Any, key: str) -> dict[str, Any]:
    """An encoder, a term or a fusion: its class by name, and the fields that differ from their defaults."""
    if type(description).__module__.partition(".")[0] != "bouba":
        raise UsageError(
            f"a recipe names bouba's own towers, terms and fusions, and {type(description).__name__} is yours; fit the "
            "estimator itself, or add the class to bouba"
        )
    return {key: type(description).__name__} | _changed_fields(description)


def _changed_fields(description: Any) -> dict[str, Any]:
    changed = {}
    for field in (field for field in dataclasses.fields(description) if field.init):
        value = getattr(description, field.name)
        usual = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if value != usual:
            changed[field.name] = _value(field.name, value, type(usual))
    return changed


def _value(name: str, value: Any, usual: type | None = None) -> Any:
    """A value as TOML takes it; a dataclass as a table of what differs from the one that stands there by default."""
    from bouba.nn.fusion import Fusion
    from bouba.terms import Objective, Term
    from bouba.towers import EncoderSpec

    if value is None:
        return NONE
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_value(name, inner) for inner in value]
    if isinstance(value, Mapping) and all(isinstance(inner, str) for inner in value):
        return {inner: _value(inner, v) for inner, v in value.items()}
    if isinstance(value, EncoderSpec):
        return _entry(value, "encoder")
    if isinstance(value, Term):
        return _entry(value, "term")
    if isinstance(value, Fusion):
        return _entry(value, "kind")
    if isinstance(value, Objective):
        return _terms(value)
    if usual is type(value) and dataclasses.is_dataclass(value):
        return _changed_fields(value)
    raise UsageError(f"a recipe cannot hold {name}={value!r:.60}; fit the estimator itself, with its `fit` and `save`")
