"""From what a caller gives, a recipe, a method, objects and numbers, to one complete recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bouba.errors import UsageError
from bouba.runs.describing import recipe_of, sections_of
from bouba.runs.methods import DEFAULT, METHODS, method_named
from bouba.runs.reading import given_options
from bouba.runs.recipe import fusion_named, load_recipe


def composed(
    recipe: Any,
    method: Any,
    *,
    read: Mapping[str, Any],
    fit: Mapping[str, Any],
    fusion: Any,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """A recipe with everything that overrules it; what is None leaves it as it is, zeros do not.

    Args:
        recipe: the path of a TOML file, its content, or None.
        method: a name, an estimator whose parameters are taken, or None.
        read, fit, arguments: of these sections. fusion: a name, an object, or None.

    Raises:
        UsageError: no such method or fusion, a fusion that nothing would read, or a value that no recipe can hold.
        DataError: a file that is no recipe.
    """
    whole = dict(recipe) if isinstance(recipe, Mapping) else {} if recipe is None else load_recipe(Path(recipe))
    if method is not None:
        whole |= {"method": method} if isinstance(method, str) else recipe_of(method)
    sections = sections_of(
        given_options(arguments) | ({} if fusion is None or isinstance(fusion, str) else {"fusion": fusion})
    )
    columns = {
        use: names if isinstance(names, str | bool) else list(names) for use, names in given_options(read).items()
    }
    sections |= {"read": columns, "fit": given_options(fit)}
    for section, values in sections.items():
        merges = section in ("read", "fit", "arguments")
        whole[section] = {**whole.get(section, {}), **values} if merges else values
    if whole["fit"].get("validation") == 0:  # none, whatever the recipe says
        del whole["fit"]["validation"]
    seed = whole["arguments"].get("random_state", 0)
    if not isinstance(seed, int) or seed < 0:
        raise UsageError(f"a seed is a whole number from 0, got {seed!r}")
    if isinstance(fusion, str):
        whole["fusion"] = fusion_named(fusion)
    row = method_named(whole.setdefault("method", DEFAULT.name))
    if "fusion" in whole and not row.takes_fusion:
        fusing = ", ".join(name for name, other in METHODS.items() if other.takes_fusion)
        raise UsageError(f"{row.name} keeps views apart and takes no fusion; it is for {fusing}")
    return whole
