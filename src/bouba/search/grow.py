"""Changes of an index: a first table, rows added or replaced, small files merged."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bouba.errors import UsageError, nearest
from bouba.search import matrices, store
from bouba.search.cells import ROW, IndexRows
from bouba.search.store import State

_DELETE_AT_ONCE = 10_000  # row numbers in one SQL condition
_FRAGMENTS = 64  # small files, one an addition, before they are merged


def write(path: Path, state: State, rows: IndexRows) -> tuple[State, Any]:
    """A new table with its matrices, committed; the state that names them, and the table."""
    writer = matrices.Writer(store.matrix_folder(path, state.table), state, {})
    table = _fed(lambda cells: store.write_table(path, state.table, cells), rows, state, writer)
    state = replace(state, version=table.version)
    writer.finish(state)
    store.commit(path, state)
    return state, table


def _fed(
    write: Callable[[pa.RecordBatchReader], Any], rows: IndexRows, state: State, writer: matrices.Writer | None
) -> Any:
    """What `write` makes of the cells of rows, which on their way go to the matrices."""
    raised: list[Exception] = []

    def batches() -> Iterator[pa.RecordBatch]:
        unit = state.similarity == "cosine"
        cells = rows.batches(state.columns, unit=unit, offsets=state.offsets, extra=state.extra)
        try:
            yield from (batch for _, batch in cells) if writer is None else writer.fed(cells)
        except Exception as error:
            raised.append(error)  # LanceDB makes another one of it
            raise

    try:
        return write(
            pa.RecordBatchReader.from_batches(rows.schema(state.columns, state.offsets, state.extra), batches())
        )
    except Exception as error:
        raise (raised or [error])[0] from None


def add_rows(path: Path, table: Any, state: State, rows: IndexRows) -> State:
    """Append the rows; stored ones of the same number leave first, in the same step."""
    names = [column.name for column in state.columns]
    for name in rows.columns:
        if name not in names:
            raise UsageError(f"the index has no column {name!r}{nearest(name, names)}")
    if rows.width != state.dim:
        raise UsageError(f"the index is {state.dim} wide, got embeddings {rows.width} wide")
    if rows.offsets and rows.offset_width != state.offsets:
        raise UsageError(f"the index keeps {state.offsets} offsets a cell, got {rows.offset_width}")
    replaced = rows.rows[rows.rows < state.next_row]
    writer = matrices.growing(store.matrix_folder(path, state.table), state, replaced)
    views = tuple(dict.fromkeys([*state.views, *rows.embeddings]))

    def write() -> State:
        for start in range(0, len(replaced), _DELETE_AT_ONCE):
            numbers = ", ".join(map(str, replaced[start : start + _DELETE_AT_ONCE].tolist()))
            table.delete(f"{ROW} IN ({numbers})")
        if rows.cells:
            _fed(table.add, rows, state, writer)
        return replace(state, views=views, next_row=rows.after(state.next_row))

    return change(path, table, state, write, writer)


def merge_files(path: Path, table: Any, state: State) -> State:
    """Merge the small files that many additions leave; an approximate index takes in their cells."""
    if table.stats()["fragment_stats"]["num_small_fragments"] < _FRAGMENTS:
        return state

    def write() -> State:
        table.optimize()
        return state

    return change(path, table, state, write, same_cells(path, state))


def same_cells(path: Path, state: State) -> matrices.Writer | None:
    """The matrices of a state, for one of the same cells."""
    return matrices.growing(store.matrix_folder(path, state.table), state, np.zeros(0, np.int64))


def change(path: Path, table: Any, state: State, write: Callable[[], State], writer: matrices.Writer | None) -> State:
    """Let `write` change the table, then commit with the matrices that `writer` wrote; if anything fails, all is as it
    was."""
    try:
        store.rewind(table, state)
        changed = replace(write(), version=table.version, cells=table.count_rows())
        if writer is not None:
            writer.finish(changed)
        store.commit(path, changed)
    except BaseException:
        table.checkout(state.version)
        raise
    return changed
