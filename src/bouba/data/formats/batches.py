"""Tables of Arrow, whichever format they lie in, as columns: small ones in memory, large ones mapped.

Parquet cannot be read cell by cell: a cell costs its whole page, and mostly its row group. So a column whose cells may
be large, or that is LARGE as a whole, is copied once, uncompressed: vectors as one array, all else as an Arrow file. It
is found again by the files that it came from, their sizes and times; see `bouba.data.disk`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import scratch
from bouba.data.arrays import ROUNDED, unique_names
from bouba.data.disk import kept, key_of
from bouba.data.mapped import ArrowCells, ArrowFile, OnDisk, VectorCells, mapped_array
from bouba.data.table import Table
from bouba.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # of what copies hold
NUMBERS, PRESENT, CELLS = "numbers.npy", "present.npy", "cells.arrow"


@dataclass(frozen=True)
class Piece:
    """One file of a table that is read from its start, one column at a time.

    Args:
        name: for messages. facts: what tells it from what it was before: path, size, time of change.
        schema: of its columns. rows: how many. sizes: column -> its bytes in memory, as far as they are known.
        cells: (column, bytes of a row) -> arrays of its cells, in their order, some MB each.
        mapped: column -> its cells where they lie; None where they are compressed or far away.
    """

    name: str
    facts: Any
    schema: pa.Schema
    rows: int
    sizes: Mapping[str, int]
    cells: Callable[[str, int], Iterator[pa.Array]]
    mapped: Callable[[str], pa.ChunkedArray] | None = None


def joined(pieces: Sequence[Piece]) -> Batches:
    """Files with the same columns as one table.

    Raises:
        DataError: columns of one name twice, or others than those of the first file; the message names the file.
    """
    import pyarrow as pa

    first = pieces[0]
    unique_names(first.name, first.schema.names)
    for piece in pieces[1:]:
        if set(piece.schema.names) != set(first.schema.names) or len(piece.schema) != len(first.schema):
            theirs, ours = ", ".join(piece.schema.names), ", ".join(first.schema.names)
            raise DataError(
                f"{piece.name} has the columns {theirs}, and {first.name} has {ours}; parts of a table share them"
            )
    try:
        unified = pa.unify_schemas([piece.schema.remove_metadata() for piece in pieces], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the parts of {first.name} ... hold columns of different types: {error}") from error
    return Batches(first.name, pa.schema([unified.field(name) for name in first.schema.names]), tuple(pieces))


@dataclass(frozen=True)
class Batches:
    """A table of one file of Arrow or several.

    Args:
        name: of the first file. schema: of all. pieces: the files, in their order.
    """

    name: str
    schema: pa.Schema
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def is_one_view(self) -> bool:
        """Whether it is columns of single numbers, or one of vectors, and nothing else."""
        import pyarrow.types as of

        types = self.schema.types
        return all(of.is_floating(t) or of.is_integer(t) for t in types) or (len(types) == 1 and _is_vector(types[0]))

    def size(self, name: str) -> int:
        """Bytes of a column in memory, about: what files say of it, or what its first cells take, whichever is more."""
        known = sum(piece.sizes.get(name, 0) for piece in self.pieces)
        first = next(iter(self._cells(name, 1 << 16)), None)
        return known if first is None or not len(first) else max(known, first.nbytes * self.rows // len(first))

    def read(self, name: str) -> Iterator[pa.Array]:
        """The cells of a column in their order, in arrays of some MB."""
        yield from self._cells(name, self.size(name) // max(self.rows, 1))

    def _cells(self, name: str, row_bytes: int) -> Iterator[pa.Array]:
        cell_type = self.schema.field(name).type
        for piece in self.pieces:
            for cells in piece.cells(name, row_bytes):
                yield cells if cells.type == cell_type else cells.cast(cell_type)

    def column(self, name: str) -> Any:
        """One column: numbers as arrays, all else cell by cell; so are whole numbers with gaps, to keep their digits.
        Where it is not small it is mapped."""
        import pyarrow as pa

        cell_type, large = self.schema.field(name).type, self.size(name) >= scratch.LARGE
        if _is_vector(cell_type):
            vectors = self._vectors(name, large)
            if vectors is not None:
                return vectors
        if large and not _is_flat(cell_type):
            return _Unread(self.rows, partial(self._copied, name))
        values = pa.chunked_array(list(self.read(name)), cell_type)
        exact = pa.types.is_floating(cell_type) or (pa.types.is_integer(cell_type) and not values.null_count)
        return values.to_numpy() if exact else ArrowCells(values)

    def table(self, base: Path | None) -> Table:
        """All columns; relative paths in cells start at `base`."""
        return Table({name: self.column(name) for name in self.schema.names}, base)

    def _key(self, name: str) -> str:
        return key_of(VERSION, [piece.facts for piece in self.pieces], str(self.schema.field(name)), name)

    def _where_they_lie(self, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        parts = [piece.mapped(name) for piece in self.pieces if piece.mapped is not None]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], self.schema.field(name).type)

    def _copied(self, name: str) -> ArrowCells:
        """The cells of a column in a mapped file."""
        import pyarrow as pa

        of_type = self.schema.field(name).type
        if all(piece.mapped is not None and piece.schema.field(name).type == of_type for piece in self.pieces):
            reopen = partial(self._where_they_lie, name)
            return ArrowCells(reopen(), reopen)

        def write(folder: Path) -> None:
            schema = pa.schema([pa.field(name, of_type)])
            with pa.OSFile(str(folder / CELLS), "wb") as file, pa.ipc.new_file(file, schema) as out:
                for cells in self.read(name):
                    out.write_batch(pa.record_batch([cells], schema=schema))

        folder = kept(self._key(name), write, size=self.size(name), what=f"column {name!r} of {self.name}")
        opened = ArrowFile(folder / CELLS)
        return ArrowCells(opened(), opened)

    def _vectors(self, name: str, large: bool) -> Any:
        """Lists of numbers as one array (n, d), with which rows have one; None where they are of several lengths, or a
        number among them is missing."""
        shape = self._width_and_type(name)
        if shape is None:
            return None
        width, dtype = shape
        if not large:
            numbers: np.ndarray = np.zeros((self.rows, width), dtype)
            return _with_gaps(numbers, self._fill(name, numbers))

        def write(folder: Path) -> None:
            out = np.lib.format.open_memmap(folder / NUMBERS, "w+", dtype, (self.rows, width))
            np.save(folder / PRESENT, self._fill(name, out))
            out.flush()

        size = self.rows * width * np.dtype(dtype).itemsize
        folder = kept(self._key(name), write, size=size, what=f"column {name!r} of {self.name}")
        return _with_gaps(mapped_array(folder / NUMBERS), np.load(folder / PRESENT))

    def _width_and_type(self, name: str) -> tuple[int, type] | None:
        """How many numbers a cell has, and the float type that holds them all; None where no one width does."""
        width, largest = None, 0.0
        for cells in self.read(name):
            numbers = _numbers_of(cells)
            if numbers is None or (len(numbers) and width is not None and numbers.shape[1] != width):
                return None
            if len(numbers):
                width, largest = numbers.shape[1], max(largest, _largest(numbers))
        return None if not width else (width, np.float64 if largest > ROUNDED else np.float32)

    def _fill(self, name: str, out: np.ndarray) -> np.ndarray:
        """Write the vectors into `out` (n, d); bool (n,) which rows have one."""
        present, start = np.zeros(self.rows, bool), 0
        for cells in self.read(name):
            at = slice(start, start := start + len(cells))
            has = present[at] = np.asarray(cells.is_valid().to_numpy(zero_copy_only=False), bool)
            out[at][has] = _numbers_of(cells)
        return present


class _Unread(OnDisk):
    """A column that is copied and opened when the first of its cells is read."""

    def __init__(self, rows: int, open_cells: Callable[[], ArrowCells]):
        self.rows, self.open_cells = rows, open_cells
        self.cells: ArrowCells | None = None

    @property
    def opened(self) -> ArrowCells:
        self.cells = self.open_cells() if self.cells is None else self.cells
        return self.cells

    @property
    def is_nested(self) -> bool:
        return self.opened.is_nested

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Any:
        return self.opened[row]

    def identity(self) -> Any:
        return self.opened.identity()

    def has(self, kind: str) -> np.ndarray:
        return self.opened.has(kind)

    def __reduce__(self):
        return self.opened.__reduce__()


def _with_gaps(numbers: np.ndarray, present: np.ndarray) -> Any:
    return numbers if present.all() else VectorCells(numbers, present)


def _is_flat(cell_type: pa.DataType) -> bool:
    """Whether a cell is one number or time: such columns are small beside their rows' keys."""
    import pyarrow.types as of

    return (
        of.is_primitive(cell_type) or of.is_dictionary(cell_type) or of.is_decimal(cell_type) or of.is_null(cell_type)
    )


