"""Models on disk: JSON for what they are, safetensors for their fitted numbers. No pickle anywhere.

A model folder holds `model.json` (format, class, constructor arguments, fitted facts) and `model.safetensors`.
Descriptions (terms, encoder specs, augmentations, objectives) are stored as {"is": "bouba.terms:InfoNCE", ...};
estimators and frozen dataclasses of bouba load by name, yours are handed to `load`: a file never chooses code to run.
What was learnt is sealed by SHA-256 sums in model.json, so that a flipped number is noticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba import durable
from bouba.declared import refuse_misfits
from bouba.device import device_named
from bouba.errors import BoubaError, DataError, RecipeError, UsageError
from bouba.files import as_path, read_json, refuse_irregular

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MODEL_FILES = {"model.json", "model.safetensors"}
DESCRIBED = {"format", "class", "arguments", "specs", "sums"}
"""What model.json says of how a model is made. All else was learnt, and is sealed."""
ROOMS = ("adapt", "align", "data", "fuse", "learner", "nn", "terms", "towers", "transfer")
"""Where the classes are that a file may name; no module of another room is imported for one."""
PLAIN = (str, int, float, bool, type(None))
MOVED = {
    "bouba.adapt.clip_dann:AdaptedCLIP": "bouba.adapt.adapted_clip:AdaptedCLIP",
    "bouba.align.cca:Side": "bouba.align.canonical:Side",
    "bouba.align.cca:Solution": "bouba.align.canonical:Solution",
    "bouba.towers.tower:SameAs": "bouba.towers.spec:SameAs",
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

    Raises:
        DataError: no description of `describe`'s. RecipeError: a class that is not to be had, or lacks an argument.
    """
    rebuilt = lambda inner: rebuild(inner, custom, arrays)  # noqa: E731
    if isinstance(data, list):
        return [rebuilt(inner) for inner in data]
    if not isinstance(data, dict):
        return data
    match data:
        case {"is": "tuple", "of": list(of), **more} if not more:
            return tuple(rebuilt(inner) for inner in of)
        case {"is": "dict", "of": dict(of), **more} if not more:
            return {name: rebuilt(inner) for name, inner in of.items()}
        case {"is": "items", "of": list(of), **more} if not more and all(type(v) is list and len(v) == 2 for v in of):
            return dict(map(rebuilt, of))
        case {"is": "strings", "of": list(of), "dtype": str(dtype)} if all(isinstance(cell, str) for cell in of):
            return np.array(of, dtype=object if "O" in dtype else str)
        case {"is": "array", "of": str(name), **more} if not more and name in (arrays or {}):
            return (arrays or {})[name]
        case {"is": str(name), **fields} if ":" in name:
            return _made(class_of(name, custom), {field: rebuilt(inner) for field, inner in fields.items()})
    raise DataError(f"no description of a value: {json.dumps(data, ensure_ascii=False)[:80]}")


def _made(cls: type, values: Mapping[str, Any]) -> Any:
    """An object of a class from the arguments that a file names."""
    if dataclasses.is_dataclass(cls):
        fields = [field for field in dataclasses.fields(cls) if field.init]
        names: Collection[str] = {field.name for field in fields}
        absent = dataclasses.MISSING
        needed = [f.name for f in fields if f.default is absent and f.default_factory is absent]
    else:
        names, needed = set(cls._get_param_names()), []  # type: ignore[attr-defined]
    unknown = next((name for name in values if name not in names), None)
    if unknown is not None:
        raise RecipeError(
            f"{cls.__name__} takes no {unknown!r:.80}; a later bouba wrote it: pip install --upgrade bouba"
        )
    lacking = next((name for name in needed if name not in values), None)
    if lacking is not None:
        raise DataError(f"{cls.__name__} lacks {lacking!r}")
    refuse_misfits(cls, values)
    return cls(**values)


def arguments_of(model: Any) -> dict[str, Any]:
    """Constructor argument -> description, as a model file holds them: all but the device, which is a machine's."""
    return {name: describe(value) for name, value in model.get_params(deep=False).items() if name != "device"}


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


def restore_attributes(model: Any, facts: Mapping[str, Any], file: Path, custom: Iterable[type]) -> None:
    """Give a closed form the fitted attributes that `pack` and `write_model` kept. DataError where others came."""
    arrays = _Counted(read_arrays(file))
    attributes = unpack(facts["fitted"], arrays, custom)
    strange = next((name for name in attributes if name.startswith("_") or not name.endswith("_")), None)
    if strange is not None:
        raise DataError(f"{strange!r:.80} is no fitted attribute")
    unread = set(arrays) - arrays.read
    if unread:
        raise DataError(f"model.safetensors holds a strange {min(unread)}")
    vars(model).update(attributes)


