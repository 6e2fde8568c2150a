"""The matrices of an index: a folder beside its table, a Matrix a view, each record for one version of the table.

What belongs to a version is named by the file VERSION.json and counts only then. Where there is none, or its files are
not whole, as in an index of before, the matrices are made again from the table.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bouba import durable
from bouba.search.cells import PATH, ROW, VECTOR, VIEW
from bouba.search.columns import quoted
from bouba.search.matrix import AT_ONCE, Extent, Layout, Matrix, MatrixWriter
from bouba.search.store import State, load, matrix_folder, writing

Matrices = Mapping[str, Matrix]
FORMAT = 1
REMOVED = 0.25  # share of cells that left the index from which the matrices are made again


class Writer:
    """Writes the matrices of one version: of a new table, or of one that grew.

    Args:
        folder: of the table's matrices. state: before the change. matrices: of that state; empty for a new table.
    """

    def __init__(self, folder: Path, state: State, matrices: Matrices):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._layout = folder, Layout.of(state)
        self._before = matrices
        self._writers = {view: MatrixWriter(folder, old.extent, self._layout) for view, old in matrices.items()}
        self._key = uuid.uuid4().hex[:8]

    def add_view(self, view: str) -> MatrixWriter:
        """The files of a view, begun where it is new."""
        if view not in self._writers:
            extent = Extent(f"{self._key}-{len(self._writers)}")
            self._writers[view] = MatrixWriter(self._folder, extent, self._layout)
        return self._writers[view]

    def append(self, view: str, cells: Any) -> None:
        """Arrow cells of one view, as the table has them."""
        vectors = cells.column(VECTOR)
        wide = np.asarray(vectors.flatten()).reshape(len(vectors), -1)
        self.add_view(view).append(np.asarray(cells.column(ROW)), wide, cells.select([PATH, *self._layout.columns]))

    def write(self, table: Any, state: State) -> None:
        """All cells of a table."""
        for view in state.views:
            for batch in cells_of(table, state, f"{VIEW} = {quoted(view)}"):
                self.append(view, batch)

    def remove(self, rows: np.ndarray) -> None:
        """Take the cells of these rows out."""
        for number, (view, old) in enumerate(self._before.items()):
            gone = old.positions(rows)
            if len(gone):
                name = f"{self._key}-{number}.removed.npy"
                np.save(self._folder / name, np.union1d(old.removed, gone))
                durable.sync(self._folder / name)
                self._writers[view].extent = replace(self._writers[view].extent, removed=name)

    def fed(self, cells: Iterable[tuple[str, Any]]) -> Iterator[Any]:
        """Arrow cells of a view each, on their way into the table."""
        for view, batch in cells:
            self.append(view, batch)
            yield batch

    def finish(self, state: State) -> None:
        """Bring all to the disk and let it belong to a state."""
        for view in state.views:
            self.add_view(view)
        for writer in self._writers.values():
            for file in writer.files:
                durable.sync(file)
        record = {"format": FORMAT, "views": {view: asdict(writer.extent) for view, writer in self._writers.items()}}
        durable.write_text(self._folder / f"{state.version}.json", json.dumps(record, ensure_ascii=False))


def opened(folder: Path, state: State) -> Matrices | None:
    """The matrices of a state, mapped into memory; None where there are none that are whole."""
    try:
        record = json.loads((folder / f"{state.version}.json").read_text(encoding="utf-8"))
        if record["format"] != FORMAT or set(record["views"]) != set(state.views):
            return None
        layout = Layout.of(state)
        matrices = {view: Matrix(folder, Extent(**record["views"][view]), layout) for view in state.views}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    live = sum(len(matrix) - len(matrix.removed) for matrix in matrices.values())
    return matrices if live == state.cells else None


def of_table(path: Path, state: State, table: Any) -> Matrices:
    """The matrices of a state, made from its table where there are none; in a folder that cannot be written, for as
    long as they are used."""
    folder = matrix_folder(path, state.table)
    try:
        with writing(path):
            if matrices := opened(folder, state):
                return matrices
            matrices = _made(folder, state, table)
            committed = load(path)
            if (committed.table, committed.version) == (state.table, state.version):  # no reader's earlier one
                sweep(folder, state)
            return matrices
    except OSError:
        with tempfile.TemporaryDirectory(prefix="bouba-") as temporary:
            return _made(Path(temporary), state, table)


def _made(folder: Path, state: State, table: Any) -> Matrices:
    writer = Writer(folder, state, {})
    writer.write(table, state)
    writer.finish(state)
    matrices = opened(folder, state)
    if matrices is None:
        raise ValueError(f"table {state.table!r} has other cells than its record says")
    return matrices


def sweep(folder: Path, state: State) -> None:
    """Remove what other versions had; who reads it keeps it."""
    used = {matrix.extent.file for matrix in (opened(folder, state) or {}).values()}
    for file in folder.iterdir():
        if file.name != f"{state.version}.json" and file.name.partition(".")[0] not in used:
            with contextlib.suppress(OSError):
                file.unlink()


def cells_of(table: Any, state: State, condition: str) -> Iterator[Any]:
    """The cells of a table that fit a condition, as Arrow batches."""
    columns = [ROW, PATH, VECTOR, *(column.stored for column in state.columns)]
    builder = table.search().where(condition).select(columns).limit(state.cells)
    return (batch for batch in builder.to_batches(AT_ONCE) if len(batch))


def growing(folder: Path, state: State, removed: np.ndarray) -> Writer | None:
    """What goes on from the matrices of a state, less the cells of some rows; None where there are none, or so much is
    removed that they are better made again."""
    matrices = opened(folder, state)
    if matrices is None:
        return None
    gone = sum(len(matrix.positions(removed)) + len(matrix.removed) for matrix in matrices.values())
    if gone > max(AT_ONCE, REMOVED * sum(map(len, matrices.values()))):
        return None
    writer = Writer(folder, state, matrices)
    writer.remove(removed)
    return writer
