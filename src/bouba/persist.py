"""Models on disk: JSON for what they are, safetensors for what they learnt. No pickle anywhere.

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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bouba.errors import DataError, RecipeError, UsageError

FORMAT = 1
MODEL_FILES = {"model.json", "model.safetensors"}
PLAIN = (str, int, float, bool, type(None))


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
    inside = lambda inner, step: describe(inner, arrays, f"{at}.{step}")  # noqa: E731
    if isinstance(value, tuple):
        return {"is": "tuple", "of": [inside(inner, i) for i, inner in enumerate(value)]}
    if isinstance(value, list):
        return [inside(inner, i) for i, inner in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            return {"is": "items", "of": [inside([name, inner], i) for i, (name, inner) in enumerate(value.items())]}
        return {"is": "dict", "of": {name: inside(inner, name) for name, inner in value.items()}}
    if isinstance(value, np.ndarray) and arrays is not None:
        return _describe_array(value, arrays, at)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: inside(getattr(value, f.name), f.name) for f in dataclasses.fields(value) if f.init}
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
        data: what `describe` gave.
        custom: classes of yours that the description may name.
        arrays: what `describe` put into its own.
    """
    inside = lambda inner: rebuild(inner, custom, arrays)  # noqa: E731
    if isinstance(data, list):
        return [inside(inner) for inner in data]
    if not isinstance(data, dict):
        return data
    if data["is"] == "tuple":
        return tuple(inside(inner) for inner in data["of"])
    if data["is"] == "dict":
        return {name: inside(inner) for name, inner in data["of"].items()}
    if data["is"] == "items":
        return dict(map(inside, data["of"]))
    if data["is"] == "strings":
        return np.array(data["of"], dtype=data["dtype"])
    if data["is"] == "array":
        return (arrays or {})[data["of"]]
    fields = {name: inside(inner) for name, inner in data.items() if name != "is"}
    return class_of(data["is"], custom)(**fields)


def pack(attributes: Mapping[str, Any]) -> tuple[dict, dict[str, Any]]:
    """What a closed form learnt, as JSON and tensors.

    Args:
        attributes: name -> numbers, text, arrays, and lists, tuples, mappings and frozen dataclasses of these.

    Returns:
        (facts, tensors) for `write_model`; `unpack` restores them to the bit.

    Raises:
        RecipeError: something else.
    """
    import torch

    arrays: dict[str, np.ndarray] = {}
    facts = {name: describe(value, arrays, name) for name, value in attributes.items()}
    return facts, {name: torch.tensor(array) for name, array in arrays.items()}


def unpack(facts: Mapping[str, Any], tensors: Mapping[str, Any], custom: Iterable[type] = ()) -> dict[str, Any]:
    """The inverse of `pack`."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return {name: rebuild(value, custom, arrays) for name, value in facts.items()}


def name_of(cls: type) -> str:
    """'bouba.terms.info_nce:InfoNCE'."""
    return f"{cls.__module__}:{cls.__qualname__}"


def class_of(name: str, custom: Iterable[type] = ()) -> type:
    """The class a file names: one of `custom`, or one of bouba's own.

    Raises:
        RecipeError: a class of somebody else's that was not handed in, or one that bouba no longer has.
    """
    known = {name_of(cls): cls for cls in custom}
    if name in known:
        return known[name]
    module, _, qualified = name.partition(":")
    if module.split(".")[0] != "bouba":
        raise RecipeError(f"this model uses {name}; hand the class in: bouba.load(path, custom=[{qualified}])")
    try:
        found = getattr(importlib.import_module(module), qualified)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"this model uses {name}, which this version of bouba does not have") from error
    if not isinstance(found, type) or found.__module__ != module:
        raise RecipeError(f"this model names {name}, which is no class of bouba's")
    return found


def write_model(folder: Path, facts: dict, tensors: Mapping[str, Any]) -> None:
    """Write a model folder beside and rename it: it is there whole or not at all.

    Raises:
        UsageError: the folder holds something that is not a model.
    """
    from safetensors.torch import save_file

    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - MODEL_FILES):
        raise UsageError(f"{folder} holds other things than a model; save into a folder of its own")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    (beside / "model.json").write_text(json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False))
    save_file(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()},
        beside / "model.safetensors",
    )
    swap_folders(beside, folder)


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


def read_model(folder: Path) -> tuple[dict, dict[str, Any]]:
    """(facts, tensors) of a model folder, or of the run folder around it.

    Raises:
        DataError: no model there, or one of a later format.
    """
    from safetensors.torch import load_file

    folder = model_folder(folder)
    facts = json.loads((folder / "model.json").read_text())
    if facts["format"] > FORMAT:
        raise DataError(f"{folder} is of format {facts['format']}, this bouba reads up to {FORMAT}; upgrade bouba")
    return facts, load_file(folder / "model.safetensors")
