"""The table of a run: one file or object, or several files of numbers, one a view."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.formats.annotated import are_files
from bouba.data.kinds import KINDS
from bouba.data.read import read, read_like
from bouba.data.schema import Schema
from bouba.data.tables import are_parts, hold_numbers_alone, refuse_absent
from bouba.data.uses import listed
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, UsageError

BLOCK = "numbers"  # what `read` calls columns of single numbers side by side


def read_table(table: Any, named: Mapping[str, Any]) -> Views:
    """The views of a table.

    Args:
        table: Views as they are; anything that `bouba.read` takes; or several paths, of files that are the parts of one
            table (lake/*.parquet), or that each hold one view of numbers, paired row by row and named as the files.
        named: keywords of `bouba.read`: columns of a kind or role, `strict`.
    """
    if isinstance(table, Views):
        return table
    return read(_joined(table), **given_options(named))


def read_table_like(table: Any, schema: Schema, named: Mapping[str, Any]) -> Views:
    """The same for a table of later rows, read as the schema says; see `data.read.read_like`."""
    if isinstance(table, Views):
        return table
    source = _joined(table)
    _refuse_other_files(table, source, schema)
    return read_like(source, schema, **given_options(named))


def _refuse_other_files(table: Any, source: Any, schema: Schema) -> None:
    """ModalityError where several files have other names than the views of a schema."""
    if source is table or not isinstance(source, Mapping) or set(source) & set(schema.kinds):
        return
    files, views = ", ".join(str(path) for path in table), ", ".join(schema.kinds)
    raise ModalityError(
        f"files are matched with views by their names, and none of {files} is named as one of {views}; give a file "
        f"{next(iter(schema.kinds))}{Path(table[0]).suffix}, which may lie in another folder"
    )


def refuse_names_for_views(table: Any, named: Mapping[str, Any]) -> None:
    """UsageError where columns are named, or cells to be refused, of Views, which were read already."""
    if isinstance(table, Views) and any(value is not False for value in given_options(named).values()):
        raise UsageError(f"Views were read already and take no {', '.join(given_options(named))}; say so to bouba.read")


def read_again(run: Any, table: Any, named: Mapping[str, Any]) -> Views:
    """A later table of a Run, as it was read for training. Files that are not there are refused before the model is
    loaded."""
    refuse_absent(table if isinstance(table, list | tuple) else [table])
    return read_table_like(table, run.schema, names_for(run, table, named))


def names_for(run: Any, table: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """What a later table of a Run is read with: columns of a kind or role, and the roles that its recipe names, where
    its schema was not kept. UsageError as in `refuse_names_for_views`."""
    refuse_names_for_views(table, named)
    return (roles_of_recipe(run.recipe) if run.schema.labels is None else {}) | dict(named)


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without those that nobody gave: None, and no names at all. Zero and False are given."""
    return {name: v for name, v in options.items() if v is not None and not (isinstance(v, list | tuple) and not v)}


def _joined(table: Any) -> Any:
    """One source for `read`: several files of numbers as columns by the names of the files; the parts of one table as
    they are."""
    if not isinstance(table, list | tuple) or not all(isinstance(path, str | os.PathLike) for path in table):
        return table
    if len(table) == 1:
        return table[0]
    if are_files(table) or (are_parts(table) and not hold_numbers_alone(table)):
        return table
    columns: dict[str, Any] = {}
    for path in table:
        part = read(path)
        _refuse_more_than_numbers(path, part)
        (column,) = part.columns.values()
        name = Path(path).stem
        columns[f"{name}{len(columns)}" if name in columns else name] = _with_names(part, column)
    return columns


def _with_names(part: Views, column: Column) -> Any:
    """The numbers of a file, as a frame where its columns have names."""
    numbers = np.stack(list(column))
    (view,) = part.columns
    if view not in part.sources:
        return numbers
    from pandas import DataFrame

    return DataFrame(numbers, columns=list(part.sources[view]))


def _refuse_more_than_numbers(path: str | os.PathLike, part: Views) -> None:
    """DataError unless a file is one view of numbers without gaps: files are paired row by row, and nothing else."""
    if list(part.modalities.values()) != ["vector"] or part.bad_rows:
        first = f"; row {part.bad_rows[0]['row']}: {part.bad_rows[0]['reason']}" if part.bad_rows else ""
        raise DataError(f"of several files each is one view of numbers without gaps; {path} holds {part}{first}")
    roles = [*part.y, *part.meta, *(name for name in ("domain", "key", "group") if getattr(part, name) is not None)]
    if roles:
        raise DataError(
            f"several files are paired row by row, but {path} also has {', '.join(roles)}; join them into one table "
            "and say --vector 'a_*' --vector 'b_*'"
        )


def named_as_read(views: Views, named: Mapping[str, Any]) -> dict[str, Any]:
    """What [read] of a recipe must name so that numbers side by side are the same again; nothing where patterns do."""
    if BLOCK not in views.sources or views.modalities.get(BLOCK) != "vector":
        return {}
    names = listed(named.get("vector"))
    if any("*" in name for name in names):
        return {}
    own = [name for name in names if name in views.columns]
    return {"vector": [*own, *views.sources[BLOCK]]}


def repeated_text(views: Views) -> str | None:
    """A hint when rows share their text and no key says that they are the same thing."""
    for name, column in views.columns.items():
        if column.kind == "text" and views.key is None:
            counts = Counter(hash(str(column[row])) for row in np.flatnonzero(column.present).tolist())
            texts = counts.total()
            shared = texts - sum(1 for count in counts.values() if count == 1)
            if shared > texts / 20:
                return (
                    f"{shared:,} of {texts:,} rows share their {name!r} with another row and count as wrong "
                    f"answers to one another; if equal means the same thing, say --text {name} --key {name}"
                )
    return None


def schema_of_model(model: Any, recipe: Mapping[str, Any]) -> Schema:
    """The schema of a run that kept none, as early ones did not, or of a model saved by itself: views by their names,
    the columns that it, its recipe and its towers know, labels and roles to be guessed."""
    from bouba.learner import BaseLearner

    if model.schema_ is not None and not recipe:
        return replace(model.schema_, labels=None, roles=None)
    columns: dict[str, Sequence[str]] = {}
    named = {use: listed(names) for use, names in recipe.get("read", {}).items() if use in KINDS}
    for view, kind in model.kinds_.items():
        patterns = [name for name in named.get(kind, ()) if "*" in name and name.replace("*", "").strip("_-. ") == view]
        if patterns:
            columns[view] = patterns
        elif view == BLOCK:
            columns[view] = [name for name in named.get(kind, ()) if "*" not in name and name not in model.kinds_]
        elif kind == "table":
            learned = model.learned_[view] if isinstance(model, BaseLearner) else {}
            columns[view] = [name for part in ("numbers", "classes", "silent") for name in learned.get(part, ())]
    return Schema(dict(model.kinds_), {view: tuple(names) for view, names in columns.items()})


def roles_of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The labels and roles that a recipe names."""
    return {use: names for use, names in recipe.get("read", {}).items() if use in ("label", "domain", "key", "group")}
