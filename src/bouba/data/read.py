"""Any table -> Views: what each column is, which cells can be read, and a list of those that cannot."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.columns import holds_mappings, records, row_cells, single_numbers
from bouba.data.faults import header_faults, refuse_faults
from bouba.data.guess import guess
from bouba.data.kinds import BLOCKS, KINDS, listing
from bouba.data.mapped import OnDisk, Resolved
from bouba.data.missing import is_missing
from bouba.data.schema import ROLES, Schema
from bouba.data.several import KINDS_OF_SEVERAL, SEPARATOR, Several, several, with_several
from bouba.data.table import Table
from bouba.data.tables import open_table
from bouba.data.uses import USES, Names, Uses, listed
from bouba.data.vectors import has_gaps, number_rows, refuse_not_finite, vector_rows
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, nearest

log = logging.getLogger("bouba")
LOOKED_AT = 100  # cells of a column on disk, for whether they are lists


def as_views(data, *, every_row: bool = False) -> Views:
    """Views as they are; anything else as `read` takes it, with `every_row` also those without a cell."""
    return data if isinstance(data, Views) else _guessed(Uses(open_table(data)), every_row=every_row)


def read(
    source,
    *,
    image: Names = None,
    text: Names = None,
    audio: Names = None,
    video: Names = None,
    vector: Names = None,
    table: Names = None,
    label: Names = None,
    domain: str | None = None,
    key: str | None = None,
    group: str | None = None,
    ignore: Names = None,
    strict: bool = False,
) -> Views:
    """Read a table whose rows are things and whose columns are views of them.

    Kinds and roles are guessed from the cells and the column names and logged at INFO; `bouba inspect` shows them.
    Naming a column overrules the guess; once a kind or role is named, nothing else is guessed to be of it.

    Args:
        source: path of a CSV, TSV, JSONL or Parquet file, a .npy array, .h5ad or .h5mu, a folder of pictures, sounds or
            clips (or one with metadata.csv), a DataFrame, a `datasets.Dataset`, AnnData, MuData, a mapping of columns
            or of AnnData, or a list of arrays or frames of numbers. Rows of series and frames are paired by their
            index, in the order of the first; where one lacks a row its cell is missing, which is warned of. Relative
            paths in cells are relative to the table. In a folder, files of different kinds that differ only in their
            ending, cat.png and cat.wav, are one row, and cat.txt is its text.
        image, text, audio, video, vector: names of the columns of that kind. Columns of single numbers are put
            side by side as one view, "numbers"; a pattern like "left_*" makes its columns a view of their own, "left".
            A cell of pictures, text or sounds may hold several, see `Several`: a list of them; those of the columns of
            a pattern, "photo_*"; or a text like a.jpg|b.jpg in the column photos, where "photos|" is named.
            Pictures are clips when the first of them moves.
        table: columns of numbers or of text with few values, put side by side as one view, "table", in which a row may
            lack some of them; patterns as above. A column whose cells are mappings is a view of its own. Numbers
            nobody named are such a view, "numbers", where some row lacks some of them, and vectors where none does.
        label: label columns. domain: the source a row comes from. key: what the row shows. group: what must
            not be split. ignore: columns to leave out.
        strict: raise on the first cell that cannot be read instead of listing it in `views.bad_rows`; then every
            picture, sound and clip is decoded to the end.

    Returns:
        Views. A cell that cannot be read counts as missing and is listed; a row with no cell left is dropped. Of
        pictures, sounds and clips the headers are read; one that breaks in the middle is listed when it is decoded.

    Raises:
        DataError: no such file or column, one column named twice, an empty table, no modality, an unreadable cell
            when strict.

    >>> read({"photo": np.zeros((3, 4)), "title": ["a cat", "a dog", None]})
    Views(3 rows, {photo: vector, title: text (1 missing)})
    """
    uses = Uses(open_table(source))
    named = {"image": image, "text": text, "audio": audio, "video": video, "vector": vector, "table": table}
    named |= {"label": label, "domain": domain, "key": key, "group": group, "ignore": ignore}
    columns = {use: listed(names) for use, names in named.items()}
    uses.name(columns)
    return _checked(_guessed(uses, gaps_are_blank=bool(columns["vector"])), strict)


def _guessed(uses: Uses, *, gaps_are_blank: bool = False, every_row: bool = False) -> Views:
    """The views of a table, what nobody named being guessed."""
    uses.guess_rest()
    uses.of = {name: uses.of[name] for name in uses.table.columns}
    log.info("understood: %s", ", ".join(f"{name} = {use}" for name, use in uses.of.items() if use != "ignore"))
    return _assemble(uses, gaps_are_blank=gaps_are_blank, every_row=every_row)


def read_like(source, schema: Schema, *, strict: bool = False, every_row: bool = False, **named: Names) -> Views:
    """Read a table as an earlier one was read: the views of its schema that this one has, and every row.

    Columns are matched by name, in whatever order they stand; those that the schema does not know are kept for filters.
    A view of several numbers of which a column is missing is left out, with a warning.

    Args:
        source, strict: as in `read`.
        every_row: keep rows without any cell too.
        schema: of the earlier table. What it does not say of labels and roles is guessed.
        **named: columns of a kind or role, as in `read`; they overrule the schema's of that kind or role.

    Raises:
        ModalityError: no column is a view of the schema, one that is named is none, or it is of another kind.
        DataError: as in `read`, and for a name that is no kind or role.
    """
    for use in named:
        if use not in USES:
            raise DataError(f"no kind or role {use!r}{nearest(use, USES)}")
    uses = Uses(open_table(source).named_as(schema.names))
    overruled = {use: listed(names) for use, names in named.items() if names not in (None, [])}
    uses.name({use: names for use, names in overruled.items() if use in KINDS})
    for view, kind in schema.kinds.items():
        if kind not in overruled:
            _name_again(uses, view, kind, schema)
    known_roles = {"label": schema.labels or ()} | {role: (name,) for role, name in (schema.roles or {}).items()}
    roles = {use: [n for n in names if n in uses.table.columns] for use, names in known_roles.items()} | overruled
    uses.name({use: names for use, names in roles.items() if use not in KINDS})
    if schema.labels is None:
        uses.guess_rest()
    else:
        uses.keep_rest()
    if not any(use in KINDS for use in uses.of.values()):
        _refuse_strange_table(schema, uses.table.columns)
    views = _assemble(uses, gaps_are_blank=True, every_row=every_row)
    for name in (name for kind in KINDS for name in overruled.get(kind, ())):
        if name in views.columns and name not in schema.kinds:
            raise ModalityError(f"the model has no view {name!r}{nearest(name, schema.kinds)}")
    matching = [view for view in schema.kinds if view in views.columns]
    if not matching:
        _refuse_strange_table(schema, views.columns)
    for view in matching:
        if views[view].kind != schema.kinds[view]:
            raise ModalityError(
                f"view {view!r} is {schema.kinds[view]} in the model and {views[view].kind} in the table"
            )
    return _checked(views.select(*matching), strict)


def _name_again(uses: Uses, view: str, kind: str, schema: Schema) -> None:
    """Name the columns that stand behind one view of a schema, as far as the table has them."""
    table = uses.table
    if view not in schema.columns:
        if view in table.columns and view not in uses.of:
            uses.name({kind: [view]})
        return
    if schema.columns[view] == (f"{view}{SEPARATOR}",):
        if view in table.columns and view not in uses.of:
            uses.name({kind: [f"{view}{SEPARATOR}"]})
        return
    if view in table.numbers and view not in uses.of:
        uses.name({kind: [view]})
        return
    columns = _expanded(schema.columns[view], table) if schema.columns[view] else _free_numbers(uses)
    lacking = [name for name in columns if name not in table.columns]
    present = [name for name in columns if name in table.columns and name not in uses.of]
    if kind == "vector" and lacking and present:
        log.warning("%s needs %s, and the table has no %s: left out", view, ", ".join(columns), ", ".join(lacking))
        uses.name({"ignore": present})
        return
    uses.name_block(kind, view, present)


def _expanded(names: Collection[str], table: Table) -> list[str]:
    """Columns, patterns among them as the columns that fit."""
    fitting = {name: fnmatch.filter(table.columns, name) if "*" in name else [name] for name in names}
    return list(dict.fromkeys(column for columns in fitting.values() for column in columns))


def _free_numbers(uses: Uses) -> list[str]:
    """The columns of single numbers that have no use yet."""
    table = uses.table
    free = {name: values for name, values in table.columns.items() if name not in uses.of}
    numeric = [name for name, values in free.items() if guess(name, values, table.kinds, table.base) == "vector"]
    return [name for name in numeric if single_numbers(name, table.columns[name]) is not None]


def _refuse_strange_table(schema: Schema, columns: Collection[str]) -> None:
    behind = {view: names for view, names in schema.columns.items() if set(names) & set(columns)}
    for view, names in behind.items():
        lacking = ", ".join(name for name in names if name not in columns)
        raise ModalityError(
            f"view {view!r} needs {', '.join(names)}, and the table has no {lacking}; add what is missing"
        )
    raise ModalityError(
        f"the model has {', '.join(schema.kinds)}, the table {', '.join(columns)}; name columns or files as they were "
        "named in training"
    )


def _checked(views: Views, strict: bool) -> Views:
    """The views. DataError naming the first cell that cannot be read, where `strict`."""
    if strict and views.bad_rows:
        bad = views.bad_rows[0]
        place = f"row {bad['row']}" + (f", column {bad['column']!r}" if bad["column"] else "")
        raise DataError(f"{len(views.bad_rows)} cells or rows cannot be read, the first is {place}: {bad['reason']}")
    if strict:
        refuse_faults(views)
    return views


def _assemble(uses: Uses, *, gaps_are_blank: bool, every_row: bool = False) -> Views:
    """Views of a table by what its columns are used as, rows without any cell left out unless `every_row` is kept.

    `gaps_are_blank`: rows that lack some numbers of a vector lack the vector, and are listed; else such numbers, which
    nobody named, are a table.
    """
    table = uses.table
    bad = list(table.bad_rows)
    n = len(next(iter(table.columns.values())))
    rows = np.arange(n) if table.rows is None else table.rows
    columns, kinds, sources = _modalities(uses, rows, bad, gaps_are_blank=gaps_are_blank)
    if not columns:
        raise DataError(f"no column of a modality among {list(uses.of)}; name one, for example text=...")
    about_rows = {name: use for name, use in uses.of.items() if use not in (*KINDS, "ignore")}
    cells = {name: row_cells(name, use, table.columns[name]) for name, use in about_rows.items()}
    by_role = {role: name for role in ROLES for name in uses.columns(role)[:1]}
    roles: dict[str, Any] = {role: cells[name] for role, name in by_role.items()}
    sources |= {role: (uses.originals.get(name, name),) for role, name in by_role.items()}
    sources |= {name: (uses.originals[name],) for name in uses.columns("label") if name in uses.originals}
    views = Views(
        columns,
        kinds=kinds,
        y={name: cells[name] for name in uses.columns("label")},
        **roles,
        meta={name: cells[name] for name in uses.columns("meta")},
        rows=rows,
        sources=sources,
        row_names=table.row_names,
    )
    return views.replace(bad_rows=bad) if every_row else _without_empty_rows(views, bad)


def _modalities(
    uses: Uses, rows: np.ndarray, bad: list[dict], *, gaps_are_blank: bool
) -> tuple[dict[str, Any], dict[str, str], dict[str, tuple[str, ...]]]:
    """The columns of each view, its kind, and the columns of the table behind those that are made of several."""
    table = uses.table
    numbers = {name: single_numbers(name, table.columns[name]) for name in uses.columns("vector")}
    parts: dict[str, Any] = {name: values for name, values in numbers.items() if values is not None}
    parts |= {name: v for name in uses.columns("table") if not holds_mappings(v := table.columns[name])}
    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    sources: dict[str, tuple[str, ...]] = {}
    together: dict[tuple[str, str], list[str]] = {}
    for name, use in uses.of.items():
        if use in KINDS_OF_SEVERAL and name in uses.blocks:
            together.setdefault((use, uses.blocks[name]), []).append(name)
        elif use in KINDS and name not in parts:
            columns[name], kinds[name] = _column(use, name, table, rows, bad, split=name in uses.split), use
            sources |= {name: table.numbers[name]} if name in table.numbers else {}
            sources |= {name: (f"{name}{SEPARATOR}",)} if name in uses.split else {}
    for (kind, block), names in together.items():
        view = block.replace("*", "").strip("_-. ") or kind
        columns[view], kinds[view], sources[view] = _together(kind, view, names, table, rows, bad), kind, tuple(names)
    block_of = {name: (use, uses.blocks.get(name, "")) for name, use in uses.of.items() if name in parts}
    for kind, block in dict.fromkeys(block_of.values()):
        values = {name: parts[name] for name, its_block in block_of.items() if its_block == (kind, block)}
        view = block.replace("*", "").strip("_-. ") or BLOCKS[kind]
        view = f"all {view}" if view in columns else view
        kinds[view] = "table" if kind == "vector" and not gaps_are_blank and has_gaps(values) else kind
        is_vector = kinds[view] == "vector"
        columns[view] = (
            _vectors(view, *number_rows(view, values, rows, bad)) if is_vector else records(values, rows, bad)
        )
        sources[view] = tuple(values)
    return columns, kinds, sources


def _without_empty_rows(views: Views, bad: list[dict]) -> Views:
    """The rows that have a cell, the others listed among those that cannot be read."""
    some = np.asarray(np.any(list(views.present.values()), axis=0))
    listed_rows = {entry["row"] for entry in bad}
    empty = [int(row) for row in views.rows[~some] if row not in listed_rows]
    bad += [{"row": row, "column": None, "value": None, "reason": "every cell is empty"} for row in empty]
    bad.sort(key=lambda entry: entry["row"])
    if not some.any():
        raise DataError(f"no row has a cell that can be read; first: {bad[0]['reason']}")
    return (views if some.all() else views[some]).replace(bad_rows=bad)


def _together(kind: str, view: str, names: Sequence[str], table: Table, rows: np.ndarray, bad: list[dict]) -> Column:
    """Several columns as one, whose cells hold what a row has of them."""
    parts = [_column(kind, name, table, rows, bad) for name in names]
    cells = [[part[row] for part in parts if part.present[row]] for row in range(len(rows))]
    return Column.of([several(kind, Several(cell)) for cell in cells], kind)


def _column(kind: str, name: str, table: Table, rows: np.ndarray, bad: list[dict], *, split: bool = False) -> Any:
    values = table.columns[name]
    if kind in KINDS_OF_SEVERAL:
        values = _with_several(kind, values, split=split)
    if kind == "vector":
        return _vectors(name, *vector_rows(name, values, rows, bad))
    if kind in BLOCKS:
        return [values[i] for i in range(len(values))]
    if kind == "text":
        return Column.of(values, "text")
    if isinstance(values, OnDisk) and values.is_nested:
        values = Resolved(values, table.base)
    elif table.base is not None or _holds_text(values):
        values = [decode.resolved(values[i], table.base) for i in range(len(values))]
    column = Column.of(values, kind)
    faults = header_faults(column)
    bad += [listing(int(rows[i]), name, values[i], reason) for i, reason in faults.items()]
    rest = {i: _readable(kind, values[i]) for i in faults if isinstance(values[i], Several)}
    if any(cell is not None for cell in rest.values()):
        column = Column.of([rest.get(i, values[i]) for i in range(len(values))], kind)
    broken = np.zeros(len(column), bool)
    broken[[i for i in faults if rest.get(i) is None]] = True
    return column.without(broken) if faults else column


def _readable(kind: str, cell: Several) -> Any:
    """What can be read of several things in a cell; None where nothing can."""
    return several(kind, Several(part for part in cell if KINDS[kind].header_fault(part) is None))


def _with_several(kind: str, values: Any, *, split: bool) -> Any:
    """A column with lists of things as Several; one on disk is read where its cells are lists, or hold several."""
    if isinstance(values, OnDisk) and not split:
        first = next((cell for i in range(min(len(values), LOOKED_AT)) if not is_missing(cell := values[i])), None)
        if not isinstance(several(kind, first), Several) and not isinstance(first, list):
            return values
    if isinstance(values, OnDisk) or (split and not isinstance(values, list)):
        values = [values[i] for i in range(len(values))]
    return with_several(kind, values, split=split)


def _vectors(view: str, numbers: Any, present: np.ndarray) -> Column:
    """Rows of numbers as a column. DataError where one is not finite as a float."""
    refuse_not_finite(view, numbers)
    return Column.of(numbers, "vector", present)


def _holds_text(values) -> bool:
    """Whether a column in memory holds texts."""
    return isinstance(values, list | np.ndarray) and any(isinstance(cell, str) for cell in values)
