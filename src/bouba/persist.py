"""Models on disk: JSON for what they are, safetensors for their fitted numbers. No pickle anywhere.

A model folder holds `model.json` (format, class, constructor arguments, fitted facts) and `model.safetensors`.
Descriptions (terms, encoder specs, augmentations, objectives) are stored as {"is": "bouba.terms:InfoNCE", ...};
classes of bouba load by name, yours are handed to `load` so that a file never chooses code to run.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.errors import DataError, RecipeError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MODEL_FILES = {"model.json", "model.safetensors"}
PLAIN = (str, int, float, bool, type(None))
MOVED = {
    "bouba.adapt.clip_dann:AdaptedCLIP": "bouba.adapt.adapted_clip:AdaptedCLIP",
    "bouba.align.cca:Side": "bouba.align.canonical:Side",
    "bouba.align.cca:Solution": "bouba.align.canonical:Solution",
}
"""Name in the files of models saved before -> name of today."""


def describe(value, arrays: dict[str, np.ndarray] | None = None, at: str = "") -> Any:
    """A description as JSON: plain values, lists, mappings, and frozen dataclasses by class name.

    Args:
        value: what to describe.
        arrays: takes arrays found inside, by the dotted path to them; None refuses arrays.
        at: the path to `value`.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PLAIN):
        return value
    described = lambda inner, step: describe(inner, arrays, f"{at}.{step}")  # noqa: E731
    if isinstance(value, tuple):
        return {"is": "tuple", "of": [described(inner, i) for i, inner in enumerate(value)]}
    if isinstance(value, list):
        return [described(inner, i) for i, inner in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            return {"is": "items", "of": [described([name, inner], i) for i, (name, inner) in enumerate(value.items())]}
        return {"is": "dict", "of": {name: described(inner, name) for name, inner in value.items()}}
    if isinstance(value, np.ndarray) and arrays is not None:
        return _describe_array(value, arrays, at)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: described(getattr(value, f.name), f.name) for f in dataclasses.fields(value) if f.init}
        return {"is": name_of(type(value)), **fields}
    raise RecipeError(
        f"cannot save a {type(value).__name__}; use plain values and frozen dataclasses (terms, encoders) as arguments"
    )


def _describe_array(array: np.ndarray, arrays: dict[str, np.ndarray], at: str) -> dict:
    """Text stays in the description; numbers go into `arrays`."""
    if array.dtype.kind in "OU":
        cells = array.tolist()
        if not all(isinstance(cell, str) for cell in cells):
            raise RecipeError(f"cannot save {at}, an array of {array.dtype}; use an array of numbers, or 1-D of text")
        return {"is": "strings", "dtype": array.dtype.str, "of": cells}
    at = at if at not in arrays else f"{at}#{len(arrays)}"
    arrays[at] = array
    return {"is": "array", "of": at}


def rebuild(data, custom: Iterable[type] = (), arrays: Mapping[str, np.ndarray] | None = None) -> Any:
    """The inverse of `describe`.

    Args:
        data: a description, from `describe`.
        custom: classes of yours that the description may name.
        arrays: those that `describe` took out of it.
    """
    rebuilt = lambda inner: rebuild(inner, custom, arrays)  # noqa: E731
    if isinstance(data, list):
        return [rebuilt(inner) for inner in data]
    if not isinstance(data, dict):
        return data
    if data["is"] == "tuple":
        return tuple(rebuilt(inner) for inner in data["of"])
    if data["is"] == "dict":
        return {name: rebuilt(inner) for name, inner in data["of"].items()}
    if data["is"] == "items":
        return dict(map(rebuilt, data["of"]))
    if data["is"] == "strings":
        return np.array(data["of"], dtype=data["dtype"])
    if data["is"] == "array":
        return (arrays or {})[data["of"]]
    fields = {name: rebuilt(inner) for name, inner in data.items() if name != "is"}
    return class_of(data["is"], custom)(**fields)


def pack(attributes: Mapping[str, Any]) -> tuple[dict, dict[str, np.ndarray]]:
    """The fitted attributes of a closed form, as JSON and arrays.

    Args:
        attributes: name -> numbers, text, arrays, and lists, tuples, mappings and frozen dataclasses of these.

    Returns:
        (facts, arrays) for `write_model`; `unpack` restores them to the bit.

    Raises:
        RecipeError: something else.
    """
    arrays: dict[str, np.ndarray] = {}
    facts = {name: describe(value, arrays, name) for name, value in attributes.items()}
    return facts, arrays


