"""The vectors of one view as files that are mapped into memory: what an exact search multiplies with.

A view has one file a kind of number: float32 vectors, offsets, row numbers, 8-bit codes with their scales, and what a
hit shows. Files only grow; how much of them counts is what Extent says, so that an interrupted writer leaves nothing
that a reader sees.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.search.shown import Shown

if TYPE_CHECKING:
    from bouba.search.store import State

AT_ONCE = 65_536  # cells that are written, or scored in float64, at a time
LARGEST_CODE = 127


@dataclass(frozen=True)
class Extent:
    """How much of the files of a view counts, and what is known of the numbers in them.

    Args:
        file: the beginning of their names. cells: that they hold, removed ones included.
        length: of the longest vector. offset: length of the largest offsets of a cell.
        rounding: largest distance between a vector and what its codes stand for.
        shown_bytes: of the file of what hits show.
        removed: name of the file with the positions of cells that left the index; None where none did.
    """

    file: str
    cells: int = 0
    length: float = 0.0
    offset: float = 0.0
    rounding: float = 0.0
    shown_bytes: int = 0
    removed: str | None = None


@dataclass(frozen=True)
class Layout:
    """What the files of every view of an index hold a cell."""

    dim: int
    offsets: int
    columns: tuple[str, ...]
    """Names in the table, of what hits show."""

    @classmethod
    def of(cls, state: State) -> Layout:
        """Minus the squared distance is twice the product less a square, which is kept as an offset."""
        offsets = 1 if state.similarity == "euclidean" else state.offsets
        return cls(state.dim, offsets, tuple(column.stored for column in state.columns))

    @property
    def numbers(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Ending of a file -> type, and shape of what it holds a cell."""
        files: dict[str, tuple[str, tuple[int, ...]]] = {
            "vectors": ("<f4", (self.dim,)),
            "rows": ("<i8", ()),
            "codes": ("i1", (self.dim,)),
            "scales": ("<f4", ()),
        }
        return files | ({"offsets": ("<f4", (self.offsets,))} if self.offsets else {})


def _cell_bytes(kind: str, shape: Sequence[int]) -> int:
    return np.dtype(kind).itemsize * math.prod(shape)


