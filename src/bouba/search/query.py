"""A query becomes a filter and a vector; the cells that are found become hits."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bouba import errors
from bouba.data.characters import same_name
from bouba.errors import DataError, MissingExtraError, ModalityError, UsageError
from bouba.search import matrices, store
from bouba.search.cells import PATH, ROW, SHOWN, VECTOR, VIEW, as_stored, true_path
from bouba.search.columns import quoted
from bouba.search.exact import Cells, exact_scores, nearest
from bouba.search.narrow import Narrow, narrowed
from bouba.search.signs import Signs, check_refine
from bouba.search.store import State
from bouba.search.where import condition

# cosine is the dot product of vectors stored at length one: a row of zeros then scores 0 and is kept,
# where LanceDB's own cosine is NaN and loses the row
METRIC = {"cosine": "dot", "dot": "dot", "euclidean": "l2"}
_AT_ONCE = 65_536  # row numbers in an Arrow batch of those that pass a filter
_REMEMBERED = 8  # conditions whose cells are remembered
_REFINE = 10  # candidates per hit that are scored again with their full vectors


@dataclass(frozen=True)
class Hit:
    """One found cell. `score` is a similarity, larger is better; `row` is the caller's own row number; `way` is what
    found it, where a question was put in several ways; `confidence` the probability that it is what was meant, where
    that is known."""

    score: float
    row: int
    view: str
    path: str | None
    columns: dict[str, object]
    way: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Filter:
    """The three ways to narrow a search."""

    view: str | None
    where: str | None
    equals: Mapping[str, object]

    def sql(self, state: State) -> str | None:
        """One condition but for the view; None keeps every cell."""
        conditions = []
        if self.view is not None and self.view not in state.views:
            raise ModalityError(f"the index has no view {self.view!r}{errors.nearest(self.view, state.views)}")
        columns = {column.name: column for column in state.columns}
        for given, value in self.equals.items():
            name = same_name(given, columns)
            if name not in columns:
                raise UsageError(f"the index has no column {name!r}{errors.nearest(name, columns)}")
            conditions.append(columns[name].equals(value))
        if self.where is not None:
            conditions.append(f"({condition(self.where, state.columns)})")
        return " AND ".join(conditions) or None


class Source:
    """One version of an index, of which nothing is opened before it is needed.

    Attributes:
        path, state: of the index. matrices: what exact search reads, made from the table where there are none.
        table: the LanceDB table, for filters, the approximate index and changes.
        passing: condition and view -> positions (p,) of the cells that fit; None for all. The last ones are remembered.
        narrow: view and width -> its cells by their first numbers; the last ones are remembered. signs: view -> bits.
        codes: whether exact search multiplies codes; None for what is faster here. It finds the same.
    """

    codes: bool | None = None

    def __init__(self, path: Path, state: State, table: Any = None) -> None:
        self.path, self.state = path, state
        self._table = table
        self._matrices = matrices.opened(store.matrix_folder(path, state.table), state)
        self.passing = lru_cache(_REMEMBERED)(self._positions_that_fit)
        self.narrow = lru_cache(_REMEMBERED)(self._narrow)
        self.signs = lru_cache(None)(lambda view: Signs(self.matrices[view]))

    @property
    def table(self) -> Any:
        """
        Raises:
            DataError: it is damaged. MissingExtraError: LanceDB is not installed.
        """
        if self._table is None:
            self._table = store.open_table(self.path, self.state)
        return self._table

    @property
    def matrices(self) -> matrices.Matrices:
        """View -> Matrix."""
        if self._matrices is None:
            self._matrices = matrices.of_table(self.path, self.state, self.table)
        return self._matrices

    def _narrow(self, view: str, width: int) -> Narrow:
        return Narrow(self.matrices[view], width, self.state.similarity)

    def _positions_that_fit(self, condition: str | None, view: str) -> np.ndarray | None:
        """Of the cells of a view; None for all."""
        if condition is None:
            return None
        sql = _with_view(condition, view if len(self.state.views) > 1 else None)
        builder = self.table.search().where(sql).select([ROW]).limit(self.state.cells)
        parts = [np.asarray(batch.column(0)) for batch in builder.to_batches(_AT_ONCE)]
        return self.matrices[view].positions(np.concatenate([*parts, np.zeros(0, np.int64)]))


def _with_view(condition: str | None, view: str | None) -> str | None:
    """A condition that also names a view."""
    parts = [] if view is None else [f"{VIEW} = {quoted(view)}"]
    return " AND ".join([*parts, *([] if condition is None else [condition])]) or None


def nearest_hits(
    source: Source,
    queries: np.ndarray,
    *,
    k: int,
    exact: bool,
    filters: Filter,
    width: int | None = None,
    refine: int | None = None,
) -> list[list[Hit]]:
    """The k nearest cells to each of queries (q, d), as `as_queries` made them; by the first `width` numbers alone, or
    of `refine` times k cells that are nearest by signs."""
    state = source.state
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k must be 1 or more, got {k}")
    k = min(int(k), state.cells)
    if refine is not None:
        check_refine(state, refine, queries)
        if width is not None or not exact:
            raise UsageError("refine looks at the signs of whole vectors; leave width and exact=False out, or refine")
    if width is not None:
        if not exact:
            raise UsageError("the approximate index holds whole vectors; leave exact=False out, or width")
        queries = narrowed(queries, width, state.dim, state.similarity)
    if not exact and state.probes is None:
        raise UsageError(
            "exact=False needs an approximate index; call index.build_ann() first, with within=0 where exact is quick"
        )
    condition = filters.sql(state)
    views = state.views if filters.view is None else (filters.view,)
    with _damage_named():
        if not exact:
            return [_approximate_hits(source, query, k, filters.view, condition) for query in queries]
        passing = {view: source.passing(condition, view) for view in views}
        euclidean = state.similarity == "euclidean"
        cells: Mapping[str, Cells] = source.matrices
        if width is not None:
            cells = {view: source.narrow(view, int(width)) for view in views}
        found = {
            view: source.signs(view).found(queries, k * refine, passing[view])
            if refine is not None
            else nearest(cells[view], queries, k, euclidean=euclidean, passing=passing[view], codes=source.codes)
            for view in views
        }
        return [
            _best_hits(source, {view: of[i] for view, of in found.items()}, k, queries[i]) for i in range(len(queries))
        ]


def nearest_rows(source: Source, queries: np.ndarray, k: int, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows (q, k) and scores (q, k) of the k nearest cells of a view to each query, as `as_queries` made them; -1 and
    -inf where there are fewer. The same as hits, without what these show."""
    with _damage_named():
        matrix = source.matrices[view]
        found = nearest(matrix, queries, k, euclidean=source.state.similarity == "euclidean", codes=source.codes)
    rows, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    for query, (positions, of_cells) in enumerate(found):
        of_rows = matrix.rows[positions]
        best = np.lexsort((of_rows, -of_cells))[:k]
        rows[query, : len(best)], scores[query, : len(best)] = of_rows[best], of_cells[best]
    return rows, scores


