"""Columns that stay on disk: cells of memory-mapped Arrow files, vectors of memory-mapped arrays, parts of archives.

Each has `len` and integer indexing, as every column of a `Table`; a cell is made when it is asked for. Pickled, as for
a worker process, such a column is the name of its files, which are opened again there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.missing import is_blank, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

CELLS = 4096  # that are looked at together


class OnDisk(ABC):
    """A column whose cells are not in memory."""

    block: int | None = None
    """How many rows are fetched together, where they lie far away."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, row: int) -> Any: ...

    @property
    def is_nested(self) -> bool:
        """Whether a cell is more than one number, time or text."""
        return True

    def identity(self) -> Any:
        """What tells the cells from what they were before, without reading them; None where nothing does."""
        return None

    def has(self, kind: str) -> np.ndarray:
        """bool (n,), False where a cell of a kind is missing: as little is read for it as will do."""
        gone = is_blank if kind == "table" else is_missing
        return np.fromiter((not gone(self[row]) for row in range(len(self))), bool, len(self))


class ArrowCells(OnDisk):
    """A column of Arrow that gives Python values.

    Args:
        values: a ChunkedArray, in memory or mapped. reopen: gives it again in another process; None where it is to be
            pickled as it is.
    """

    def __init__(self, values: pa.ChunkedArray, reopen: Callable[[], pa.ChunkedArray] | None = None):
        self.values, self.reopen = values, reopen

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> Any:
        return self.values[row].as_py()

    def __reduce__(self):
        return (ArrowCells, (self.values,)) if self.reopen is None else (_reopened, (self.reopen,))

    @property
    def type(self) -> pa.DataType:
        """Of its cells."""
        return self.values.type

    @property
    def is_nested(self) -> bool:
        import pyarrow.types as of

        flat = of.is_primitive(self.type) or of.is_string(self.type) or of.is_large_string(self.type)
        return not (flat or of.is_string_view(self.type) or of.is_dictionary(self.type) or of.is_decimal(self.type))

    def identity(self) -> Any:
        import pyarrow.types as of

        own = of.is_binary(self.type) or of.is_large_binary(self.type)  # text and records may point to files
        return repr(self.reopen) if own and isinstance(self.reopen, ArrowFile) else None

    def has(self, kind: str) -> np.ndarray:
        present = np.concatenate([_valid(chunk) for chunk in self.values.chunks] or [np.zeros(0, bool)])
        if self.is_nested and kind != "table":
            return present
        gone, start = (is_blank if kind == "table" else is_missing), 0
        for cells in self.stretches():
            present[start : start + len(cells)] = [not gone(cell) for cell in cells]
            start += len(cells)
        return present

    def stretches(self) -> Iterator[list]:
        """The cells in their order, some at a time."""
        for chunk in self.values.chunks:
            for start in range(0, len(chunk), CELLS):
                yield chunk.slice(start, CELLS).to_pylist()


def _reopened(reopen: Callable[[], pa.ChunkedArray]) -> ArrowCells:
    return ArrowCells(reopen(), reopen)


def _valid(chunk: pa.Array) -> np.ndarray:
    return np.asarray(chunk.is_valid().to_numpy(zero_copy_only=False), bool)


@dataclass(frozen=True)
class ArrowFile:
    """The one column of an Arrow file, opened when it is called."""

    file: Path

    def __call__(self) -> pa.ChunkedArray:
        import pyarrow as pa

        with pa.memory_map(str(self.file)) as mapped:
            return pa.ipc.open_file(mapped).read_all().column(0)


class MappedArray(np.memmap):
    """A memory-mapped array that is pickled by the name of its file; a part of it by its numbers."""

    def __reduce__(self):
        mapped = getattr(self, "_mmap", None)
        whole = mapped is not None and self.filename is not None and self.offset + self.nbytes == len(mapped)
        return (mapped_array, (self.filename,)) if whole else np.asarray(self).__reduce__()


def mapped_array(file: str | Path) -> np.ndarray:
    """An array as numpy.save writes it, memory-mapped; small enough or not."""
    return np.load(file, mmap_mode="r", allow_pickle=False).view(MappedArray)


@dataclass(frozen=True)
class VectorCells(OnDisk):
    """Rows of numbers (n, d), of which some are missing.

    Args:
        numbers: (n, d) floats, mapped or not; zeros where missing. present: bool (n,).
    """

    numbers: np.ndarray
    present: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> np.ndarray | None:
        return self.numbers[row] if self.present[row] else None

    def has(self, kind: str) -> np.ndarray:
        return self.present.copy()


@dataclass(frozen=True)
class Resolved(OnDisk):
    """Cells that may point to files, relative paths starting at `base`."""

    cells: OnDisk
    base: Path | None

    @property
    def is_nested(self) -> bool:
        return self.cells.is_nested

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> Any:
        return decode.resolved(self.cells[row], self.base)

    def identity(self) -> Any:
        return self.cells.identity()

    def has(self, kind: str) -> np.ndarray:
        return self.cells.has(kind)


class Picked(Sequence):
    """Some of the cells of a column, read when they are asked for, in place of a list of them."""

    def __init__(self, cells: Any, rows: Any):
        self.cells, self.rows = cells, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        return Picked(self.cells, self.rows[place]) if isinstance(place, slice) else self.cells[int(self.rows[place])]
