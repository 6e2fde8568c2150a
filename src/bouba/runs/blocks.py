"""Tables in blocks of rows, each embedded by itself: what processes and machines share out among themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bouba.data.schema import Schema
from bouba.data.tables import open_table
from bouba.data.views import Views, is_missing
from bouba.device import device_named, running_on
from bouba.errors import DataError, ModalityError
from bouba.runs.indexing import FUSED, found_as_rows
from bouba.runs.reading import read_table_like
from bouba.runs.spooled import AT_ONCE

PARQUET = ".parquet"
BAD_ROWS = b"bouba.bad_rows"
"""Metadata of a block's table: what could not be read, as JSON."""


@dataclass(frozen=True)
class Block:
    """Some rows of one of several tables.

    Args:
        table: which. start, stop: the numbers of its rows, from start to before stop.
    """

    table: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Of its file; names sort as the rows do."""
        return f"{self.table:06d}-{self.start:012d}.parquet"


def tables_of(table: Any, schema: Schema) -> list[Any]:
    """The tables that `table` stands for: the Parquet files of a folder; several files, each with rows of its own; or
    itself, as where several files are the views of the same rows.

    Args:
        schema: of the run, whose views files may be named as.
    """
    if not isinstance(table, list | tuple):
        return _files_of(table)
    paths = [path for path in table if isinstance(path, str | os.PathLike)]
    if len(paths) < len(table) or (len(paths) > 1 and {Path(path).stem for path in paths} & set(schema.kinds)):
        return [table]
    return [file for path in paths for file in _files_of(path)]


def here(table: Any) -> Any:
    """A table whose files have names that hold in every folder, and on every machine that sees the same disk."""
    if isinstance(table, list | tuple):
        return [here(each) for each in table]
    is_path = isinstance(table, os.PathLike) or (isinstance(table, str) and "://" not in table)
    return os.path.abspath(table) if is_path else table


def _files_of(table: Any) -> list[Any]:
    """A folder that holds Parquet files and nothing else as these; anything else as it is."""
    if not isinstance(table, str | os.PathLike) or not os.path.isdir(table):
        return [table]
    files = sorted(file for file in Path(table).rglob("*") if file.is_file() and not file.name.startswith(("_", ".")))
    return files if files and all(file.suffix == PARQUET for file in files) else [table]


def blocks_of(tables: Sequence[Any]) -> list[Block]:
    """The blocks of tables, in the order of their rows."""
    return [
        Block(number, start, min(start + AT_ONCE, count))
        for number, count in enumerate(map(_count, tables))
        for start in range(0, count, AT_ONCE)
    ]


def _count(table: Any) -> int:
    """One more than the largest number of a row; of a Parquet file by its footer alone."""
    if isinstance(table, Views):
        return len(table)
    if isinstance(table, str | os.PathLike) and Path(table).suffix == PARQUET and os.path.isfile(table):
        import pyarrow.parquet as pq

        try:
            return pq.read_metadata(table).num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{table} is not a Parquet file: {error}") from error
    source = open_table(table[0] if isinstance(table, list | tuple) else table)
    own = len(next(iter(source.columns.values()))) if source.rows is None else int(source.rows.max()) + 1
    return max([own, *(bad["row"] + 1 for bad in source.bad_rows)])


@dataclass
class Embedder:
    """Embeds blocks; it goes to other machines whole.

    Args:
        model: fitted. schema: that its tables are read by. named: keywords for reading, see `Run.read`.
        tables: by number. device: where networks run; "auto" for where they are.
    """

    model: Any
    schema: Schema
    named: Mapping[str, Any]
    tables: Sequence[Any]
    device: str = "auto"
    _last: tuple[int, Views] | None = field(default=None, repr=False)

    def __call__(self, block: Block) -> pa.Table:
        """The rows of a block that have a cell: `row`, `table` of several, `key`, and a vector a view, null where its
        cell is missing; what could not be read stands in the metadata."""
        with running_on(self.device):
            return self._embedded(block)

    def move(self, device: str) -> None:
        """Have networks run there from now on."""
        self.device = device
        if hasattr(self.model, "module_"):
            self.model.module_.to(device_named(device))

    def _embedded(self, block: Block) -> pa.Table:
        views = self._views(block.table)
        numbers = np.arange(len(views)) if isinstance(self.tables[block.table], Views) else views.rows
        part = views[(numbers >= block.start) & (numbers < block.stop)]
        vectors = _vectors(self.model, part) if len(part) else {}
        columns = self._about(part, block, set(vectors)) | vectors
        within = part.rows if isinstance(self.tables[block.table], Views) else range(block.start, block.stop)
        bad = [entry | self._of_table(block.table) for entry in part.bad_rows if entry["row"] in within]
        return pa.table(columns).replace_schema_metadata({BAD_ROWS: json.dumps(bad, ensure_ascii=False, default=str)})

    def _views(self, number: int) -> Views:
        """A table, read; the last one is kept, because most blocks follow one another."""
        if self._last is None or self._last[0] != number:
            self._last = None
            try:
                views = read_table_like(self.tables[number], self.schema, self.named)
            except (DataError, ModalityError) as error:
                if len(self.tables) == 1:
                    raise
                raise type(error)(f"{self.tables[number]}: {error}") from error
            names = [name for name in views.columns if name in self.model.searchable]
            self._last = number, views.select(*names)
        return self._last[1]

    def _about(self, part: Views, block: Block, taken: set[str]) -> dict[str, pa.Array]:
        """What tells a row from others: columns by names that no view has."""
        about: dict[str, pa.Array] = {"row": pa.array(part.rows, pa.int64())}
        for name, value in self._of_table(block.table).items():
            about[name] = pa.array([value] * len(part), pa.string())
        if part.key is not None:
            about["key"] = pa.array([None if is_missing(key) else str(key) for key in part.key], pa.string())
        return {f"_{name}" if name in taken else name: values for name, values in about.items()}

    def _of_table(self, number: int) -> dict[str, str]:
        """Which of several tables it was."""
        return {"table": os.fspath(self.tables[number])} if len(self.tables) > 1 else {}


def _vectors(model: Any, part: Views) -> dict[str, pa.Array]:
    """view -> (n,) lists of float32, null where a cell is missing; FUSED, of all views of a row, where the model fuses
    them. Where its views share no space, the fused vector is all there is to compare."""
    z = {} if found_as_rows(model) else dict(model.embed(part))
    if model.fuses:
        z[FUSED] = model.fuse(part)
    present = dict(part.present)  # now that cells have been decoded
    present[FUSED] = np.any(list(present.values()), axis=0)
    return {name: _lists(values, present[name]) for name, values in z.items()}


def _lists(values: np.ndarray, present: np.ndarray) -> pa.Array:
    """Rows (n, d) as lists of d numbers, null where absent."""
    flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(~present))
