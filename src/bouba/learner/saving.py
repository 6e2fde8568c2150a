"""A trained model from what `save` wrote: facts held against one another, and sizes against the file, before memory is
taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bouba import persist
from bouba.data.kinds import KINDS
from bouba.data.loader import Codes
from bouba.data.schema import Schema
from bouba.errors import BoubaError, DataError
from bouba.learner.building import with_forms
from bouba.towers import EncoderSpec, SameAs

LAYERS = 100
"""Calls that make a tensor, for each tensor of the file: more would be another network than the file's."""


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
    _refuse_other_sizes(model, file)
    model._assemble()
    model.module_.load_state_dict(persist.read_tensors(file))
    model.module_.eval()


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


def _refuse_other_sizes(model: Any, file: Path) -> None:
    """DataError unless the tensors of the file are those of the network that the facts describe, of which only the
    sizes are worked out."""
    import torch
    from torch.overrides import TorchFunctionMode

    saved = persist.read_sizes(file)
    most = LAYERS * (len(saved) + 10)

    class Counted(TorchFunctionMode):
        """Ends the making of a network without bound."""

        calls = 0

        def __torch_function__(self, called, types, args=(), kwargs=None):
            self.calls += 1
            if self.calls > most:
                raise DataError(f"a network of far more than the {len(saved)} tensors that the file holds")
            return called(*args, **(kwargs or {}))

    try:
        with torch.device("meta"), Counted():
            model._assemble()
    except BoubaError:
        raise
    except (
        Exception
    ):  # an encoder that computes with numbers while it is made; or a wrong fact, which shows again below
        return
    fits = True
    try:  # a network may know names that it had before
        model.module_.load_state_dict({name: torch.empty(size, device="meta") for name, size in saved.items()})
    except RuntimeError:
        fits = False
    wanted = {name: tuple(tensor.shape) for name, tensor in model.module_.state_dict().items()}
    del model.module_
    for name in () if fits else wanted | saved:
        if name not in saved or name not in wanted:
            raise DataError(f"the file {'lacks' if name in wanted else 'holds a strange'} {name}")
        if wanted[name] != saved[name]:
            raise DataError(f"{name} is {saved[name]} in the file, and {wanted[name]} by what model.json says")
