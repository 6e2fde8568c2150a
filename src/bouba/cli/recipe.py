"""Recipe files: TOML that maps onto constructors one to one. An unknown key is an error that names the nearest.

method = "learner"          # a name in METHODS
[arguments]                 # of its constructor
dim = 128
[towers.photo]              # an encoder of bouba.towers and its arguments
encoder = "ConvNet"
size = 48
[[objective]]               # terms of bouba.terms, for method = "learner"
term = "InfoNCE"
[[objective]]
term = "DomainAdversarial"
weight = 0.3
[fusion]                    # a fusion of bouba.nn.fusion, or "late": each view predicts alone
kind = "GatedFusion"
drop = 0.3
[read]                      # which column is what, as for bouba.read
image = "file"
[fit]                       # as for .fit: target, validation; and holdout, the share that is judged
target = "sketches"
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bouba.errors import DataError, RecipeError, nearest

METHODS = {
    "clip": "CLIP",
    "adapted-clip": "AdaptedCLIP",
    "dann": "DANN",
    "mmd-adapter": "MMDAdapter",
    "deep-coral": "DeepCORAL",
    "simclr": "SimCLR",
    "cca": "CCA",
    "kernel-cca": "KernelCCA",
    "matrix-free-cca": "MatrixFreeCCA",
    "deep-cca": "DeepCCA",
    "classifier": "FusionClassifier",
    "regressor": "FusionRegressor",
    "multitask": "MultitaskLearner",
    "autoencoder": "MultimodalAutoencoder",
    "gan": "ConditionalGAN",
    "flow": "FlowTranslator",
    "learner": "Learner",
}
FUSIONS = {  # what --fusion takes -> the class in a recipe; LATE is none at all
    "sum": "SumFusion",
    "gated": "GatedFusion",
    "concat": "ConcatFusion",
    "attention": "AttentionFusion",
    "low-rank": "LowRankFusion",
    "late": "late",
}
LATE = "late"
ALSO = {"dim": "n_components"}  # what closed forms call the width of the shared space
SECTIONS = ("method", "arguments", "towers", "objective", "fusion", "read", "fit")
FIT = ("target", "validation", "holdout")


def load_recipe(path: Path) -> dict[str, Any]:
    """The file's content, its keys checked.

    Raises:
        DataError: no such file, or not TOML. RecipeError: a key that no constructor has.
    """
    if not path.exists():
        raise DataError(f"no such recipe: {path}")
    try:
        recipe = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not TOML: {error}") from error
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """RecipeError for the first key nobody would read."""
    from bouba.data import read

    _refuse_unknown("recipe", recipe, SECTIONS)
    _refuse_unknown("[fit]", recipe.get("fit", {}), FIT)
    keywords = [p.name for p in inspect.signature(read).parameters.values() if p.kind is p.KEYWORD_ONLY]
    _refuse_unknown("[read]", recipe.get("read", {}), keywords)


def build(recipe: Mapping[str, Any], **overrides):
    """The estimator a recipe describes; `overrides` that are not None replace its arguments."""
    import bouba
    from bouba import terms, towers
    from bouba.nn import fusion

    check_recipe(recipe)
    name = recipe.get("method", "clip")
    if name not in METHODS:
        raise RecipeError(f"no method {name!r}{nearest(name, METHODS)}")
    if name == "learner" and "objective" not in recipe:
        raise RecipeError('method "learner" needs a recipe with an [[objective]], for example term = "InfoNCE"')
    method = getattr(bouba, METHODS[name])
    known = method().get_params(deep=False)
    given = dict(recipe.get("arguments", {})) | {k: v for k, v in overrides.items() if v is not None}
    arguments = {str(k if k in known else ALSO.get(k, k)): v for k, v in given.items()}
    if "towers" in recipe:
        arguments["towers"] = {
            view: _described(spec, "encoder", towers, (towers.EncoderSpec, towers.SameAs))
            for view, spec in recipe["towers"].items()
        }
    if "objective" in recipe:
        weighted = [
            (entry.get("weight", 1.0), {k: v for k, v in entry.items() if k != "weight"})
            for entry in recipe["objective"]
        ]
        parts = [(float(weight), _described(entry, "term", terms, (terms.Term,))) for weight, entry in weighted]
        arguments["objective"] = terms.Objective(tuple(parts))
    if "fusion" in recipe:
        late = recipe["fusion"] == {"kind": LATE}
        arguments["fusion"] = None if late else _described(recipe["fusion"], "kind", fusion, (fusion.Fusion,))
    _refuse_unknown(f"[arguments] of {name}", arguments, known)
    return method(**arguments)


def _described(entry: Mapping[str, Any], key: str, room, kinds: tuple[type, ...]):
    """One term, encoder or fusion: its class by name, its fields checked."""
    classes: dict[str, Any] = {
        name: cls for name in dir(room) if inspect.isclass(cls := getattr(room, name)) and issubclass(cls, kinds)
    }
    known = [name for name, cls in classes.items() if not inspect.isabstract(cls)]
    name = str(entry.get(key))
    if name not in known:
        raise RecipeError(f"no {key} {name!r}{nearest(name, known)}")
    given = {k: v for k, v in entry.items() if k != key}
    return _made(f"{key} {name}", classes[name], given)


def _made(where: str, cls, given: Mapping[str, Any]):
    """A frozen dataclass from the fields given; a table within changes what stands there by default."""
    declared = {f.name: f for f in dataclasses.fields(cls)}
    _refuse_unknown(where, given, declared)
    absent = dataclasses.MISSING
    needed = [n for n, f in declared.items() if f.default is absent and f.default_factory is absent]
    lacking = [n for n in needed if n not in given]
    if lacking:
        raise RecipeError(f"{where} lacks {', '.join(map(repr, lacking))}")
    fields = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            value = _nested(where, declared[name], value)
        fields[name] = _tuples(value)
    return cls(**fields)


def _nested(where: str, field: dataclasses.Field, given: Mapping[str, Any]):
    """A table within a table: an encoder by its name, a mapping, or changes to what the field holds by default."""
    from bouba import towers

    default: Any = None if field.default_factory is dataclasses.MISSING else field.default_factory()
    if isinstance(default, towers.EncoderSpec) and "encoder" in given:
        return _described(given, "encoder", towers, (towers.EncoderSpec,))
    if "Mapping" in str(field.type):
        return given
    if not dataclasses.is_dataclass(default):
        raise RecipeError(f"{field.name!r} in {where} is no table")
    _refuse_unknown(f"{field.name} of {where}", given, (f.name for f in dataclasses.fields(default)))
    return dataclasses.replace(default, **{name: _tuples(value) for name, value in given.items()})  # type: ignore[type-var]


def _tuples(value):
    """Lists as tuples, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _refuse_unknown(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for key in given:
        if key not in known:
            raise RecipeError(f"unknown key {key!r} in {where}{nearest(key, known)}")


def to_toml(recipe: Mapping[str, Any]) -> str:
    """A recipe as TOML text, tables after plain keys; None is left out."""
    return "\n".join(_lines(recipe, "")) + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> list[str]:
    plain = {k: v for k, v in table.items() if not _is_table(v) and v is not None}
    lines = [
        f"{_key(key)} = {json.dumps(list(v) if isinstance(v, tuple) else v, ensure_ascii=False)}"
        for key, v in plain.items()
    ]
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping) and value:
            inner = _lines(value, f"{name}.")
            lines += (["", f"[{name}]"] if any(not _is_table(v) for v in value.values()) else []) + inner
        elif _is_table(value) and not isinstance(value, Mapping):
            for entry in value:
                lines += ["", f"[[{name}]]", *_lines(entry, f"{name}.")]
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _is_table(value) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))