class _Counted(dict[str, np.ndarray]):
    """Arrays that remember which were read."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__(arrays)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.add(name)
        return super().__getitem__(name)


def name_of(cls: type) -> str:
    """'bouba.terms.info_nce:InfoNCE'."""
    return f"{cls.__module__}:{cls.__qualname__}"


def class_of(name: str, custom: Iterable[type] = ()) -> type:
    """The class a file names: one of `custom`, or an estimator or frozen dataclass of bouba's own.

    Raises:
        RecipeError: a class of somebody else's that was not handed in, one that bouba does not have, or one that
            describes no model.
    """
    custom_classes = {name_of(cls): cls for cls in custom}
    if name in custom_classes:
        return custom_classes[name]
    name = MOVED.get(name, name)
    module, _, qualified = name.partition(":")
    house, _, room = module.partition(".")
    if house != "bouba":
        raise RecipeError(f"this model uses {name:.120}; hand the class in: bouba.load(path, custom=[{qualified:.60}])")
    if room.partition(".")[0] not in ROOMS:
        raise RecipeError(f"this model names {name:.120}, which is no class of bouba's for models")
    try:
        cls = getattr(importlib.import_module(module), qualified)
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"this model uses {name:.120}, which this version of bouba does not have; if a later one wrote it: "
            "pip install --upgrade bouba"
        ) from error
    if not isinstance(cls, type) or cls.__module__ != module or not (_is_frozen(cls) or _is_estimator(cls)):
        raise RecipeError(f"this model names {name:.120}, which is no class of bouba's for models")
    return cls


def _is_frozen(cls: type) -> bool:
    """Whether making one does nothing but keep values."""
    return dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


def _is_estimator(cls: type) -> bool:
    return hasattr(cls, "_restore") and hasattr(cls, "get_params")


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
    durable.recover_folder(folder)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    _write_numbers(numbers, part / "model.safetensors")
    facts = {"format": FORMAT, **facts}
    facts["sums"] = {"numbers": _sum_of_file(part / "model.safetensors"), "facts": _sum_of_facts(facts)}
    (part / "model.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    durable.replace_folder(part, folder)


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


def _sum_of_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sum_of_facts(facts: Mapping[str, Any]) -> str:
    learnt = {name: value for name, value in facts.items() if name not in DESCRIBED}
    return hashlib.sha256(json.dumps(learnt, sort_keys=True).encode()).hexdigest()


def model_folder(folder: Path) -> Path:
    """The model folder: itself, or the one in a run folder. DataError where there is none."""
    for place in (folder, folder / "model"):
        if (place / "model.json").exists():
            return place
    if folder.is_file():
        raise DataError(f"{folder} is a file, and a model is a folder; give the folder that holds it")
    raise DataError(f"no model in {folder}; make one: bouba fit TABLE -o {folder}, or model.save({str(folder)!r})")


def read_model(folder: Path) -> tuple[dict, Path]:
    """(facts, file of the numbers) of a model folder, or of the run folder around it.

    Raises:
        DataError: no model there, one of a later format, or one that is damaged.
    """
    folder = model_folder(folder)
    file = folder / "model.safetensors"
    facts = read_json(folder / "model.json")
    written = facts.get("format")
    if type(written) is not int or written < 1:
        raise _damaged(folder, f"format is {written!r:.60}, not a whole number from 1")
    if written > FORMAT:
        raise DataError(f"{folder} is of format {written}, this bouba reads up to {FORMAT}; upgrade bouba")
    refuse_irregular(file)
    sums = facts.get("sums", {})  # models saved before have none
    if not isinstance(sums, dict):
        raise _damaged(folder, "its sums are no object")
    if "numbers" in sums and sums["numbers"] != _sum_of_file(file):
        raise _damaged(folder, "model.safetensors is not what was saved with model.json")
    if "facts" in sums and sums["facts"] != _sum_of_facts(facts):
        raise _damaged(folder, "what was learnt, in model.json, is not what was saved")
    return facts, file


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The numbers of a model that is solved; no torch. DataError where the file is damaged."""
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(file)
    except safetensors.SafetensorError as error:
        raise _damaged(file.parent, f"model.safetensors: {error}") from error


def read_sizes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each array in a file of numbers, from its header. DataError where the file is damaged."""
    import safetensors

    try:
        with safetensors.safe_open(file, "numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  no mapping
    except safetensors.SafetensorError as error:
        raise _damaged(file.parent, f"model.safetensors: {error}") from error


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The numbers of a model that is trained. DataError where the file is damaged."""
    import safetensors.torch

    try:
        return safetensors.torch.load_file(file)
    except safetensors.SafetensorError as error:
        raise _damaged(file.parent, f"model.safetensors: {error}") from error


def load(path: str | Path, *, custom: Sequence[type] = (), device: str = "auto") -> Any:
    """A saved model, from its folder or the run folder around it.

    Args:
        path: what `save` or `bouba fit -o` wrote.
        custom: classes of yours (terms, encoders, methods) that the model uses.
        device: where it computes: "auto" for a GPU where there is one, else the CPU; "cpu", "cuda", "cuda:1", "mps".
            Embeddings of length 1 then differ by less than 1e-4. What is solved without torch stays on the CPU.

    Raises:
        UsageError: no such device here. DataError: no model there, or one that is damaged. RecipeError: it uses a class
            that is not bouba's and not in `custom`, or an argument of a later bouba.
    """
    device = device if device == "auto" else str(device_named(device))
    folder = model_folder(as_path(path))
    if isinstance(custom, type) or not all(isinstance(cls, type) for cls in custom):
        raise UsageError(f"custom is a list of classes, got {custom!r:.80}")
    facts, file = read_model(folder)
    try:
        arguments = {name: rebuild(value, custom) for name, value in facts["arguments"].items()}
        cls = class_of(facts["class"], custom)
        if not _is_estimator(cls):
            raise DataError(f"{cls.__name__} is no model")
        model = _made(cls, arguments | ({"device": device} if "device" in cls._get_param_names() else {}))  # type: ignore[attr-defined]
        model._restore(facts, file, custom)
    except BoubaError as error:
        raise type(error)(f"{folder}: {error}") from error
    except OSError:
        raise
    except Exception as error:  # whatever a damaged fact led to
        raise _damaged(folder, f"lacks {error}" if isinstance(error, KeyError) else str(error)) from error
    return model


def _damaged(folder: Path, what: str) -> DataError:
    """One line."""
    return DataError(
        f"the model in {folder} is damaged: {' '.join(what.split())[:300]}; copy the folder again, or fit and save anew"
    )
