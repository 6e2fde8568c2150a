"""Which methods a search tries on a table, from which plain recipes it starts, and what it varies of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.data.labels import holds_numbers
from bouba.data.views import Views
from bouba.errors import BoubaError, UsageError
from bouba.runs.defaults import ready_encoders
from bouba.runs.method import Method
from bouba.runs.methods import CLASSIFIER, CLIP, FEW_PAIRS, LEARNER, METHODS, MULTITASK, REGRESSOR, method_named
from bouba.runs.preparing import Prepared, prepare
from bouba.runs.recipe import FUSIONS, LATE, fusion_named
from bouba.runs.spans import OneOf
from bouba.runs.tuning.space import ENCODERS, Dimension, dimensions_of_arguments

TOWERS, FUSION, ARGUMENTS = "towers.", "fusion", "arguments."


@dataclass(frozen=True)
class Candidate:
    """A method with its plain recipe, that of `bouba fit --method NAME`.

    Args:
        prepared: the method, its recipe and the rows. dimensions: what is searched.
        encoders: view -> name -> the entry of a recipe.
    """

    prepared: Prepared
    dimensions: Sequence[Dimension]
    encoders: Mapping[str, Mapping[str, Any]]

    @property
    def method(self) -> Method:
        """Its row."""
        return self.prepared.method

    def recipe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The plain recipe with other values.

        Args:
            values: name of a dimension -> value; usual ones change nothing.
        """
        recipe = copy.deepcopy(self.prepared.recipe)
        for dimension in self.dimensions:
            value = values.get(dimension.name, dimension.usual)
            if value == dimension.usual:
                continue
            if dimension.name.startswith(ARGUMENTS):
                recipe["arguments"][dimension.name.removeprefix(ARGUMENTS)] = value
            elif dimension.name == FUSION:
                recipe["fusion"] = fusion_named(value)
            else:
                view = dimension.name.removeprefix(TOWERS)
                recipe["towers"] = self._plain_towers | recipe.get("towers", {}) | {view: self.encoders[view][value]}
        return recipe

    @property
    def _plain_towers(self) -> dict[str, Any]:
        """The towers of a recipe that names none; of what is solved none is named."""
        if self.method.solved:
            return {}
        return {view: next(iter(entries.values())) for view, entries in self.encoders.items()}


def methods_for(views: Views, recipe: Mapping[str, Any], names: Sequence[str]) -> list[Method]:
    """The methods that a search tries, what `bouba fit` would take first.

    Where methods are named it is these. Else those that predict, where a label is named or there is one view with a
    label; else those that align two views.

    Args:
        views: the table. recipe: complete but for a method. names: of methods; none to choose.

    Raises:
        UsageError: no such method, or some whose scores cannot be compared.
    """
    if names:
        rows = [method_named(name) for name in dict.fromkeys(names)]
        refuse_incomparable(rows)
        return rows
    if "objective" in recipe:
        return [LEARNER]
    has_target = "target" in recipe["fit"]
    predicts = bool(recipe["read"].get("label") or recipe["arguments"].get("label")) or len(views.columns) == 1
    if predicts and views.y:
        label = recipe["arguments"].get("label") or next(iter(views.y))
        several = len(views.y) > 1 and "label" not in recipe["arguments"]
        kind = "labels" if several else "number" if holds_numbers(views.y[label]) else "class"
        first = {"labels": MULTITASK, "number": REGRESSOR, "class": CLASSIFIER}[kind]
        rows = [row for row in METHODS.values() if row.predicts == kind]
    else:
        first = CLIP if recipe["arguments"].keys() - {"n_components", "dim"} else FEW_PAIRS
        rows = [row for row in METHODS.values() if row.needs_views > 1 and not (row.translates or row.unpaired)]
    rows = [row for row in rows if has_target or not row.needs_target]
    rows = [row for row in rows if len(views) <= row.most_searched]
    return sorted(rows, key=lambda row: (row is not first, not row.solved))


def refuse_incomparable(rows: Sequence[Method]) -> None:
    """UsageError for methods that no one score puts in order."""
    goals = {_goal(row): row.name for row in rows}
    if len(goals) > 1:
        one, other, *_ = goals.values()
        raise UsageError(f"{one} and {other} are for different ends and no one score compares them; search each apart")


def _goal(row: Method) -> str:
    if row.needs_label:
        return "predict"
    if row.translates:
        return "translate"
    return "find" if row.needs_views > 1 or row.unpaired else row.name


def candidates(
    views: Views, recipe: Mapping[str, Any], methods: Sequence[Method], named: Mapping[str, Any]
) -> tuple[list[Candidate], dict[str, str]]:
    """What can be fitted on a table, and of the others why not.

    Args:
        recipe: complete but for a method; all that it says stays as it is. named: as in `prepare`.

    Raises:
        BoubaError: none can; the reason of the first.
    """
    fitting: list[Candidate] = []
    refused: dict[str, BoubaError] = {}
    for method in methods:
        try:
            prepared = prepare(views, {**copy.deepcopy(dict(recipe)), "method": method.name}, named=named)
        except BoubaError as error:
            refused[method.name] = error
            continue
        fitting.append(_candidate(prepared, recipe, towers=named.get("towers") is None))
    if not fitting:
        raise next(iter(refused.values()))
    return fitting, {name: str(error) for name, error in refused.items()}


def _candidate(prepared: Prepared, given: Mapping[str, Any], *, towers: bool) -> Candidate:
    """`towers`: whether encoders are searched."""
    method, views, recipe = prepared.method, prepared.views, prepared.recipe
    usual = prepared.model.get_params(deep=False)
    dimensions = dimensions_of_arguments(usual, method.spans, recipe["arguments"])
    if method.takes_fusion and "fusion" not in given and len(views.columns) > 1:
        own = type(usual["fusion"]).__name__
        name = next((name for name, cls in FUSIONS.items() if cls == own), LATE)
        dimensions.append(Dimension(FUSION, name, OneOf(*FUSIONS)))
    searched = towers and "towers" in usual and "towers" not in given
    encoders = dict(_encoders(prepared)) if searched else {}
    for view, entries in encoders.items():
        if len(entries) > 1:
            first, *others = entries
            dimensions.append(Dimension(f"{TOWERS}{view}", first, OneOf(*others)))
    return Candidate(prepared, dimensions, encoders)


def _encoders(prepared: Prepared) -> Iterator[tuple[str, dict[str, Any]]]:
    """view -> name -> entry of a recipe, the usual one first. Of what is solved only packaged ones: its
    usual reader, simple features, has no entry."""
    from bouba.learner.building import DEFAULT_TOWERS

    own, ready = prepared.recipe.get("towers", {}), ready_encoders(prepared.views)
    for view, kind in prepared.views.modalities.items():
        name = getattr(ready.get(view), "name", None)
        packaged = {} if name is None else {str(name): {"encoder": "Packaged", "name": name}}
        if "view" in own.get(view, {}):  # the same as another's
            continue
        usual = {own[view].get("name", own[view]["encoder"]): own[view]} if view in own else {}
        if prepared.method.solved:
            yield view, {**(usual or {"simple": {}}), **packaged}
            continue
        default = DEFAULT_TOWERS[kind]().__class__.__name__
        scratch = {name: {"encoder": name} for name in (default, *ENCODERS.get(kind, ()))}
        yield view, {**usual, **scratch, **packaged}
