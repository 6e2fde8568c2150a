"""A query becomes a filter and a vector; LanceDB's distances become similarities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bouba.data.characters import same_name
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.search.cells import PATH, ROW, VECTOR, VIEW, as_stored, true_path
from bouba.search.columns import quoted
from bouba.search.store import State
from bouba.search.where import condition

# cosine is the dot product of vectors stored at length one: a row of zeros then scores 0 and is kept,
# where LanceDB's own cosine is NaN and loses the row
METRIC = {"cosine": "dot", "dot": "dot", "euclidean": "l2"}
_AT_ONCE = 10_000  # row numbers in one SQL condition
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
        """One condition; None keeps every cell."""
        conditions = []
        if self.view is not None:
            if self.view not in state.views:
                raise ModalityError(f"the index has no view {self.view!r}{nearest(self.view, state.views)}")
            conditions.append(f"{VIEW} = {quoted(self.view)}")
        columns = {column.name: column for column in state.columns}
        for given, value in self.equals.items():
            name = same_name(given, columns)
            if name not in columns:
                raise UsageError(f"the index has no column {name!r}{nearest(name, columns)}")
            conditions.append(columns[name].equals(value))
        if self.where is not None:
            conditions.append(f"({condition(self.where, state.columns)})")
        return " AND ".join(conditions) or None


def nearest_hits(
    table: Any, state: State, queries: np.ndarray, *, k: int, exact: bool, filters: Filter
) -> list[list[Hit]]:
    """The k nearest cells to each of queries (q, d), as `as_queries` made them."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k must be 1 or more, got {k}")
    k = min(int(k), state.cells)
    if not exact and state.probes is None:
        raise UsageError("exact=False needs an approximate index; call index.build_ann() first")
    sql = filters.sql(state)
    try:
        cells = [_nearest_cells(table, state, query, k=k, condition=sql, exact=exact) for query in queries]
    except Exception as error:
        raise DataError(
            f"the index was replaced or damaged after it was opened ({_first_line(error)}); open it again"
        ) from error
    return [_hits(state, rows, scores) for rows, scores in cells]


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
    if weights.shape != (state.offsets,) or not np.isfinite(weights).all():
        raise UsageError(f"the index keeps {state.offsets} offsets a cell, got weights of shape {weights.shape}")
    return np.hstack([as_stored(array, unit=unit), np.tile(-weights.astype(np.float32), (len(array), 1))])


def _nearest_cells(
    table: Any, state: State, vector: np.ndarray, *, k: int, condition: str | None, exact: bool
) -> tuple[pa.Table, np.ndarray]:
    """The k most similar cells and their scores, best first; equal scores by row number, then view."""
    scale = _scale(state, vector)
    scaled = (vector.astype(np.float64) * scale).astype(np.float32)
    kth = min(k, state.cells) - 1
    limit = kth + 2
    while True:
        cells = _run(table, state, scaled, limit, condition, exact)
        distance = cells["_distance"].to_numpy()
        order = np.lexsort((cells[VIEW].to_numpy(zero_copy_only=False), cells[ROW].to_numpy(), distance))
        # LanceDB cuts a tie anywhere: fetch more until the whole tie of the kth score has come
        cut = exact and len(order) == limit and distance[order[-1]] == distance[order[kth]]
        if not cut or limit > state.cells:
            break
        limit = min(4 * limit, state.cells + 1)
    order = order[:k]
    bounded = not vector[state.dim :].any()
    return cells.take(pa.array(order)), _similarity(state, distance[order].astype(np.float64), scale, bounded)


def stored_vectors(
    table: Any, state: State, rows: Sequence[int], view: str
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Row -> its vector (d,) of a view, and its offsets."""
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for start in range(0, len(rows), _AT_ONCE):
        numbers = ", ".join(str(int(row)) for row in rows[start : start + _AT_ONCE])
        builder = table.search().where(f"{VIEW} = {quoted(view)} AND {ROW} IN ({numbers})").select([ROW, VECTOR])
        cells = builder.limit(_AT_ONCE).to_arrow()
        vectors = np.asarray(cells[VECTOR].combine_chunks().flatten()).reshape(-1, state.dim + state.offsets)
        found |= {row: (v[: state.dim], v[state.dim :]) for row, v in zip(cells[ROW].to_pylist(), vectors, strict=True)}
    return found


def _run(table: Any, state: State, vector: np.ndarray, limit: int, condition: str | None, exact: bool) -> pa.Table:
    builder = table.search(vector, vector_column_name=VECTOR).distance_type(METRIC[state.similarity])
    builder = builder.bypass_vector_index() if exact else _approximate(builder, state)
    if condition is not None:
        builder = builder.where(condition, prefilter=True)
    stored = [column.stored for column in state.columns]
    return builder.select([ROW, VIEW, PATH, *stored, "_distance"]).limit(limit).to_arrow()


def _approximate(builder: Any, state: State) -> Any:
    return builder.nprobes(state.probes).refine_factor(_REFINE)


def _scale(state: State, vector: np.ndarray) -> float:
    """LanceDB's dot distance is 1 - dot in float32, which rounds small products away; a query of
    size 2**40 makes the 1 vanish instead. A power of two scales every product without rounding."""
    largest = float(np.abs(vector).max())
    if METRIC[state.similarity] != "dot" or largest == 0:
        return 1.0
    return 2.0 ** (40 - int(np.frexp(largest)[1]))


def _similarity(state: State, distance: np.ndarray, scale: float, bounded: bool) -> np.ndarray:
    if state.similarity == "euclidean":
        return 0 - np.sqrt(distance)  # l2 comes squared; 0 - x, as -x gives -0.0
    score = (1 - distance) / scale
    return np.clip(score, -1, 1) if state.similarity == "cosine" and bounded else score


def _hits(state: State, cells: pa.Table, scores: np.ndarray) -> list[Hit]:
    return [
        Hit(float(score), cell[ROW], cell[VIEW], true_path(cell[PATH]), {c.name: cell[c.stored] for c in state.columns})
        for score, cell in zip(scores, cells.to_pylist(), strict=True)
    ]


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split(", /")[0].removeprefix("Invalid input, ")[:200]
