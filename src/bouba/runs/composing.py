"""From what a caller gives, a recipe, a method, objects and numbers, to one complete recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bouba.errors import UsageError
from bouba.runs.describing import recipe_of, sections_of
from bouba.runs.methods import DEFAULT, METHODS, method_named
from bouba.runs.reading import given_options
from bouba.runs.recipe import check_recipe, fusion_named, load_recipe
from bouba.runs.settings import refuse_out_of_range


def composed(
    recipe: Any,
    method: Any,
    *,
    read: Mapping[str, Any],
    fit: Mapping[str, Any],
    fusion: Any,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """A recipe with everything that overrules it; what is None leaves it as it is, zeros do not. It has no method where
    none is named: the table then decides (see runs/defaults.py).

    Args:
        recipe: the path of a TOML file, its content, or None.
        method: a name, an estimator whose parameters are taken, or None.
        read, fit, arguments: of these sections. fusion: a name, an object, or None.

    Raises:
        UsageError: no such method or fusion, a fusion that nothing would read, or a value that no recipe can hold.
        DataError: a file that is no recipe.
    """
    whole = _content(recipe)
    if method is not None:
        whole |= {"method": method} if isinstance(method, str) else recipe_of(method)
    sections = sections_of(
        given_options(arguments) | ({} if fusion is None or isinstance(fusion, str) else {"fusion": fusion})
    )
    columns = {use: _names(use, names) for use, names in given_options(read).items()}
    sections |= {"read": columns, "fit": given_options(fit)}
    for section, values in sections.items():
        merges = section in ("read", "fit", "arguments")
        whole[section] = {**whole.get(section, {}), **values} if merges else values
    if whole["fit"].get("validation") == 0:  # none, whatever the recipe says
        del whole["fit"]["validation"]
    if whole["fit"].get("allow_duplicates") is False:
        del whole["fit"]["allow_duplicates"]
    given = {**fit, **arguments}
    for section in ("arguments", "fit"):
        refuse_out_of_range(whole[section], lambda name: name if given.get(name) is not None else f"{name} of a recipe")
    if isinstance(fusion, str):
        whole["fusion"] = fusion_named(fusion)
    row = method_named(whole.get("method", DEFAULT.name))
    if "fusion" in whole and not row.takes_fusion:
        fusing = ", ".join(name for name, other in METHODS.items() if other.takes_fusion)
        raise UsageError(f"{row.name} takes no fusion; it is for {fusing}")
    return whole


def apart(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Arguments of an estimator, and apart from them towers that are names; None where they are objects, or absent."""
    named = arguments.get("towers")
    if not isinstance(named, str | list | tuple):
        return dict(arguments), None
    return {name: value for name, value in arguments.items() if name != "towers"}, named


def _content(recipe: Any) -> dict[str, Any]:
    """A recipe as a mapping, its sections in shape."""
    if recipe is None:
        return {}
    if not isinstance(recipe, Mapping):
        return load_recipe(Path(recipe))
    check_recipe(recipe)
    return dict(recipe)


def _names(use: str, names: Any) -> Any:
    """The columns of one kind or role, as a recipe holds them."""
    if isinstance(names, str | bool):
        return names
    if not isinstance(names, Iterable):
        raise UsageError(f"read names columns, and {use} is {names!r:.80}; give a name or a list of names")
    return list(names)