class Matrix:
    """One view, mapped into memory.

    Attributes:
        vectors: (n, d) float32. rows: (n,) the caller's row numbers. offsets: (n, m) float32; m may be 0.
        codes: (n, d) int8. scales: (n,) float32; codes times scales are near the vectors.
        extent: see Extent. removed: (r,) positions of cells that left the index, in order.
    """

    def __init__(self, folder: Path, extent: Extent, layout: Layout):
        """
        Raises:
            OSError, ValueError: a file is missing, or shorter than `extent` says.
        """
        self.extent, self._layout, self._folder = extent, layout, folder
        arrays = {ending: self._mapped(ending, *of) for ending, of in layout.numbers.items()}
        self.vectors, self.rows = arrays["vectors"], arrays["rows"]
        self.codes, self.scales = arrays["codes"], arrays["scales"]
        self.offsets = arrays.get("offsets", np.zeros((extent.cells, 0), np.float32))
        self.removed = np.zeros(0, np.int64) if extent.removed is None else np.load(folder / extent.removed)
        self.shown = Shown(folder / f"{extent.file}.shown", extent.shown_bytes)

    def _mapped(self, ending: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        whole = (self.extent.cells, *shape)
        if not self.extent.cells:
            return np.zeros(whole, kind)
        return np.asarray(np.memmap(self._folder / f"{self.extent.file}.{ending}", kind, mode="c", shape=whole))

    def __len__(self) -> int:
        return self.extent.cells

    @cached_property
    def live(self) -> np.ndarray | None:
        """(n,) which cells are in the index; None where all are."""
        return None if not len(self.removed) else self._without_removed(np.ones(len(self), bool))

    def _without_removed(self, mask: np.ndarray) -> np.ndarray:
        mask[self.removed] = False
        return mask

    @cached_property
    def _order(self) -> np.ndarray | None:
        """Positions by row number, None where that is how they stand."""
        rises = bool((self.rows[1:] > self.rows[:-1]).all())
        return None if rises else np.argsort(self.rows, kind="stable")

    @cached_property
    def _in_order(self) -> np.ndarray:
        return self.rows if self._order is None else self.rows[self._order]

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Where the cells of these rows stand, in order; rows without one are left out."""
        if not len(self) or not len(rows):
            return np.zeros(0, np.int64)
        first, last = int(self._in_order[0]), int(self._in_order[-1])
        if last - first + 1 == len(self):  # no gaps: a row is its position
            places = rows[(rows >= first) & (rows <= last)] - first
        else:
            places = np.searchsorted(self._in_order, rows, side="right") - 1  # of a replaced row, the later cell
            places = places[(places >= 0) & (self._in_order[places] == rows)]
        found = places if self._order is None else self._order[places]
        if self.live is not None:
            found = found[self.live[found]]
        return found if (found[1:] > found[:-1]).all() else np.unique(found)


class MatrixWriter:
    """Appends cells to the files of a view; see `Matrix`."""

    def __init__(self, folder: Path, extent: Extent, layout: Layout):
        self.folder, self.extent, self.layout = folder, extent, layout

    def append(self, rows: np.ndarray, wide: np.ndarray, shown: Any) -> None:
        """Cells (n) by their row numbers, vectors with offsets behind them (n, d + m), and what hits show: Arrow data
        with the columns of `layout`."""
        vectors, offsets = wide[:, : self.layout.dim], wide[:, self.layout.dim :]
        if self.layout.offsets and not offsets.shape[1]:
            offsets = 0.5 * np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)[:, None]
        codes, scales = coded(vectors)
        parts = {"vectors": vectors, "rows": rows, "codes": codes, "scales": scales, "offsets": offsets}
        for ending, (kind, shape) in self.layout.numbers.items():
            path, start = self._path(ending), self.extent.cells * _cell_bytes(kind, shape)
            _write_at(path, start, np.ascontiguousarray(parts[ending], kind).data)
        before = self.extent
        data = Shown.encoded(shown, first=before.shown_bytes == 0)
        _write_at(self._path("shown"), before.shown_bytes, data)
        self.extent = Extent(
            before.file,
            before.cells + len(rows),
            max(before.length, largest_length(vectors)),
            max(before.offset, largest_length(offsets)),
            max(before.rounding, largest_length(vectors - scales[:, None] * codes)),
            before.shown_bytes + len(data),
            before.removed,
        )

    def _path(self, ending: str) -> Path:
        return self.folder / f"{self.extent.file}.{ending}"

    @property
    def files(self) -> list[Path]:
        """All that were written."""
        return [self._path(ending) for ending in (*self.layout.numbers, "shown") if self._path(ending).exists()]


def coded(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, d) as int8 (n, d) and float32 scales (n,), with scales * codes near them; zeros stay zeros."""
    with np.errstate(over="ignore"):
        scales = (np.abs(vectors).max(axis=1).astype(np.float64) / LARGEST_CODE).astype(np.float32)
    steps = np.where(scales > 0, scales, 1).astype(np.float64)[:, None]
    codes = np.clip(np.rint(vectors / steps), -LARGEST_CODE, LARGEST_CODE).astype(np.int8)
    return codes, scales


def largest_length(vectors: np.ndarray) -> float:
    """Of vectors (n, d), a trifle too much rather than too little."""
    wide = vectors.astype(np.float64)
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.einsum("nd,nd->n", wide, wide).max(initial=0.0))) * (1 + 1e-9)


def _write_at(path: Path, start: int, data: Any) -> None:
    """Write from a byte on; what an interrupted writer left there goes."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(start)
        file.seek(0, os.SEEK_END)
        file.write(data)


def extents(record: Mapping[str, Mapping[str, Any]]) -> dict[str, Extent]:
    """View -> Extent, from JSON."""
    return {view: Extent(**facts) for view, facts in record.items()}
