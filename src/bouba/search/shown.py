"""What hits show, by position: an Arrow stream on disk that grows, mapped into memory, so that no store is opened."""

from __future__ import annotations

import mmap
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np


class Shown:
    """Records of the cells of a view.

    Args:
        path: of a file that begins with the parts that `encoded` gave. size: bytes of it that count.

    Raises:
        ValueError: the file is shorter. OSError: there is none.
    """

    def __init__(self, path: Path, size: int):
        self._mapped: bytes | mmap.mmap = b""
        if size:
            with path.open("rb") as file:  # mapped at once: what an index that is replaced had goes
                self._mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)

    @staticmethod
    def encoded(cells: Any, *, first: bool) -> bytes:
        """An Arrow RecordBatch as the next part of the file; the first one begins with the schema."""
        batch = cells.serialize().to_pybytes()
        return cells.schema.serialize().to_pybytes() + batch if first else batch

    @cached_property
    def _batches(self) -> list[Any]:
        import pyarrow as pa

        with pa.ipc.open_stream(pa.py_buffer(self._mapped)) as stream:
            return list(stream)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.array(list(accumulate(len(batch) for batch in self._batches)), int)

    def records(self, positions: np.ndarray) -> list[dict[str, Any]]:
        """Name -> value of each cell."""
        if not len(positions):
            return []
        batch_of = np.searchsorted(self._ends, positions, side="right")
        # cell by cell, as Arrow's own take imports pandas
        return [
            {name: values[place].as_py() for name, values in self._columns[batch].items()}
            for batch, place in zip(batch_of.tolist(), (positions - self._starts[batch_of]).tolist(), strict=True)
        ]

    def column(self, name: str) -> list[Any]:
        """The Arrow arrays of one column, of all cells in order."""
        return [batch[name] for batch in self._columns]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([[0], self._ends[:-1]])

    @cached_property
    def _columns(self) -> list[dict[str, Any]]:
        return [dict(zip(batch.schema.names, batch.columns, strict=True)) for batch in self._batches]