def as_queries(state: State, vectors: np.ndarray, *, ndim: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Vectors as the table's are stored, (q, d + offsets) float32, the last of them minus the weights of the offsets;
    refuses another width, NaN and no direction."""
    array = np.asarray(vectors)
    if array.ndim != ndim or array.shape[-1] != state.dim or array.dtype.kind not in "fiu":
        expected = f"({state.dim},)" if ndim == 1 else f"(questions, {state.dim})"
        raise UsageError(
            f"the index needs numbers of shape {expected}, got {array.dtype} {array.shape}; "
            f"embed the question with the model that made the index"
        )
    array = array.reshape(-1, state.dim)
    bad = np.flatnonzero(~(np.abs(array) <= np.finfo(np.float32).max).all(axis=1))
    if len(bad):
        raise UsageError(f"vector {bad[0]} holds NaN or infinity; a question must be finite numbers")
    unit = state.similarity == "cosine"
    if unit and not array.any(axis=1).all():
        zero = np.flatnonzero(~array.any(axis=1))[0]
        raise UsageError(f"vector {zero} is all zeros and has no direction; cosine needs one that is not")
    weights = np.zeros(state.offsets) if weights is None else np.asarray(weights)
    if weights.shape not in ((state.offsets,), (len(array), state.offsets)) or not np.isfinite(weights).all():
        raise UsageError(f"the index keeps {state.offsets} offsets a cell, got weights of shape {weights.shape}")
    return np.hstack(
        [as_stored(array, unit=unit), np.broadcast_to(-weights.astype(np.float32), (len(array), state.offsets))]
    )


def stored_vectors(source: Source, rows: Sequence[int], view: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Row -> its vector (d,) of a view, and its offsets."""
    if view not in source.state.views:
        return {}
    with _damage_named():
        matrix = source.matrices[view]
    places = matrix.positions(np.asarray(rows, np.int64))
    vectors, offsets = matrix.vectors[places], matrix.offsets[places]
    offsets = offsets[:, : source.state.offsets]
    return dict(zip(matrix.rows[places].tolist(), zip(vectors, offsets, strict=True), strict=True))


def shown_of(source: Source, row: int, view: str) -> bytes | None:
    """What a page shows of a cell that has no file; None where there is nothing."""
    if SHOWN not in source.state.extra or view not in source.state.views:
        return None
    with _damage_named():
        sql = f"{ROW} = {int(row)} AND {VIEW} = {quoted(view)}"
        found = source.table.search().where(sql).select([SHOWN]).limit(1).to_arrow()
    return found[SHOWN][0].as_py() if len(found) else None


def values_of(source: Source, stored: str) -> dict[int, Any]:
    """Row -> its value in a column of the table."""
    with _damage_named():
        batches = source.table.search().select([ROW, stored]).limit(source.state.cells).to_batches(_AT_ONCE)
        return {
            row: value
            for batch in batches
            for row, value in zip(batch[ROW].to_pylist(), batch[stored].to_pylist(), strict=True)
        }


def _best_hits(
    source: Source, found: Mapping[str, tuple[np.ndarray, np.ndarray]], k: int, query: np.ndarray
) -> list[Hit]:
    """The k best of what was found in each view: positions (n,) and scores (n,)."""
    views = list(found)
    positions, scores = (np.concatenate(part) for part in zip(*found.values(), strict=True))
    of_view = np.repeat(np.arange(len(views)), [len(places) for places, _ in found.values()])
    rows = np.concatenate([source.matrices[view].rows[places] for view, (places, _) in found.items()])
    by_name = np.argsort(np.argsort(views))
    best = np.lexsort((by_name[of_view], rows, -scores))[:k]
    scores = _bounded(source.state, query, scores)
    hits: dict[int, Hit] = {}  # by their place among all
    for number, view in enumerate(views):
        here = best[of_view[best] == number]
        records = source.matrices[view].shown.records(positions[here])
        for place, record in zip(here.tolist(), records, strict=True):
            hits[place] = _hit(source.state, float(scores[place]), int(rows[place]), view, record)
    return [hits[place] for place in best.tolist()]


def _approximate_hits(source: Source, query: np.ndarray, k: int, view: str | None, condition: str | None) -> list[Hit]:
    """The k best of the cells that the approximate index finds, by their exact scores."""
    found = {}
    for name, rows in approximate_rows(source.table, source.state, query, k, view, condition).items():
        matrix = source.matrices[name]
        places = matrix.positions(rows)
        found[name] = places, exact_scores(matrix, places, query, source.state.similarity == "euclidean")
    return _best_hits(source, found, k, query)


def approximate_rows(
    table: Any, state: State, query: np.ndarray, k: int, view: str | None, condition: str | None
) -> dict[str, np.ndarray]:
    """View -> rows of those of the k best cells that the approximate index finds."""
    if METRIC[state.similarity] == "dot":  # LanceDB's distance is 1 - dot in float32, which loses small products
        query = np.ldexp(query, 40 - int(np.frexp(np.abs(query).max())[1]))
    builder = table.search(query, vector_column_name=VECTOR).distance_type(METRIC[state.similarity])
    builder = builder.nprobes(state.probes).refine_factor(_REFINE)
    if sql := _with_view(condition, view):
        builder = builder.where(sql, prefilter=True)
    cells = builder.select([ROW, VIEW, "_distance"]).limit(k).to_arrow()
    rows, of_view = np.asarray(cells[ROW]), np.asarray(cells[VIEW].to_pylist(), object)
    return {name: rows[of_view == name] for name in (state.views if view is None else (view,))}


def _bounded(state: State, query: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Cosines within [-1, 1] in spite of rounding, where no offset is taken off."""
    return np.clip(scores, -1, 1) if state.similarity == "cosine" and not query[state.dim :].any() else scores


def _hit(state: State, score: float, row: int, view: str, record: Mapping[str, Any]) -> Hit:
    return Hit(score, row, view, true_path(record[PATH]), {c.name: record[c.stored] for c in state.columns})


@contextmanager
def _damage_named() -> Iterator[None]:
    """DataError for whatever goes wrong in files that were whole when they were opened."""
    try:
        yield
    except MissingExtraError:
        raise
    except Exception as error:
        raise DataError(
            f"the index was replaced or damaged after it was opened ({_first_line(error)}); open it again"
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split(", /")[0].removeprefix("Invalid input, ")[:200]
