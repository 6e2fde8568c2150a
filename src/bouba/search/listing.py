"""The rows of an index with what is known of them beside their vectors: by row, by column, and by filter.

It is read from the files that hits show, mapped into memory, so that a million rows are a few numpy operations and no
store is opened but for filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.errors import UsageError, nearest
from bouba.search.cells import PATH, true_path
from bouba.search.query import Filter

if TYPE_CHECKING:
    from bouba.search.columns import IndexColumn
    from bouba.search.query import Source

FEW = 100  # distinct values of a column that are counted
REMEMBERED = 32  # columns
NAMELESS = 0.1  # share of the rows that may have no value in a column that names rows


@dataclass(frozen=True)
class Coded:
    """A column of few distinct values.

    Args:
        values: the distinct ones, as they are stored. codes: (n,) int32, the place of each row's value; -1: missing.
    """

    values: tuple[Any, ...]
    codes: np.ndarray


class Listing:
    """The n rows of one version of an index, by their numbers.

    Attributes:
        rows: (n,) int64, ascending.
    """

    def __init__(self, source: Source):
        self._source = source
        live = {view: np.asarray(matrix.rows)[self._live(view)] for view, matrix in source.matrices.items()}
        self.rows = np.unique(np.concatenate(list(live.values())))
        self.coded = lru_cache(REMEMBERED)(self._coded)
        self.numbers = lru_cache(REMEMBERED)(self._numbers)
        self.positions = lru_cache(None)(self._positions)

    def _live(self, view: str) -> np.ndarray:
        """Positions of the cells that count."""
        matrix = self._source.matrices[view]
        return np.arange(len(matrix)) if matrix.live is None else np.flatnonzero(matrix.live)

    def _positions(self, view: str) -> np.ndarray:
        """(n,) where each row's cell of a view stands among the cells of the view; -1 for a row without."""
        places, live = np.full(len(self.rows), -1), self._live(view)
        places[np.searchsorted(self.rows, self._source.matrices[view].rows[live])] = live
        return places

    @property
    def cells(self) -> dict[str, int]:
        """View -> how many rows have a cell of it."""
        return {view: len(self._live(view)) for view in self._source.matrices}

    def places(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Where some row numbers stand among `rows`.

        Raises:
            UsageError: the index has no such row.
        """
        numbers = np.asarray(rows)
        if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
            raise UsageError(f"rows are whole numbers, got {numbers.dtype} of shape {numbers.shape}")
        places = np.searchsorted(self.rows, numbers).clip(max=len(self.rows) - 1)
        strange = np.flatnonzero(self.rows[places] != numbers)
        if len(strange):
            first, last = self.rows[[0, -1]]
            raise UsageError(
                f"the index has no row {numbers[strange[0]]}; it has {len(self.rows):,}, from {first} to {last}"
            )
        return places

    def vectors(self, places: np.ndarray, view: str) -> np.ndarray:
        """(m, d) float32 of some rows by their place; zeros for one without a cell of the view."""
        positions = self.positions(view)[places]
        vectors = self._source.matrices[view].vectors.take(np.maximum(positions, 0), axis=0)
        vectors[positions < 0] = 0
        return vectors

    def records(self, places: np.ndarray) -> list[tuple[dict[str, Any], dict[str, str | None]]]:
        """Of some rows by their place: name -> value of each column, and view -> path of its file (None without one)
        for the views that the row has."""
        columns: list[dict[str, Any]] = [{} for _ in places]
        paths: list[dict[str, str | None]] = [{} for _ in places]
        for view, matrix in self._source.matrices.items():
            positions = self.positions(view)[places]
            here = np.flatnonzero(positions >= 0)
            for place, record in zip(here.tolist(), matrix.shown.records(positions[here]), strict=True):
                paths[place][view] = true_path(record[PATH])
                columns[place] = columns[place] or {c.name: record[c.stored] for c in self.columns.values()}
        return list(zip(columns, paths, strict=True))

    @property
    def columns(self) -> dict[str, IndexColumn]:
        """Name -> column."""
        return {column.name: column for column in self._source.state.columns}

    def column(self, name: str) -> IndexColumn:
        """UsageError where there is none of that name."""
        if name not in self.columns:
            raise UsageError(f"the index has no column {name!r}{nearest(name, self.columns)}")
        return self.columns[name]

    def passing(self, where: str | None = None, equals: Mapping[str, object] = {}) -> np.ndarray:
        """bool (n,), the rows that fit a condition; see `Index.search`."""
        condition = Filter(None, where, equals).sql(self._source.state)
        if condition is None:
            return np.ones(len(self.rows), bool)
        passing = np.zeros(len(self.rows), bool)
        for view in self._covering:
            positions = self._source.passing(condition, view)
            passing[np.searchsorted(self.rows, self._source.matrices[view].rows[positions])] = True
        return passing

    @cached_property
    def _covering(self) -> list[str]:
        """Views that have all rows between them, the fullest first."""
        missing, chosen = np.ones(len(self.rows), bool), list[str]()
        for view in sorted(self._source.matrices, key=lambda view: -int((self.positions(view) >= 0).sum())):
            new = missing & (self.positions(view) >= 0)
            chosen += [view] if new.any() else []
            missing &= ~new
        return chosen

    @cached_property
    def _cells(self) -> np.ndarray | None:
        """(n,) where each row stands among the cells of the covering views, one view after another; None: as they
        stand."""
        sizes = [len(self._source.matrices[view]) for view in self._covering]
        cells = np.full(len(self.rows), -1)
        for view, first in zip(self._covering, accumulate(sizes, initial=0)):
            positions = self.positions(view)
            cells = np.where((cells < 0) & (positions >= 0), first + positions, cells)
        return None if len(cells) == sum(sizes) and (cells == np.arange(len(cells))).all() else cells

    def _values(self, name: str) -> Any:
        """The Arrow chunks of a column, of all cells of the covering views."""
        import pyarrow as pa

        stored = self.column(name).stored
        chunks = [chunk for view in self._covering for chunk in self._source.matrices[view].shown.column(stored)]
        return pa.chunked_array(chunks)

    def _in_order(self, values: np.ndarray) -> np.ndarray:
        return values if self._cells is None else values[self._cells]

    def _coded(self, name: str) -> Coded | None:
        """A column of at most FEW distinct values; None for one of more."""
        values = self._values(name)
        if len(values.chunk(0).unique()) > FEW + 1:
            return None
        encoded = values.unify_dictionaries() if values.type == "dictionary" else values.dictionary_encode()
        distinct = encoded.chunk(0).dictionary.to_pylist()
        if len(distinct) > FEW:
            return None
        codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks])
        return Coded(tuple(distinct), self._in_order(codes))

    def _numbers(self, name: str) -> np.ndarray:
        """(n,) float64 of a column of numbers; NaN where one is missing.

        Raises:
            UsageError: it holds none.
        """
        column = self.column(name)
        if column.kind not in ("int", "float"):
            raise UsageError(f"column {name!r} holds {column.kind}, no numbers")
        return self._in_order(np.asarray(self._values(name).cast("float64").to_numpy()))

    def texts(self, name: str, most: int | None = None) -> list[Any]:
        """The values of a column, of all rows or of `most` of the first."""
        values = self._values(name)
        if self._cells is None:
            return values.slice(0, most).to_pylist()
        every = values.to_pylist()
        return [every[cell] for cell in self._cells[:most].tolist()]

    def is_distinct(self, name: str) -> bool:
        """Whether the values of a column all differ, of which NAMELESS at most are missing."""
        first = [value for value in self.texts(name, 1000) if value is not None]
        if len(set(first)) < len(first):
            return False
        every = [value for value in self.texts(name) if value is not None]
        return len(set(every)) == len(every) >= (1 - NAMELESS) * len(self.rows)