def _is_vector(cell_type: pa.DataType) -> bool:
    import pyarrow.types as of

    lists = of.is_fixed_size_list(cell_type) or of.is_list(cell_type) or of.is_large_list(cell_type)
    return lists and (of.is_floating(cell_type.value_type) or of.is_integer(cell_type.value_type))


def _numbers_of(cells: pa.Array) -> np.ndarray | None:
    """The cells that are there as numbers (m, d); None where they are of several lengths, or lack a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = cells.drop_null() if cells.null_count else cells
    flat = cells.flatten()
    if flat.null_count:
        return None
    if pa.types.is_fixed_size_list(cells.type):
        width = cells.type.list_size
    else:
        lengths = pc.list_value_length(cells)
        width = lengths[0].as_py() if len(cells) else 0
        if len(cells) and pc.count_distinct(lengths).as_py() > 1:
            return None
    if len(cells) and not width:
        return None
    return flat.to_numpy(zero_copy_only=False).reshape(len(cells), width) if len(cells) else np.zeros((0, 0))


def _largest(numbers: np.ndarray) -> float:
    """The largest absolute value; 0 where one is not finite, which is refused or listed later."""
    largest = max(abs(float(numbers.min())), abs(float(numbers.max())))
    return largest if np.isfinite(largest) else 0.0
