"""Rows of later tables, as the index of a run would hold them: their cells, their columns, what tells them apart."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data.kinds import listing
from bouba.data.tables import open_table, refuse_absent
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError
from bouba.runs.blocks import here, tables_of
from bouba.runs.contents import contents_of
from bouba.runs.indexing import columns_of
from bouba.runs.reading import names_for, read_table_like

if TYPE_CHECKING:
    from bouba.search import Index
    from bouba.search.columns import IndexColumn


@dataclass(frozen=True)
class Incoming:
    """The n rows of one table or of several.

    Args:
        views: n rows of the views by which rows are found, numbered by their place. columns: name -> n values, of the
            columns of the index that a table has. contents: n digests.
        origins: n pairs, the file a row comes from (None for what is no file, or the only one) and its number there.
        bad_rows: what could not be read. remarks: what a person should know, in sentences.
    """

    views: Views
    columns: Mapping[str, list[Any]]
    contents: list[bytes]
    origins: list[tuple[str | None, int]]
    bad_rows: list[dict[str, Any]]
    remarks: list[str]

    @classmethod
    def of(cls, run: Any, index: Index, table: Any, named: Mapping[str, Any]) -> Incoming:
        """The rows of a table as `Run.embed` takes it.

        Raises:
            ModalityError: a table has none of the model's views. DataError: one that cannot be read; with `strict`, a
            cell that cannot be, or a value that does not fit its column.
        """
        refuse_absent(table if isinstance(table, list | tuple) else [table])
        names = names_for(run, table, named)
        sources = [here(source) for source in tables_of(table, run.schema)]
        stored = list(index.listing.columns.values())
        parts = [read_table_like(source, run.schema, names) for source in sources]
        several = len(parts) > 1
        files = [_file(source) if several else None for source in sources]
        columns, faults = _columns(parts, stored)
        faults = [fault for fault in faults if fault[1] in run.filters()]  # a role stands by its own name, too
        origins = [(file, int(row)) for file, part in zip(files, parts, strict=True) for row in part.rows]
        bad = [entry | _of(file) for file, part in zip(files, parts, strict=True) for entry in part.bad_rows]
        bad += [
            listing(origins[place][1], name, value, reason) | {"value": str(value)} | _of(origins[place][0])
            for place, name, value, reason in faults
        ]
        if faults and named.get("strict"):
            place, name, value, reason = faults[0]
            raise DataError(f"row {origins[place][1]}, column {name!r}: {value!r:.60} is {reason}")
        searchable = [part.select(*(v for v in part.columns if v in run.model.searchable)) for part in parts]
        views = _joined(searchable)
        contents = contents_of(views, columns, stored)
        return cls(views, columns, contents, origins, bad, _remarks(run, index, parts, views))

    def __len__(self) -> int:
        return len(self.origins)

    def bad_cells(self, entries: Sequence[Mapping[str, Any]], places: np.ndarray) -> list[dict[str, Any]]:
        """Entries of rows by where they stand among some places, as entries of the tables they come from."""
        origins = [self.origins[places[entry["row"]]] for entry in entries]
        return [{**entry, "row": row} | _of(file) for entry, (file, row) in zip(entries, origins, strict=True)]


def named_rows(run: Any, index: Index, table: Any, column: str) -> list[Any] | None:
    """The values of a column of a table, which needs no other columns, as the index holds them; None where a table has
    none of that name, or is no file."""
    if isinstance(table, Views):
        return None
    stored = index.listing.column(column)
    values: list[Any] = []
    for source in tables_of(table, run.schema):
        columns = open_table(here(source)).named_as([column]).columns
        if column not in columns:
            return None
        values += [_fitted(stored, value)[0] for value in columns[column]]
    return values


def _columns(
    parts: Sequence[Views], stored: Sequence[IndexColumn]
) -> tuple[dict[str, list[Any]], list[tuple[int, str, Any, str]]]:
    """Name -> a value a row, as the index holds it; and the place, column, value and reason of those it cannot hold."""
    of_parts = [columns_of(part) for part in parts]
    columns: dict[str, list[Any]] = {}
    faults = []
    for column in stored:
        if not any(column.name in own for own in of_parts):
            continue
        values = [
            v for own, part in zip(of_parts, parts, strict=True) for v in own.get(column.name, [None] * len(part))
        ]
        fitted = [_fitted(column, value) for value in values]
        columns[column.name] = [value for value, _ in fitted]
        faults += [
            (place, column.name, values[place], reason)
            for place, (_, reason) in enumerate(fitted)
            if reason is not None
        ]
    return columns, faults


def _fitted(column: IndexColumn, value: Any) -> tuple[Any, str | None]:
    """A value as a column of the index holds it; None for one that it cannot hold, and why."""
    try:
        return column.fit(column.parsed(value) if isinstance(value, str) and column.kind != "str" else value), None
    except UsageError:
        what = {"int": "no whole number", "float": "no number", "bool": "neither true nor false"}[column.kind]
        return None, f"{what}, as the index has in this column; it counts as missing"


def _remarks(run: Any, index: Index, parts: Sequence[Views], views: Views) -> list[str]:
    """What of the tables does not go into the index, and what they lack."""
    there = {name for part in parts for name in columns_of(part)} | set(views.columns)
    strange = sorted(there - set(index.columns) - set(run.schema.kinds) - {"domain", "key", "group"})
    lacking = [view for view in run.model.searchable if view not in views.columns]
    left_out = f"left out, because the index has no such column: {', '.join(strange)}; bouba fit makes one that has"
    return [left_out] * bool(strange) + [
        f"the table has no {view!r}; its rows are found by {', '.join(views.columns)}" for view in lacking
    ]


def _file(source: Any) -> str | None:
    return os.fspath(source) if isinstance(source, str | Path) else None


def _of(file: str | None) -> dict[str, str]:
    """What says of which table an entry is, where there are several."""
    return {} if file is None else {"table": file}


def _joined(parts: Sequence[Views]) -> Views:
    """The rows of several Views as one, numbered by their place; views that some lack are missing there."""
    kinds = {name: kind for part in parts for name, kind in part.modalities.items()}
    columns = {name: _joined_column(name, kind, parts) for name, kind in kinds.items()}
    return Views(columns, rows=np.arange(sum(map(len, parts))))


def _joined_column(name: str, kind: str, parts: Sequence[Views]) -> Column:
    if len(parts) == 1:
        return parts[0].columns[name]
    own = [part.columns.get(name) for part in parts]
    has = np.concatenate(
        [
            np.zeros(len(part), bool) if column is None else column.present
            for part, column in zip(parts, own, strict=True)
        ]
    )
    values: Any = _Chain(
        [[None] * len(part) if column is None else column for part, column in zip(parts, own, strict=True)]
    )
    if kind == "vector":
        cells = [np.asarray(values[place], np.float32) for place in np.flatnonzero(has).tolist()]
        values = np.zeros((len(has), len(cells[0]) if cells else 1), np.float32)
        values[has] = cells
    return Column.of(values, kind, has)


class _Chain(Sequence):
    """The cells of several columns, one column after another, read when they are asked for."""

    def __init__(self, parts: Sequence[Any]):
        self._parts, self._starts = parts, [0, *accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, place: Any) -> Any:
        part = bisect_right(self._starts, place) - 1
        return self._parts[part][place - self._starts[part]]
