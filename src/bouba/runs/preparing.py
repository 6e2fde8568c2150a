"""What is to be fitted: a table, read, and a recipe that fits it. What does not is refused before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bouba.data.schema import Schema
from bouba.data.target import check_target
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, require_installed
from bouba.runs.defaults import settled
from bouba.runs.methods import METHODS, MULTITASK, Method, method_named
from bouba.runs.reading import named_as_read, read_table
from bouba.runs.recipe import HOLDOUT, MOST_HELD_OUT, build

EXTRAS = (("lancedb", "search"), ("plotly", "report"), ("jinja2", "report"))


@dataclass
class Prepared:
    """A table and what is to be fitted on it.

    Args:
        method, model: what is fitted. recipe: complete, as it will be saved.
        views: the rows that the method learns from and is judged on. schema: of the table.
        remarks: sentences for the report.
    """

    method: Method
    model: Any
    recipe: dict[str, Any]
    views: Views
    schema: Schema
    remarks: list[str]


def prepare(table: Any, recipe: dict[str, Any], *, named: Mapping[str, Any]) -> Prepared:
    """Read the table and refuse what could not be fitted, before anything is written. A method that is trained is made
    last, since that takes torch.

    Args:
        table: as in `read_table`. recipe: from `composed`.
        named: "source" and "target" of a translator, None where they are not named; "towers", see `settled`;
            "recorded", the folder of a run that goes on, so that nothing is to be chosen.

    Raises:
        UsageError: a recipe and a table that do not fit together. MissingExtraError: an extra that the run needs.
    """
    sides = {side: named.get(side) for side in ("source", "target")}
    if "method" in recipe:
        _refuse_unread(method_named(recipe["method"]), recipe, sides)
        if method_named(recipe["method"]).solved:
            build(recipe)
    views = read_table(table, recipe["read"])
    if (target := recipe["fit"].get("target")) is not None:
        check_target(views, target)
    choices: list[str] = []
    if named.get("towers") is not None or not named.get("recorded"):
        recipe, choices = settled(recipe, views, named.get("towers"))
    method = method_named(recipe["method"])
    _refuse_unread(method, recipe, sides)
    schema = Schema.of(views)
    recipe["read"] = {**recipe["read"], **named_as_read(views, recipe["read"])}
    _refuse_table(method, recipe, views)
    model = build(recipe)
    views, remarks = _rows_of_method(method, recipe, model, views, sides)
    for module, extra in EXTRAS:
        require_installed(module, extra)  # before hours of training, not after
    if not named.get("recorded"):
        remarks = [*remarks, *_hold_out_fewer(recipe, views)]
    return Prepared(method, model, recipe, views, schema, [*choices, *remarks])


def _hold_out_fewer(recipe: dict[str, Any], views: Views) -> list[str]:
    """Where nothing is said, MOST_HELD_OUT rows at most are held out, and a sentence says so."""
    if "holdout" in recipe["fit"] or len(views) * HOLDOUT <= MOST_HELD_OUT:
        return []
    recipe["fit"] = {**recipe["fit"], "holdout": MOST_HELD_OUT / len(views)}
    return [f"{MOST_HELD_OUT:,} of {len(views):,} rows are held out; --holdout takes more."]


def _rows_of_method(
    method: Method, recipe: dict[str, Any], model: Any, views: Views, named: Mapping[str, str | None]
) -> tuple[Views, list[str]]:
    """The rows that a method learns from, and a sentence on the others: all, but of a translator those with both views,
    which are then named in model and recipe."""
    if not method.translates:
        return views, []
    from bouba.runs import translation

    arguments = recipe["arguments"]
    source, target = (named.get(side) or arguments.get(side) for side in ("source", "target"))
    both = translation.named_views(method.name, views, source, target)
    model.set_params(**both)
    recipe["arguments"] = arguments | both
    return translation.paired_rows(views, **both)


def _refuse_unread(method: Method, recipe: Mapping[str, Any], named: Mapping[str, str | None]) -> None:
    """UsageError for what would be ignored in silence, or do harm."""
    options = [f"--{name}" for name in ("target", "validation") if name in recipe["fit"]]
    if method.solved and set(options) - ({"--target"} if method.centres_domains else set()):
        raise UsageError(f"{method.name} is solved, not trained, and takes no {options[0]}; leave it out")
    if method.translates and "target" in recipe["fit"]:
        raise UsageError(
            f"{method.name} learns from pairs alone and takes no --target; leave the rows of that domain out"
        )
    if not method.judges_epochs:
        patient = recipe["arguments"].get("patience") is not None
        chosen_by = [o for o in options if o == "--validation"] + ["--patience"] * patient
        if chosen_by:
            raise UsageError(
                f"{method.name} has no loss that says which epoch was best and takes no {chosen_by[0]}; leave it out"
            )
    if not method.translates and any(name is not None for name in named.values()):
        translators = " and ".join(name for name, row in METHODS.items() if row.translates)
        raise UsageError(f"{method.name} makes no view from another; --from and --to are for {translators}")


def _refuse_table(method: Method, recipe: Mapping[str, Any], views: Views) -> None:
    """DataError or UsageError for a table that lacks what the method needs."""
    if max(method.needs_views, 1 + method.unpaired) > len(views.columns):
        name, kind = next(iter(views.modalities.items()))
        others = [*views.meta, *views.y]
        raise DataError(
            f"one modality only: {name!r} ({kind}); aligning needs two. Name another column, for example --text COLUMN"
            + (f" (there is {', '.join(others)})" if others else "")
        )
    if method.needs_label and not views.y:
        columns = f" (there is {', '.join(views.meta)})" if views.meta else ""
        raise UsageError(f"{method.name} needs --label COLUMN, what to predict{columns}")
    several = len(views.y) > 1 and "label" not in recipe["arguments"]
    if method.needs_label and several and not method.several_labels:
        labels = ", ".join(views.y)
        raise UsageError(f"{method.name} predicts one label, and there is {labels}; say --label, or {MULTITASK.name}")
    if method.needs_target and "target" not in recipe["fit"]:
        there = f"the table has {', '.join(views.domains)}" if views.domains else "name the column with --domain"
        raise UsageError(f"{method.name} needs --target, the domain to adapt to; {there}")
