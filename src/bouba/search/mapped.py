"""An index whose vectors are moved into another space, cell by cell, with all else as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bouba.search import store
from bouba.search.cells import ROW, VECTOR, VIEW, as_stored
from bouba.search.index import Index

Map = Callable[[np.ndarray], np.ndarray]
"""Vectors (n, d) -> (n, d')."""


def vectors_of(index: Index, view: str, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of a view's cells as they are stored, (m, d), and their row numbers (m,), of those rows that have one."""
    cells = index._table.to_arrow().select([ROW, VIEW, VECTOR])
    cells = cells.filter(pc.and_(pc.equal(cells[VIEW], view), pc.is_in(cells[ROW], pa.array(rows, pa.int64()))))
    return _matrix(cells, index.dim), cells[ROW].to_numpy()


def mapped(index: Index, path: str | os.PathLike[str], maps: Mapping[str, Map]) -> Index:
    """Write another index of the same cells: rows, columns and paths stay, vectors pass the map of their view.

    Args:
        index: the one to read. path: a new folder. maps: view -> what moves its vectors; all give one width. Views
            without one are left out.

    Returns:
        The new index, compared by cosine, without an approximate index.
    """
    folder = Path(path)
    store.refuse_other_files(folder)
    parts = []
    table = index._table.to_arrow()
    for view, moved in maps.items():
        cells = table.filter(pc.equal(table[VIEW], view))
        vectors = as_stored(moved(_matrix(cells, index.dim)), unit=True)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        parts.append(cells.set_column(cells.schema.get_field_index(VECTOR), VECTOR, column))
    data = pa.concat_tables(parts)
    with store.writing(folder):
        written = store.write_table(folder, data)
        state = replace(
            index._state,
            table=written.name,
            version=written.version,
            similarity="cosine",
            dim=vectors.shape[1],
            views=tuple(maps),
            cells=len(data),
            probes=None,
            offsets=0,
        )
        store.commit(folder, state)
    return Index.open(folder)


def _matrix(cells: pa.Table, dim: int) -> np.ndarray:
    """The vectors of cells without their offsets, float32 (n, dim)."""
    column = cells[VECTOR].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(cells), -1)[:, :dim]
