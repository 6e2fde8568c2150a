"""Arrays that may be larger than memory: small ones in memory, large ones in files without a name that are mapped.

A file's pages are the system's to write out and read again, so a process that fills such an array takes no more memory
than it has at hand. The file is gone when the array is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from bouba.data.disk import make_room, scratch_file

LARGE = 64 << 20
"""Bytes from which an array is mapped."""
BLOCK = 8 << 20
"""Bytes that are worked on at once."""


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros, mapped where it is LARGE.

    Raises:
        StorageError: the disk cannot take it.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.zeros(shape, dtype)
    make_room(size, f"an array of {' x '.join(f'{n:,}' for n in shape)}")
    with scratch_file() as handle:
        os.truncate(handle, size)
        with os.fdopen(os.dup(handle), "r+b") as file:
            return np.memmap(file, dtype, "r+", shape=shape)


def blocks(n: int, row_bytes: int) -> Iterator[slice]:
    """The rows 0 ... n - 1, about BLOCK bytes of them at a time."""
    step = max(256, BLOCK // max(row_bytes, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def taken(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values[rows]` for integers `rows` (m,)."""
    out = zeros((len(rows), *values.shape[1:]), values.dtype)
    for at in blocks(len(rows), _row_bytes(values)):
        out[at] = values[rows[at]]
    return out


def placed(values: np.ndarray, rows: np.ndarray, n: int, of: np.ndarray | None = None) -> np.ndarray:
    """(n, ...) with `values`, or `values[of]`, at integers `rows` (m,), zeros elsewhere."""
    out = zeros((n, *values.shape[1:]), values.dtype)
    for at in blocks(len(rows), _row_bytes(values)):
        out[rows[at]] = values[at if of is None else of[at]]
    return out


def row_by_row(values: np.ndarray, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """bool (n,), what `test` gives for rows (m, ...), some of them at a time."""
    parts = [test(values[at]) for at in blocks(len(values), _row_bytes(values))]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


class Stored(Sequence[np.ndarray]):
    """A list of arrays of any shapes; those beyond LARGE bytes lie in a file without a name until they are read."""

    def __init__(self) -> None:
        self._places: list[np.ndarray | tuple[int, np.dtype, tuple[int, ...]]] = []
        self._taken = 0
        self._file: BinaryIO | None = None

    def append(self, array: np.ndarray) -> None:
        """One more. StorageError where the disk cannot take it."""
        self._taken += array.nbytes
        if self._taken < LARGE:
            self._places.append(array)
            return
        if self._file is None:
            with scratch_file() as handle:
                self._file = os.fdopen(os.dup(handle), "w+b", buffering=0)
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(array).tobytes())
        self._places.append((start, array.dtype, array.shape))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        where = self._places[place]
        if isinstance(where, np.ndarray):
            return where
        start, dtype, shape = where
        assert self._file is not None, "it was written to"
        self._file.seek(start)
        return np.frombuffer(self._file.read(dtype.itemsize * math.prod(shape)), dtype).reshape(shape)


def _row_bytes(values: np.ndarray) -> int:
    return int(values.itemsize * math.prod(values.shape[1:]))
