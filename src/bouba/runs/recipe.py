"""Recipe files: TOML that maps onto constructors one to one. An unknown key is an error that names the nearest.

method = NAME               # in quotes, of runs/methods.py
[arguments]                 # of its constructor
dim = 128
[towers.photo]              # an encoder of bouba.towers and its arguments
encoder = "ConvNet"
size = 48
[[objective]]               # terms of bouba.terms, for the method of that name
term = "InfoNCE"
[[objective]]
term = "DomainAdversarial"
weight = 0.3
[[objective]]
term = "Nested"
inner = { term = "InfoNCE" }
[fusion]                    # a fusion of bouba.nn.fusion, or "late": each view predicts alone
kind = "GatedFusion"
drop = 0.3
[read]                      # which column is what, as for bouba.read
image = "file"
[fit]                       # as for .fit: target, validation; holdout, the share that is judged; allow_duplicates, true
                            # where near-duplicates may stand on both sides of the cut
target = "sketches"
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.errors import DataError, RecipeError, UsageError, nearest
from bouba.files import read_text
from bouba.runs.methods import DEFAULT, LEARNER, method_named
from bouba.runs.settings import refuse_other_kind, refuse_other_list, refuse_out_of_range

if TYPE_CHECKING:
    from bouba.terms import Objective, Term

FUSIONS = {  # what --fusion takes -> the class in a recipe; LATE is none at all
    "sum": "SumFusion",
    "gated": "GatedFusion",
    "concat": "ConcatFusion",
    "attention": "AttentionFusion",
    "low-rank": "LowRankFusion",
    "stacked": "StackedFusion",
    "late": "late",
}
LATE = "late"
NONE = "none"  # None, which TOML has not, as the value of an argument of a tower or term
DROP = 0.3  # how often a fusion asked for by name hides a view in training
SYNONYMS = {"dim": "n_components"}  # what closed forms call the width of the shared space
SECTIONS = ("method", "arguments", "towers", "objective", "fusion", "read", "fit")
FIT = ("target", "validation", "holdout", "allow_duplicates")
HOLDOUT = 0.1  # share of the things that is judged where nothing is said
MOST_HELD_OUT = 20_000  # rows that are judged where nothing is said: more only narrow intervals of a percent
OF_THE_CUT = ("holdout", "allow_duplicates")  # settings of [fit] that no model takes


def load_recipe(path: Path) -> dict[str, Any]:
    """The file's content, its keys checked.

    Raises:
        DataError: no such file, or not TOML. RecipeError: a key that no constructor has.
    """
    if not path.exists():
        raise DataError(f"no such recipe: {path}")
    text = read_text(path).removeprefix("\ufeff")
    try:
        recipe = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not TOML: {error}") from error
    check_recipe(recipe)
    return recipe


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """RecipeError for the first key nobody would read, and for a section of another shape."""
    from bouba.data import read

    _refuse_unknown("recipe", recipe, SECTIONS)
    if not isinstance(recipe.get("method", ""), str):
        raise RecipeError(f"method in a recipe is a name in quotes, got {recipe['method']!r:.80}")
    for section in SECTIONS[1:]:
        if section == "objective":
            terms = recipe.get(section, [])
            if not isinstance(terms, list | tuple) or not all(isinstance(term, Mapping) for term in terms):
                raise RecipeError('objective in a recipe is tables, [[objective]] with term = "InfoNCE"')
        else:
            _refuse_no_table(f"[{section}]", recipe.get(section, {}))
    for view, spec in recipe.get("towers", {}).items():
        _refuse_no_table(f"[towers.{view}]", spec)
    _refuse_unknown("[fit]", recipe.get("fit", {}), FIT)
    keywords = [p.name for p in inspect.signature(read).parameters.values() if p.kind is p.KEYWORD_ONLY]
    _refuse_unknown("[read]", recipe.get("read", {}), keywords)
    for use, names in recipe.get("read", {}).items():
        if not isinstance(names, str | bool) and not all(isinstance(n, str) for n in _several(names)):
            raise RecipeError(f"{use} in [read] is the name of a column, or a list of names, got {names!r:.80}")
    if isinstance(target := recipe.get("fit", {}).get("target"), Real):
        raise RecipeError(f"target in [fit] is the name of a domain, in quotes, got {target!r:.80}")
    if not isinstance(allowed := recipe.get("fit", {}).get("allow_duplicates", False), bool):
        raise RecipeError(f"allow_duplicates in [fit] is true or false, got {allowed!r:.80}")
    _refuse_arguments(recipe.get("arguments", {}))


def _refuse_arguments(arguments: Mapping[str, Any]) -> None:
    """RecipeError for an argument that has a section of its own, or that no run keeps."""
    for name in ("towers", "objective", "fusion"):
        if name in arguments:
            raise RecipeError(f"{name} stands in [arguments]; it is a section of its own: see bouba.runs.recipe")
    if "device" in arguments:
        raise RecipeError("device stands in [arguments]; no run keeps it: say --device, or Run.fit(..., device=...)")


def _several(names: Any) -> Iterable[Any]:
    """The entries of a list of any kind; one that is no text of what is no list."""
    return names if isinstance(names, Iterable) and not isinstance(names, Mapping) else [None]


def _refuse_no_table(section: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{section} of a recipe is a table of names and values, got {value!r:.80}")


def build(recipe: Mapping[str, Any], **overrides):
    """The estimator a recipe describes; `overrides` that are not None replace its arguments."""
    check_recipe(recipe)
    method = method_named(recipe.get("method", DEFAULT.name))
    if method is LEARNER and not recipe.get("objective"):
        raise RecipeError(f'method "{LEARNER.name}" needs a recipe with an [[objective]], for example term = "InfoNCE"')
    parameters = method.cls().get_params(deep=False)
    settings = dict(recipe.get("arguments", {})) | {k: v for k, v in overrides.items() if v is not None}
    arguments = {str(k if k in parameters else SYNONYMS.get(k, k)): _argument(v) for k, v in settings.items()}
    if "towers" in recipe:
        from bouba import towers

        arguments["towers"] = {
            view: _described(spec, "encoder", towers, (towers.EncoderSpec, towers.SameAs))
            for view, spec in recipe["towers"].items()
        }
    if "objective" in recipe:
        arguments["objective"] = _objective(recipe["objective"])
    if "fusion" in recipe:
        from bouba.nn import fusion

        late = recipe["fusion"] == {"kind": LATE}
        arguments["fusion"] = None if late else _described(recipe["fusion"], "kind", fusion, (fusion.Fusion,))
    _refuse_unknown(f"[arguments] of {method.name}", arguments, parameters)
    for name, value in arguments.items():
        refuse_other_kind(name, value, parameters[name])
    refuse_out_of_range(arguments)
    return method.cls(**arguments)


def _argument(value: Any) -> Any:
    """A term by its name, or a list of them with weights; all else as it stands."""
    if isinstance(value, Mapping) and "term" in value:
        return _term(value)
    if isinstance(value, list) and value and all(isinstance(v, Mapping) and "term" in v for v in value):
        return _objective(value)
    return value


def _objective(entries: Sequence[Mapping[str, Any]]) -> Objective:
    """The weighted sum of terms by their names."""
    from bouba.terms import Objective

    parts = []
    for entry in entries:
        weight = entry.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise RecipeError(f"weight in [[objective]] is a number, got {weight!r:.80}")
        parts.append((float(weight), _term({k: v for k, v in entry.items() if k != "weight"})))
    return Objective(tuple(parts))


def _term(entry: Mapping[str, Any]) -> Term:
    from bouba import terms

    return _described(entry, "term", terms, (terms.Term,))


def _described(entry: Mapping[str, Any], key: str, room, kinds: tuple[type, ...]):
    """One term, encoder or fusion: its class by name, which alone is imported, its fields checked."""
    name = entry.get(key)
    cls: Any = getattr(room, name, None) if isinstance(name, str) else None
    if not _is_one_of(cls, kinds):
        names = [each for each in dir(room) if _is_one_of(getattr(room, each), kinds)]
        if name is None:
            raise RecipeError(f"a table of a recipe lacks {key}; there is {', '.join(names)}")
        raise RecipeError(f"no {key} {name!r}{nearest(str(name), names)}")
    return _built(f"{key} {name}", cls, {k: v for k, v in entry.items() if k != key})


def _is_one_of(cls: Any, kinds: tuple[type, ...]) -> bool:
    return inspect.isclass(cls) and issubclass(cls, kinds) and not inspect.isabstract(cls)


def _built(section: str, cls, values: Mapping[str, Any]):
    """A frozen dataclass from the values of its fields; a table within changes what stands there by default."""
    declared = {f.name: f for f in dataclasses.fields(cls)}
    _refuse_unknown(section, values, declared)
    absent = dataclasses.MISSING
    required = [n for n, f in declared.items() if f.default is absent and f.default_factory is absent]
    lacking = [n for n in required if n not in values]
    if lacking:
        raise RecipeError(f"{section} lacks {', '.join(map(repr, lacking))}")
    fields = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            value = _nested(section, declared[name], value)
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) and "encoder" in v for v in value):
            value = tuple(_encoder(inner) for inner in value)
        elif value != NONE:
            refuse_other_kind(f"{name} in {section}", value, declared[name].default)
            refuse_other_list(f"{name} in {section}", value, declared[name].default)
        fields[name] = None if value == NONE and not isinstance(declared[name].default, str) else _tuples(value)
    try:
        return cls(**fields)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{section} cannot be made of these values: {error}") from error


def _nested(section: str, field: dataclasses.Field, values: Mapping[str, Any]):
    """A table within a table: an encoder or term by name, a mapping, or changes to what the field holds by default."""
    from bouba import towers

    default: Any = None if field.default_factory is dataclasses.MISSING else field.default_factory()
    required = field.default is dataclasses.MISSING and default is None
    if (isinstance(default, towers.EncoderSpec) or str(field.type) == "EncoderSpec") and (
        "encoder" in values or required
    ):
        return _encoder(values)
    if str(field.type) == "Fusion":
        from bouba.nn import fusion

        return _described(values, "kind", fusion, (fusion.Fusion,))
    if str(field.type) == "Term":
        return _term(values)
    if "Mapping" in str(field.type):
        return values
    if not dataclasses.is_dataclass(default):
        raise RecipeError(f"{field.name!r} in {section} is no table")
    _refuse_unknown(f"{field.name} of {section}", values, (f.name for f in dataclasses.fields(default)))
    return dataclasses.replace(default, **{name: _tuples(value) for name, value in values.items()})  # type: ignore[type-var]


def _encoder(values: Mapping[str, Any]):
    """An encoder within a table, by its name."""
    from bouba import towers

    return _described(values, "encoder", towers, (towers.EncoderSpec,))


def _tuples(value):
    """Lists as tuples, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _refuse_unknown(section: str, keys: Iterable[str], valid: Iterable[str]) -> None:
    valid = list(valid)
    for key in keys:
        if key not in valid:
            raise RecipeError(f"unknown key {key!r} in {section}{nearest(key, valid)}")


def fusion_named(name: str) -> dict[str, Any]:
    """What --fusion NAME stands for in a recipe. UsageError for a name that does not exist."""
    if name not in FUSIONS:
        raise UsageError(f"no fusion {name!r}{nearest(name, FUSIONS)}")
    return {"kind": LATE} if name == LATE else {"kind": FUSIONS[name], "drop": DROP}
