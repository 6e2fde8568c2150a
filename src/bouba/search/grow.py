"""Changes of an index: a first table, rows added or replaced, small files merged."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bouba.errors import UsageError, nearest
from bouba.search import matrices, store
from bouba.search.cells import AT_ONCE, ROW, IndexRows
from bouba.search.store import State

_DELETE_AT_ONCE = 10_000  # row numbers in one SQL condition
NEVER = timedelta(days=36_500)  # LanceDB would drop versions of a week ago by itself
_FRAGMENTS = 64  # small files, one an addition, before they are merged


def write(path: Path, state: State, rows: IndexRows) -> tuple[State, Any]:
    """A new table with its matrices, committed; the state that names them, and the table."""
    writer = matrices.Writer(store.matrix_folder(path, state.table), state, {})
    table = _fed(lambda cells: store.write_table(path, state.table, cells), rows, state, writer)
    state = replace(state, version=table.version, rows=_rows_of(table, state.cells), written=_now(), change="made")
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


def add_rows(path: Path, table: Any, state: State, rows: IndexRows | None, removed: np.ndarray) -> State:
    """Append the rows; stored ones of the same number leave first, and so do `removed` ones, in the same step."""
    if rows is not None:
        _refuse_misfit(state, rows)
    given = np.zeros(0, np.int64) if rows is None else rows.rows
    leaving = np.union1d(given[given < state.next_row], removed)
    writer = matrices.growing(store.matrix_folder(path, state.table), state, leaving)
    views = state.views if rows is None else tuple(dict.fromkeys([*state.views, *rows.embeddings]))

    def write() -> State:
        for start in range(0, len(leaving), _DELETE_AT_ONCE):
            numbers = ", ".join(map(str, leaving[start : start + _DELETE_AT_ONCE].tolist()))
            table.delete(f"{ROW} IN ({numbers})")
        if rows is not None and rows.cells:
            _fed(table.add, rows, state, writer)
        if not table.count_rows():
            raise UsageError("nothing would be left in the index; leave a row in it, or fit another table")
        return replace(state, views=views, next_row=state.next_row if rows is None else rows.after(state.next_row))

    change_words = _words(len(given), len(np.intersect1d(given, leaving)), len(np.setdiff1d(removed, given)))
    return change(path, table, state, write, writer, words=change_words)


def _words(given: int, replaced: int, removed: int) -> str:
    """What an addition does."""
    counts = {"added": given - replaced, "replaced": replaced, "removed": removed}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing"


def _refuse_misfit(state: State, rows: IndexRows) -> None:
    """UsageError where rows do not go into the table."""
    names = [column.name for column in state.columns]
    for name in rows.columns:
        if name not in names:
            raise UsageError(f"the index has no column {name!r}{nearest(name, names)}")
    if rows.width != state.dim:
        raise UsageError(f"the index is {state.dim} wide, got embeddings {rows.width} wide")
    if rows.offsets and rows.offset_width != state.offsets:
        raise UsageError(f"the index keeps {state.offsets} offsets a cell, got {rows.offset_width}")


def merge_files(path: Path, table: Any, state: State) -> State:
    """Merge the small files that many additions leave; an approximate index takes in their cells."""
    if table.stats()["fragment_stats"]["num_small_fragments"] < _FRAGMENTS:
        return state

    def write() -> State:
        table.optimize(cleanup_older_than=NEVER)
        return state

    return change(path, table, state, write, same_cells(path, state))


def same_cells(path: Path, state: State) -> matrices.Writer | None:
    """The matrices of a state, for one of the same cells."""
    return matrices.growing(store.matrix_folder(path, state.table), state, np.zeros(0, np.int64))


def change(
    path: Path,
    table: Any,
    state: State,
    write: Callable[[], State],
    writer: matrices.Writer | None,
    *,
    words: str | None = None,
) -> State:
    """Let `write` change the table, then commit with the matrices that `writer` wrote; if anything fails, all is as it
    was.

    Args:
        words: what is done, where that makes another version of what the index holds.
    """
    try:
        store.rewind(table, state)
        changed = replace(write(), version=table.version, cells=table.count_rows())
        if words is not None:
            changed = replace(
                changed,
                number=state.number + 1,
                rows=_rows_of(table, changed.cells),
                written=_now(),
                change=words,
                earlier=(*state.earlier, state.as_version),
            )
        if writer is not None:
            writer.finish(changed)
        store.commit(path, changed)
    except BaseException:
        table.checkout(state.version)
        raise
    return changed


def _rows_of(table: Any, cells: int) -> int:
    """How many rows have a cell."""
    batches = table.search().select([ROW]).limit(cells).to_batches(AT_ONCE)
    return len(np.unique(np.concatenate([np.zeros(0, np.int64), *(np.asarray(batch.column(0)) for batch in batches)])))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
