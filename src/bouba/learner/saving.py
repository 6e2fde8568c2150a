"""A trained model from what `save` wrote: facts held against one another, and sizes against the file, before memory is
taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bouba import persist
from bouba.data.kinds import KINDS
from bouba.data.loader import Codes
from bouba.data.schema import Schema
from bouba.device import device_named
from bouba.errors import DataError
from bouba.learner.building import with_forms
from bouba.towers import EncoderSpec, SameAs

LAYERS = 100
"""Calls of torch for each tensor of the file, at most: more would be another network than the file's."""
SPARE = 8
"""Numbers made for each number of the file, at most: some are made only to be thrown away."""


def restore(model: Any, facts: Mapping[str, Any], file: Path, custom: Sequence[type]) -> None:
    """Make a model the fitted one that `save` wrote.

    Args:
        model: a BaseLearner of the constructor arguments in the file. facts: content of model.json.
        file: of the numbers.
        custom: classes that are not bouba's.

    Raises:
        DataError: facts that do not fit together, or not the numbers in the file. RecipeError: no such class.
    """
    model.specs_ = {name: persist.rebuild(spec, custom) for name, spec in _mapping(facts, "specs").items()}
    model.kinds_, model.learned_ = _mapping(facts, "kinds"), with_forms(_mapping(facts, "learned"), model.specs_)
    model.schema_ = Schema.from_dict(facts["schema"]) if facts.get("schema") else None
    model.alphabets_ = _mapping(facts, "alphabets")
    model.codes_ = persist.rebuild(facts.get("codes"))
    model.history_ = facts.get("history", [])
    for name, value in facts.get("more", {}).items():
        if name not in model.saves:
            raise DataError(f"{type(model).__name__} keeps no {name!r:.80}")
        setattr(model, name, persist.rebuild(value, custom))
    _refuse_misfit(model)
    saved = persist.read_sizes(file)
    with _bounded(saved):
        model._assemble()
    try:
        model.module_.load_state_dict(persist.read_tensors(file))
    except RuntimeError as error:
        wanted = {name: tuple(tensor.shape) for name, tensor in model.module_.state_dict().items()}
        raise DataError(_difference(wanted, saved) or str(error)) from error
    model.module_.to(device_named(model.device)).eval()


def _mapping(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = facts[name]
    if not isinstance(value, dict):
        raise DataError(f"{name} is no object")
    return value


def _refuse_misfit(model: Any) -> None:
    """DataError where what is known of the views does not fit together."""
    specs, kinds = model.specs_, model.kinds_
    strange = next((name for name, spec in specs.items() if not isinstance(spec, EncoderSpec | SameAs)), None)
    if strange is not None:
        raise DataError(f"the tower of {strange!r} is a {type(specs[strange]).__name__}, no encoder")
    if set(kinds) != set(specs) or not all(isinstance(kind, str) and kind in KINDS for kind in kinds.values()):
        raise DataError(f"its views {', '.join(map(repr, specs))} do not fit their kinds {kinds}")
    if not isinstance(model.codes_, Codes):
        raise DataError(f"its codes are a {type(model.codes_).__name__}")
    if not isinstance(model.history_, list):
        raise DataError("its history is no list")
    if not all(isinstance(letters, str) for letters in model.alphabets_.values()):
        raise DataError("its alphabets are no text")


def _bounded(saved: Mapping[str, tuple[int, ...]]) -> Any:
    """A context in which tensors are made of about as many numbers as a file holds, DataError before memory is taken
    for more. A network without end is ended.

    Args:
        saved: name -> shape in the file.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    numbers = sum(map(math.prod, saved.values()))
    most_calls, most_numbers = LAYERS * (len(saved) + 10), SPARE * numbers + 2**24
    makers = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full, torch.eye, torch.arange}

    class Bounded(TorchFunctionMode):
        calls = made = 0

        def __torch_function__(self, called, types, args=(), kwargs=None):
            self.calls += 1
            if called in makers:
                self.made += math.prod(_whole_numbers(args) + _whole_numbers([(kwargs or {}).get("size")]))
            if self.calls > most_calls or self.made > most_numbers:
                raise DataError(
                    f"the file holds {len(saved)} tensors of {numbers:,} numbers, far more by what model.json says"
                )
            return called(*args, **(kwargs or {}))

    return Bounded()


def _whole_numbers(values: Iterable[Any]) -> list[int]:
    """Sizes as torch takes them: numbers, or tuples of them."""
    return [n for v in values for n in (v if isinstance(v, tuple | list) else [v]) if isinstance(n, int)]


def _difference(wanted: Mapping[str, tuple[int, ...]], saved: Mapping[str, tuple[int, ...]]) -> str:
    """The first tensor that a network and a file do not have alike, in words; "" where they have all."""
    for name in dict(wanted) | dict(saved):
        if name not in saved or name not in wanted:
            return f"the file {'lacks' if name in wanted else 'holds a strange'} {name}"
        if wanted[name] != saved[name]:
            return f"{name} is {saved[name]} in the file, and {wanted[name]} by what model.json says"
    return ""
