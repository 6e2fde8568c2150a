"""Changes to an index that exists: rows added or replaced, small files merged, an approximate index built."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bouba.errors import UsageError, nearest, require
from bouba.search import store
from bouba.search.cells import ROW, VECTOR, IndexRows
from bouba.search.query import METRIC
from bouba.search.store import State

TRAIN = 256  # vectors that a product quantiser learns its 8-bit codes from, at the least
_DELETE_AT_ONCE = 10_000  # row numbers in one SQL condition
_FRAGMENTS = 64  # small files, one an addition, before they are merged


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
    cells = rows.cells(state.columns, unit=state.similarity == "cosine", offsets=state.offsets)
    replaced = rows.rows[rows.rows < state.next_row]
    views = tuple(dict.fromkeys([*state.views, *rows.embeddings]))

    def write() -> State:
        for start in range(0, len(replaced), _DELETE_AT_ONCE):
            numbers = ", ".join(map(str, replaced[start : start + _DELETE_AT_ONCE].tolist()))
            table.delete(f"{ROW} IN ({numbers})")
        if len(cells):
            table.add(cells)
        return replace(state, views=views, next_row=rows.after(state.next_row))

    return _change(path, table, state, write)


def merge_files(path: Path, table: Any, state: State) -> State:
    """Merge the small files that many additions leave; an approximate index takes in their cells."""
    if table.stats()["fragment_stats"]["num_small_fragments"] < _FRAGMENTS:
        return state

    def write() -> State:
        table.optimize()
        return state

    return _change(path, table, state, write)


def add_ann(path: Path, table: Any, state: State, *, partitions: int, probes: int) -> State:
    """Build the IVF-PQ index, replacing an earlier one."""
    if state.cells < TRAIN:
        raise UsageError(f"build_ann needs {TRAIN} cells or more, got {state.cells}; search exactly instead")
    if not 1 <= probes <= partitions <= state.cells:
        raise UsageError(
            f"build_ann needs 1 <= probes <= partitions <= {state.cells} cells, "
            f"got probes={probes}, partitions={partitions}"
        )

    codes = require("lancedb.index", "search").IvfPq(
        distance_type=METRIC[state.similarity],
        num_partitions=partitions,
        num_sub_vectors=_codes(state.dim + state.offsets),
    )

    def write() -> State:
        table.create_index(VECTOR, config=codes)
        return replace(state, probes=probes)

    return _change(path, table, state, write)


def _codes(dim: int) -> int:
    """Bytes a vector is coded in: the smallest divisor of its width that is a quarter of it or more."""
    return next(m for m in range(max(1, dim // 4), dim + 1) if dim % m == 0)


def _change(path: Path, table: Any, state: State, write: Callable[[], State]) -> State:
    """Let `write` change the table, then commit; if anything fails, all is as it was."""
    try:
        store.rewind(table, state)
        changed = replace(write(), version=table.version, cells=table.count_rows())
        store.commit(path, changed)
    except BaseException:
        table.checkout(state.version)
        raise
    return changed
