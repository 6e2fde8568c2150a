"""Options that say which column is what, shared by the commands that read a table."""

from __future__ import annotations

import fnmatch
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.data import decode
from bouba.data.guess import guess
from bouba.data.tables import open_table
from bouba.data.views import KINDS, Column, Views
from bouba.errors import DataError, ModalityError, nearest

NUMBERS = "numbers"  # what `read` calls columns of single numbers side by side

Image = Annotated[list[str] | None, typer.Option(help="Column of pictures; repeat for several.")]
Text = Annotated[list[str] | None, typer.Option(help="Column of text.")]
Vector = Annotated[
    list[str] | None, typer.Option(help="Column of numbers; 'left_*' puts all columns of that form into one view.")
]
Audio = Annotated[list[str] | None, typer.Option(help="Column of sounds.")]
Video = Annotated[list[str] | None, typer.Option(help="Column of clips, animated pictures among them.")]
Mixed = Annotated[
    list[str] | None,
    typer.Option(
        "--table", help="Column of numbers or categories for one table view; gaps allowed, 'shop_*' as above."
    ),
]
Label = Annotated[list[str] | None, typer.Option(help="Column of labels.")]
Domain = Annotated[str | None, typer.Option(help="Column that names where a row comes from.")]
Key = Annotated[str | None, typer.Option(help="Column that says what a row shows; equal keys are the same thing.")]
Ignore = Annotated[list[str] | None, typer.Option(help="Column to leave out.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first cell that cannot be read.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def read_table(tables: list[str], said: Mapping[str, Any], *, strict: bool = False) -> Views:
    """One table, or several files of numbers side by side, one a view; options override a recipe's [read]."""
    import numpy as np

    from bouba.data import read

    keywords = {name: value for name, value in said.items() if value not in (None, [])}
    if len(tables) == 1:
        return read(tables[0], **keywords, strict=strict)
    columns: dict[str, Any] = {}
    for table in tables:
        part = read(table)
        _refuse_more_than_numbers(table, part)
        (column,) = part.columns.values()
        name = Path(table).stem
        columns[f"{name}{len(columns)}" if name in columns else name] = np.stack(list(column))
    return read(columns, **keywords, strict=strict)


def numbers_named(tables: list[str], said: Mapping[str, Any], views: Views) -> dict[str, list[str]]:
    """The columns of numbers that stand side by side in view NUMBERS, in their order, as [read] of a recipe names them;
    empty where there are none, or where patterns name them."""
    if len(tables) > 1 or views.modalities.get(NUMBERS) != "vector":
        return {}
    table = open_table(tables[0])
    if "vector" in said:
        told = said["vector"]
        return {} if any("*" in name for name in told) else {"vector": [n for n in table.columns if n in told]}
    taken = {*views.y, *views.meta, *said.get("ignore", ()), *(said.get(role) for role in ("domain", "key", "group"))}
    free = {name: values for name, values in table.columns.items() if name not in taken}
    names = [name for name, v in free.items() if guess(name, v, table.kinds, table.base) == "vector"]
    return {"vector": names}


def read_for(model: Any, run: Path, tables: list[str], asked: Mapping[str, Any], *, strict: bool = False) -> Views:
    """A table as a fitted model reads it: the views of the model that it has, and every row.

    Columns named as a view of the model are of its kind. What the recipe of the run says of other columns holds where
    they are there, and `asked`, the person's own options, overrules it.

    Raises:
        ModalityError: no column is a view of the model, one that is asked for is none, or it is of another kind.
    """
    from bouba.cli.recipe import load_recipe

    columns = list(open_table(tables[0]).columns) if len(tables) == 1 else [Path(table).stem for table in tables]
    recipe = run / "recipe.toml"
    said = dict(load_recipe(recipe).get("read", {})) if recipe.exists() else {}
    said |= {kind: [v for v, k in model.kinds_.items() if k == kind] for kind in ("image", "text", "audio", "video")}
    there = {kind: found for kind, names in said.items() if (found := _there(names, columns))}
    unnamed = next((v for v, kind in model.kinds_.items() if kind == "table" and "table" not in said), "")
    there |= {"table": found} if (found := _there(_table_columns(model, unnamed), columns)) else {}
    numbers = [n for n in said.get("vector", ()) if n not in model.kinds_ and "*" not in n]
    lacking = [name for name in numbers if name not in columns]
    if lacking and len(lacking) < len(numbers):
        sys.stderr.write(f"{NUMBERS} needs {', '.join(numbers)}, and the table has no {', '.join(lacking)}: left out\n")
        there["ignore"] = [*there.get("ignore", []), *(name for name in numbers if name in columns)]
        there["vector"] = [name for name in there["vector"] if name not in numbers]
    asked = {role: names for role, names in asked.items() if names not in (None, [])}
    views = _named(read_table(tables, there | asked, strict=strict), unnamed, model.kinds_)
    known = [name for name in views.columns if name in model.kinds_]
    strange = [str(n) for role in KINDS for n in asked.get(role, ()) if n in views.columns and n not in known]
    if strange:
        raise ModalityError(f"the model has no view {strange[0]!r}{nearest(strange[0], model.kinds_)}")
    if not known:
        raise ModalityError(
            f"the model has {', '.join(model.kinds_)}, the table {', '.join(views.columns)}; name columns or files as "
            "they were named in training"
        )
    return _as_trained(views.select(*known), model.kinds_, numbers, [name for name in columns if name in numbers])


def _there(names: str | list[str], columns: list[str]) -> Any:
    """The names, or patterns, that a column fits."""
    fits = lambda name: name in columns or ("*" in name and fnmatch.filter(columns, name))  # noqa: E731
    return [n for n in names if fits(n)] if isinstance(names, list) else names if fits(names) else None


def _table_columns(model: Any, view: str) -> list[str]:
    """The columns that stood side by side in a table view in training."""
    learned = getattr(model, "learned_", {}).get(view, {})
    return [name for part in ("numbers", "classes", "silent") for name in learned.get(part, ())]


def _named(views: Views, unnamed: str, kinds: Mapping[str, str]) -> Views:
    """Views in which the table has the name it had in training, and no other numbers pass for it."""
    names = {
        name: unnamed if column.kind == "table" and name == "table" and unnamed else name
        for name, column in views.columns.items()
    }
    other = lambda name: kinds.get(names[name]) == "table" and views[name].kind == "vector"  # noqa: E731
    kept = {names[name]: column for name, column in views.columns.items() if not other(name)}
    return views.replace(columns=kept) if kept else views


def _as_trained(views: Views, kinds: Mapping[str, str], numbers: list[str], order: list[str]) -> Views:
    """Views of the model's kinds, NUMBERS in the order they had in training; `order` is that of the table."""
    for name, column in views.columns.items():
        if kinds[name] == "vector" and (column.kind == "table" or (name == NUMBERS and order != numbers)):
            rows = [_values(cell, numbers, order) if there else [] for cell, there in zip(column, column.present)]
            width = max(map(len, rows))
            gaps = [row for row, values in zip(views.rows, rows) if 0 < len(values) < width]
            bad = [{"row": int(row), "column": name, "value": None, "reason": "a number is missing"} for row in gaps]
            whole = _vectors(name, [values if len(values) == width else None for values in rows])
            views = views.replace(columns={**views.columns, name: whole}, bad_rows=[*views.bad_rows, *bad])
        elif column.kind != kinds[name]:
            raise ModalityError(f"view {name!r} is {kinds[name]} in the model and {column.kind} in the table")
    return views


def _values(cell: Any, numbers: list[str], order: list[str]) -> list[Any]:
    """Numbers of a row, a mapping or in the order of the table, those that are there in the order of training."""
    record = decode.record(cell) if isinstance(cell, Mapping) else dict(zip(order, cell))
    return [record[name] for name in numbers or record if name in record]


def _vectors(name: str, cells: list) -> Column:
    """Rows of numbers, None where there are none; all may be."""
    if all(cell is None for cell in cells):
        return Column.of(np.zeros((len(cells), 1)), "vector", np.zeros(len(cells), bool))
    return Views({name: cells}, kinds={name: "vector"})[name]


def _refuse_more_than_numbers(table: str, part: Views) -> None:
    """DataError unless a file is one view of numbers without gaps: files are paired row by row, and nothing else."""
    if list(part.modalities.values()) != ["vector"] or part.bad_rows:
        first = f"; row {part.bad_rows[0]['row']}: {part.bad_rows[0]['reason']}" if part.bad_rows else ""
        raise DataError(f"of several files each is one view of numbers without gaps; {table} holds {part}{first}")
    roles = [*part.y, *part.meta, *(name for name in ("domain", "key", "group") if getattr(part, name) is not None)]
    if roles:
        raise DataError(
            f"several files are paired row by row, but {table} also has {', '.join(roles)}; join them into one table "
            "and say --vector 'a_*' --vector 'b_*'"
        )


def repeated_text(views: Views) -> str | None:
    """A hint when rows share their text and no key says that they are the same thing."""
    for name, column in views.columns.items():
        if column.kind == "text" and views.key is None:
            said = [str(cell) for cell, there in zip(column, column.present) if there]
            shared = len(said) - sum(1 for count in Counter(said).values() if count == 1)
            if shared > len(said) / 20:
                return (
                    f"{shared:,} of {len(said):,} rows share their {name!r} with another row and count as wrong "
                    f"answers to one another; if equal means the same thing, say --text {name} --key {name}"
                )
    return None


def table_lines(rows: list[list[str]]) -> str:
    """Columns padded to line up."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)
