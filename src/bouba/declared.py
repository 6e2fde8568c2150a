"""Values held against the types that their owner declares: constructor arguments, and what a file says they were."""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from bouba.errors import UsageError

RANGES: dict[str, tuple[float, float]] = {  # argument of an estimator -> least and largest value
    "dim": (1, 2**20),
    "weight_decay": (0, 10**6),
    "patience": (0, 2**31),
    "ema": (0, 0.999999),
    "chunk_size": (1, 2**31),
    "random_state": (0, 2**32 - 1),
}
PLAIN: dict[Any, Any] = {
    int: numbers.Integral,
    float: numbers.Real,
    str: str | os.PathLike,
    bool: numbers.Integral | np.bool_,
    NoneType: NoneType,
}
"""Declared type -> what passes for it."""
NOUNS = {int: "a whole number", float: "a number", str: "text", bool: "True or False", NoneType: "None"}


class Declared:
    """A description whose arguments are checked against their declared types when it is made."""

    def __new__(cls, *values: Any, **named: Any):
        refuse_misfits(cls, dict(zip(_places(cls), values)) | named)  # type: ignore[arg-type]  # too many, too few: __init__ says so
        return super().__new__(cls)


@cache
def _places(owner: type) -> tuple[str, ...]:
    """The arguments that a dataclass takes by place, in order."""
    if not dataclasses.is_dataclass(owner):
        return ()
    return tuple(field.name for field in dataclasses.fields(owner) if field.init and not field.kw_only)


def refuse_misfits(owner: type, values: Mapping[str, Any]) -> None:
    """UsageError for the first value that is not of the type its owner, a class, declares for it."""
    declared = hints_of(owner)
    for name, value in values.items():
        if name in declared and not fits(value, declared[name]):
            raise UsageError(f"{owner.__name__}: {name}={value!r:.60} is not {noun_of(declared[name])}")


def refuse_options(estimator: Any) -> None:
    """UsageError for the first argument of an estimator that is of another type than declared, or out of range."""
    given, name = estimator.get_params(deep=False), type(estimator).__name__
    refuse_misfits(type(estimator), {key: v for key, v in given.items() if not (key == "fusion" and v is None)})
    for argument, (least, largest) in RANGES.items():
        value: Any = given.get(argument)
        if isinstance(value, numbers.Real) and not least <= float(value) <= largest:
            raise UsageError(f"{name}: {argument}={value!r} lies outside {least:,} to {largest:,}")
    lr = given.get("lr")
    if lr is not None and not 0 <= lr < math.inf:
        raise UsageError(f"{name}: lr={lr!r} is no learning rate, for example 0.002")


@cache
def hints_of(owner: type) -> dict[str, Any]:
    """Argument -> declared type, of a dataclass or of every constructor on the way up; without those not resolved."""
    if dataclasses.is_dataclass(owner):
        return _resolved(owner)
    made: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        if inspect.isfunction(vars(base).get("__init__")):
            made |= _resolved(base.__init__)  # type: ignore[misc]
    return made


def _resolved(declaring: Any) -> dict[str, Any]:
    try:
        return get_type_hints(declaring)
    except (NameError, TypeError):  # a type that only a type checker imports
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type. Lists pass as tuples, False passes as None; what cannot be told passes."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint in PLAIN:
        return isinstance(value, PLAIN[hint]) and not (hint is int and isinstance(value, bool))
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner) or (value is False and NoneType in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        if isinstance(value, str):
            return inner[0] not in (int, float)  # a name for a tuple of names: who reads it says what to write
        return isinstance(value, tuple | list) and _fit_each(value, inner)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, Sequence) and not isinstance(value, str)
    return not isinstance(hint, type) or _protocol(hint) or isinstance(value, hint)


def _fit_each(values: Sequence, inner: tuple) -> bool:
    """Whether the numbers among values fit. Names within may be what the cells hold, so they are not looked at."""
    if len(inner) == 2 and inner[1] is Ellipsis:
        return inner[0] is str or all(fits(value, inner[0]) for value in values)
    return len(values) == len(inner) and all(hint is str or fits(value, hint) for value, hint in zip(values, inner))


def _protocol(hint: type) -> bool:
    return bool(getattr(hint, "_is_protocol", False))


def noun_of(hint: Any) -> str:
    """A declared type in words: 'a whole number or None'."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(noun_of(each) for each in get_args(hint))
    if hint in NOUNS:
        return NOUNS[hint]
    origin = get_origin(hint)
    if origin is tuple:
        return f"{len(get_args(hint))} values" if Ellipsis not in get_args(hint) else "several values"
    if origin is not None and isinstance(origin, type):
        return "a mapping" if issubclass(origin, Mapping) else "a list"
    return f"a {hint.__name__}" if isinstance(hint, type) else str(hint)
