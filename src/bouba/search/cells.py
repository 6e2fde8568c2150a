"""Embeddings become cells: one table row for each (row, view) that is present."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from bouba.errors import DataError, UsageError, nearest
from bouba.search.columns import IndexColumn, as_plain

ROW, VIEW, PATH, VECTOR = "_row", "_view", "_path", "_vector"
CONTENT, SHOWN = "_content", "_shown"

EXTRA: dict[str, pa.DataType] = {CONTENT: pa.binary(), SHOWN: pa.binary()}
"""Columns that the table of an index of before may lack: a digest of the row, and what a page shows of the cell."""

SHOWN_AT_ONCE = 4096
"""Rows that become cells at a time, where cells carry what a page shows."""

AT_ONCE = 65_536
"""Rows that are looked at, or become cells, at a time."""


class Numbers(Protocol):
    """(n, d) of which some rows are cut out at a time: an array, or what lies on a disk."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, part: Any, /) -> np.ndarray: ...


@dataclass(frozen=True)
class IndexRows:
    """Rows to be stored, checked: arrays of one length, every mask and row number filled in."""

    embeddings: Mapping[str, Numbers]
    present: Mapping[str, np.ndarray]
    columns: Mapping[str, Sequence[object]]
    paths: Mapping[str, Sequence[str | None]]
    rows: np.ndarray
    offsets: Mapping[str, Numbers]
    shown: Mapping[str, Sequence[bytes | None]] = field(default_factory=dict)
    contents: Sequence[bytes] | None = None

    @property
    def width(self) -> int:
        return next(iter(self.embeddings.values())).shape[1]

    @property
    def offset_width(self) -> int:
        return next((array.shape[1] for array in self.offsets.values()), 0)

    def after(self, next_row: int) -> int:
        """The first row number above these and above `next_row - 1`."""
        return max(next_row, int(self.rows.max()) + 1) if len(self.rows) else next_row

    @property
    def cells(self) -> int:
        """Number of present cells."""
        return sum(int(np.count_nonzero(mask)) for mask in self.present.values())

    def schema(self, columns: Sequence[IndexColumn], offsets: int, extra: Sequence[str]) -> pa.Schema:
        """Of `batches`."""
        vector = pa.list_(pa.float32(), self.width + offsets)
        location = {ROW: pa.int64(), VIEW: pa.string(), PATH: pa.string(), VECTOR: vector}
        location |= {name: EXTRA[name] for name in extra}
        return pa.schema(location | {name: kind for column in columns for name, kind in column.stored_types.items()})

    def batches(
        self, columns: Sequence[IndexColumn], *, unit: bool, offsets: int, extra: Sequence[str]
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Views with one table row a present cell, some rows at a time; `unit` scales each vector to length one (zeros
        stay zeros). Behind it stand as many `offsets` as the table has, zeros in a view that has none."""
        step = SHOWN_AT_ONCE if self.shown else AT_ONCE
        schema = self.schema(columns, offsets, extra)
        for start in range(0, len(self.rows), step):
            part = slice(start, min(start + step, len(self.rows)))
            rows = self.rows[part]
            metadata: dict[str, pa.Array] = {}
            for column in columns:
                values = self.columns[column.name][part] if column.name in self.columns else [None] * len(rows)
                metadata |= column.stored_columns(values)
            for view, array in self.embeddings.items():
                keep = np.flatnonzero(self.present[view][part])
                if not len(keep):
                    continue
                own = self.offsets[view][part] if view in self.offsets else np.zeros((len(rows), offsets))
                vectors = np.hstack(
                    [as_stored(np.asarray(array[part])[keep], unit=unit), np.asarray(own)[keep].astype(np.float32)]
                )  # (cells, d + offsets)
                paths = self.paths[view][part] if view in self.paths else [None] * len(rows)
                location = {
                    ROW: pa.array(rows[keep]),
                    VIEW: pa.array([view] * len(keep), pa.string()),
                    PATH: pa.array([_text(paths[i]) for i in keep.tolist()], pa.string()),
                    VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
                }
                location |= {name: self._extra(name, view, part, keep) for name in extra}
                selected = {name: values.take(pa.array(keep)) for name, values in metadata.items()}
                yield view, pa.record_batch(location | selected, schema=schema)

    def _extra(self, name: str, view: str, part: slice, keep: np.ndarray) -> pa.Array:
        """One of EXTRA for some cells of a view."""
        values = self.contents if name == CONTENT else self.shown.get(view)
        if values is None:
            return pa.nulls(len(keep), EXTRA[name])
        chosen = values[part]
        return pa.array([chosen[place] for place in keep.tolist()], EXTRA[name])


def check(
    embeddings: Mapping[str, Numbers],
    present: Mapping[str, np.ndarray] | None,
    columns: Mapping[str, Sequence[object]],
    paths: Mapping[str, Sequence[str | None]],
    rows: np.ndarray | None,
    *,
    offsets: Mapping[str, Numbers] = {},
    shown: Mapping[str, Sequence[bytes | None]] = {},
    contents: Sequence[bytes] | None = None,
    next_row: int = 0,
) -> IndexRows:
    """Checked rows: refuses shapes that disagree, NaN in a present cell, doubled row numbers."""
    if not embeddings:
        raise UsageError("an index needs one view or more, got none; give {'image': embeddings}")
    arrays = {view: _sliced(values) for view, values in embeddings.items()}
    for view, array in arrays.items():
        if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
            raise UsageError(f"view {view!r} needs numbers of shape (rows, width), got {array.dtype} {array.shape}")
    first = next(iter(arrays))
    shape = arrays[first].shape
    for view, array in arrays.items():
        if array.shape != shape:
            raise UsageError(f"views must agree in rows and width: {first!r} is {shape}, {view!r} {array.shape}")
    n = shape[0]
    _check_lengths("columns", columns, n)
    _check_lengths("paths", paths, n, views=arrays)
    _check_lengths("shown", shown, n, views=arrays)
    if contents is not None and len(contents) != n:
        raise UsageError(f"contents has {len(contents)} digests for {n} rows; give one a row")
    masks = _masks(present or {}, arrays, n)
    for view, array in arrays.items():
        _check_finite(view, array, masks[view])
    listed = {name: _listed(values) for name, values in columns.items()}
    listed_paths = {view: _listed(values) for view, values in paths.items()}
    numbers = {view: _sliced(values) for view, values in offsets.items()}
    _check_offsets(numbers, arrays, n)
    numbered = _row_numbers(rows, n, next_row)
    return IndexRows(arrays, masks, listed, listed_paths, numbered, numbers, shown, contents)


def _check_offsets(offsets: Mapping[str, Numbers], arrays: Mapping[str, Numbers], n: int) -> None:
    _check_lengths("offsets", offsets, n, views=arrays)
    widths = {array.shape[1:] for array in offsets.values()}
    if len(widths) > 1 or any(len(width) != 1 for width in widths):
        raise UsageError(f"offsets need one shape (rows, numbers), got {sorted(widths)}")
    for view, array in offsets.items():
        _check_finite(view, array, np.ones(n, dtype=bool))


def as_stored(vectors: np.ndarray, *, unit: bool) -> np.ndarray:
    """Vectors (n, d) as float32, of length one if `unit`: then the dot product is the cosine."""
    if not unit:
        return vectors.astype(np.float32)
    stored = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), AT_ONCE):
        wide = vectors[start : start + AT_ONCE].astype(np.float64)
        largest = np.abs(wide).max(axis=1, keepdims=True)
        wide /= np.where(largest > 0, largest, 1)  # squares of tiny numbers would vanish
        length = np.linalg.norm(wide, axis=1, keepdims=True)
        stored[start : start + AT_ONCE] = wide / np.where(length > 0, length, 1)
    return stored


def _listed(values: Sequence) -> Sequence:
    """By position: a pandas Series would answer values[3] by label."""
    return values if isinstance(values, list | tuple | np.ndarray) else list(values)


def _sliced(values: Any) -> Numbers:
    """Numbers that can be cut into rows: as they are, so that what lies on a disk is never read at once."""
    return values if hasattr(values, "shape") and hasattr(values, "dtype") else np.asarray(values)


def _text(value: object) -> str | None:
    value = as_plain(value)
    return None if value is None else str(value)


def true_path(stored: str | None) -> str | None:
    """The path of the file, whose name may hold bytes that are no UTF-8, and which a table holds as \\udcff."""
    if stored is None or "\\udc" not in stored:
        return stored
    path = re.sub(r"\\udc([89a-f][0-9a-f])", lambda byte: chr(0xDC00 + int(byte[1], 16)), stored)
    return path if os.path.lexists(path) else stored


def _masks(present: Mapping[str, np.ndarray], arrays: Mapping[str, Numbers], n: int) -> dict[str, np.ndarray]:
    _check_lengths("present", present, n, views=arrays)
    masks = {view: np.asarray(present.get(view, np.ones(n, dtype=bool))) for view in arrays}
    for view, mask in masks.items():
        if mask.shape != (n,) or mask.dtype != bool:
            raise UsageError(f"present[{view!r}] needs bool of shape ({n},), got {mask.dtype} {mask.shape}")
    return masks


def _check_lengths(argument: str, columns: Mapping, n: int, views: Mapping | None = None) -> None:
    """One value a row in every column; where `views` are given, columns are named by them."""
    for name, values in columns.items():
        if views is not None and name not in views:
            raise UsageError(f"{argument} names the view {name!r}, which has no embeddings{nearest(name, views)}")
        if len(values) != n:
            raise UsageError(f"{argument}[{name!r}] has {len(values)} values for {n} rows; give one a row")


def _check_finite(view: str, array: Numbers, mask: np.ndarray) -> None:
    limit = np.finfo(np.float32).max  # the index stores float32
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(mask), AT_ONCE)]
    fine = [(np.abs(np.asarray(array[part])) <= limit).all(axis=1) for part in parts]
    bad = np.flatnonzero(mask & ~np.concatenate([*fine, np.zeros(0, bool)]))
    if len(bad):
        raise DataError(
            f"view {view!r} has {len(bad)} embeddings with NaN or infinity, the first at position {bad[0]}; "
            f"mark those cells absent with present={{{view!r}: mask}}"
        )


def _row_numbers(numbers: np.ndarray | None, n: int, next_row: int) -> np.ndarray:
    if numbers is None:
        return np.arange(next_row, next_row + n, dtype=np.int64)
    rows = np.asarray(numbers)
    if rows.shape != (n,) or (n and rows.dtype.kind not in "iu"):
        raise UsageError(f"rows needs {n} whole numbers, got {rows.dtype} {rows.shape}")
    rows = rows.astype(np.int64)
    new = rows < 0
    rows[new] = np.arange(new.sum()) + max(next_row, int(rows.max(initial=-1)) + 1)
    distinct, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        raise UsageError(f"row number {distinct[counts > 1][0]} comes twice in rows; each row needs its own")
    return rows
