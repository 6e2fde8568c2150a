"""Numbers of many rows on the disk, that come and go some rows at a time, so that they never all stand in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bouba.search.cells import Numbers

AT_ONCE = 4096
"""Rows: a multiple of what a model embeds at a time, so that the numbers are the same to the bit."""


class Spooled:
    """(n, d) numbers in a file without a name, which goes when nobody holds it; rows are cut out with [].

    Attributes:
        shape, dtype, ndim: as of an array.

    Args:
        folder: on the disk to write to.
    """

    ndim: int = 2

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as this is
        self.shape: tuple[int, ...] = (0, 0)
        self.dtype: np.dtype = np.dtype(float)

    def append(self, rows: np.ndarray) -> None:
        """More rows (m, d), of the same width and type as before."""
        self.dtype = rows.dtype
        self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(rows).data)
        self.shape = (self.shape[0] + len(rows), rows.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        """Rows by a slice or by their places."""
        n, width = self.shape
        if not isinstance(part, slice):
            self._file.flush()
            return np.memmap(self._file, self.dtype, mode="r", shape=self.shape)[part] if len(part) else self[:0]
        start, stop, step = part.indices(n)
        self._file.seek(start * width * self.dtype.itemsize)
        data = self._file.read(max(0, stop - start) * width * self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).reshape(-1, width)[::step]


class Chosen:
    """Some rows (n,) of numbers (N, d), cut out when they are asked for."""

    ndim: int = 2

    def __init__(self, numbers: Numbers, rows: np.ndarray):
        self._numbers, self._rows = numbers, rows
        self.shape: tuple[int, ...] = (len(rows), numbers.shape[1])
        self.dtype: np.dtype = numbers.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return self._numbers[self._rows[part]]


def spooled(parts: Iterable[Mapping[str, np.ndarray]], folder: Path) -> dict[str, Spooled]:
    """Name -> all rows, from some at a time."""
    whole: dict[str, Spooled] = {}
    for part in parts:
        for name, rows in part.items():
            whole.setdefault(name, Spooled(folder)).append(rows)
    return whole


def in_parts(n: int) -> Iterator[slice]:
    """All of n rows, AT_ONCE at a time."""
    return (slice(start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE))