def unpack(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray], custom: Iterable[type] = ()) -> dict[str, Any]:
    """The inverse of `pack`."""
    return {name: rebuild(value, custom, arrays) for name, value in facts.items()}


def name_of(cls: type) -> str:
    """'bouba.terms.info_nce:InfoNCE'."""
    return f"{cls.__module__}:{cls.__qualname__}"


def class_of(name: str, custom: Iterable[type] = ()) -> type:
    """The class a file names: one of `custom`, or one of bouba's own.

    Raises:
        RecipeError: a class of somebody else's that was not handed in, or one that bouba no longer has.
    """
    custom_classes = {name_of(cls): cls for cls in custom}
    if name in custom_classes:
        return custom_classes[name]
    name = MOVED.get(name, name)
    module, _, qualified = name.partition(":")
    if module.split(".")[0] != "bouba":
        raise RecipeError(f"this model uses {name}; hand the class in: bouba.load(path, custom=[{qualified}])")
    try:
        cls = getattr(importlib.import_module(module), qualified)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"this model uses {name}, which this version of bouba does not have") from error
    if not isinstance(cls, type) or cls.__module__ != module:
        raise RecipeError(f"this model names {name}, which is no class of bouba's")
    return cls


def write_model(folder: Path, facts: dict, numbers: Mapping[str, Any]) -> None:
    """Write a model folder under another name and rename it: it is there whole or not at all.

    Args:
        folder: of the model alone. facts: JSON. numbers: name -> array, or name -> tensor.

    Raises:
        UsageError: the folder holds something that is not a model.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - MODEL_FILES):
        raise UsageError(f"{folder} holds other things than a model; save into a folder of its own")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    (part / "model.json").write_text(
        json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    _write_numbers(numbers, part / "model.safetensors")
    swap_folders(part, folder)


def _write_numbers(numbers: Mapping[str, Any], file: Path) -> None:
    """One safetensors file; arrays are written without torch, which gives the same bytes."""
    if all(isinstance(array, np.ndarray) for array in numbers.values()):
        import safetensors.numpy

        arrays = {name: np.asarray(array, order="C") for name, array in numbers.items()}  # memory is written as it lies
        safetensors.numpy.save_file(arrays, file)
    else:
        import safetensors.torch

        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in numbers.items()}
        safetensors.torch.save_file(tensors, file)


def swap_folders(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; the old one goes when the new one stands."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def model_folder(folder: Path) -> Path:
    """The model folder: itself, or the one in a run folder. DataError where there is none."""
    for place in (folder, folder / "model"):
        if (place / "model.json").exists():
            return place
    raise DataError(f"no model in {folder}; make one: bouba fit TABLE -o {folder}, or model.save({str(folder)!r})")


def read_model(folder: Path) -> tuple[dict, Path]:
    """(facts, file of the numbers) of a model folder, or of the run folder around it.

    Raises:
        DataError: no model there, or one of a later format.
    """
    folder = model_folder(folder)
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if facts["format"] > FORMAT:
        raise DataError(f"{folder} is of format {facts['format']}, this bouba reads up to {FORMAT}; upgrade bouba")
    return facts, folder / "model.safetensors"


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The numbers of a model that is solved; no torch."""
    import safetensors.numpy

    return safetensors.numpy.load_file(file)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The numbers of a model that is trained."""
    import safetensors.torch

    return safetensors.torch.load_file(file)


def load(path: str | Path, *, custom: Sequence[type] = ()) -> Any:
    """A saved model, from its folder or the run folder around it.

    Args:
        path: what `save` or `bouba fit -o` wrote.
        custom: classes of yours (terms, encoders, methods) that the model uses.

    Raises:
        DataError: no model there. RecipeError: it uses a class that is not bouba's and not in `custom`.
    """
    facts, file = read_model(Path(path))
    arguments = {name: rebuild(value, custom) for name, value in facts["arguments"].items()}
    model = class_of(facts["class"], custom)(**arguments)
    model._restore(facts, file, custom)
    return model
