"""Views as the blocks of numbers that a closed form reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data import scratch
from bouba.data.arrays import column_names, column_values, data_error, is_sparse
from bouba.data.faults import decoded
from bouba.data.matching import column_order
from bouba.data.pairing import pair
from bouba.data.schema import Schema
from bouba.data.sparse import SparseRows
from bouba.data.views import Column, Views
from bouba.errors import DataError

FLOATS = (np.float64, np.float32)
MANY = 50_000
"""Cells that features are learnt from, at most; of more of them, features are computed AT_ONCE at a time."""
AT_ONCE = 4096


@dataclass(frozen=True)
class Blocks:
    """Views of any container as numbers.

    Args:
        data: view -> (n, d) float array or sparse matrix; absent rows hold zeros.
        present: view -> bool (n,).
        back: view -> (n, k) arrays, put into the container that came in.
        row_names: the index (n,) of the rows; None where they have none.
        views: that they were read from; None for arrays.
    """

    data: dict[str, Any]
    present: dict[str, np.ndarray]
    back: Callable[[dict[str, np.ndarray]], Any]
    row_names: Any = None
    views: Views | None = None

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))


@dataclass(frozen=True)
class Numbers:
    """Arrays and frames, one a view, their rows paired.

    Args:
        data, present: as in Blocks.
        columns: view -> names of its columns; () where they have none.
        row_names: as in Blocks.
    """

    data: dict[str, Any]
    present: dict[str, np.ndarray]
    columns: Mapping[str, tuple[str, ...]]
    row_names: Any = None

    @classmethod
    def of(cls, arrays: Mapping[str, Any], accepts: str | bool) -> Numbers:
        """Whatever holds numbers (n, d); rows that a frame lacks and those with masked numbers are not present.

        Args:
            arrays: view -> array, frame, tensor, sparse matrix. accepts: the sparse format that is taken, if any.

        Raises:
            DataError: NaN, no numbers, an index or columns whose names cannot be matched.
        """
        pairing = pair(arrays)
        data, present = {}, {}
        for name, values in arrays.items():
            numbers, has = _with_presence(name, values, accepts)
            places = pairing.places_of(name)
            if places is not None:
                has = np.where(places >= 0, has[places], False)
                numbers = spread(numbers[places[has]], has)
            data[name], present[name] = numbers, has
        columns = {name: column_names(name, values) for name, values in arrays.items()}
        return cls(data, present, columns, pairing.names)

    def schema(self) -> Schema:
        """What the views are called, and their columns."""
        return Schema(dict.fromkeys(self.data, "vector"), {name: of for name, of in self.columns.items() if of})

    def like(self, schema: Schema | None) -> dict[str, Any]:
        """view -> numbers, their columns in the order of a schema. DataError where one is lacking."""
        before = {} if schema is None else schema.columns
        orders = {name: column_order(name, before.get(name, ()), self.columns.get(name, ())) for name in self.data}
        return {name: values if (at := orders[name]) is None else values[:, at] for name, values in self.data.items()}


def _with_presence(name: str, values: Any, accepts: str | bool) -> tuple[Any, np.ndarray]:
    """Numbers (n, d), and which rows have them, bool (n,)."""
    if not is_sparse(values):
        values = column_values(name, values)
    if not isinstance(values, list):
        numbers = checked(name, values, accepts)
        return numbers, np.ones(numbers.shape[0], bool)
    has = np.array([row is not None for row in values], bool)
    if not has.any():
        raise DataError(f"view {name!r} has no row without masked values; fill them, or leave the view out")
    return spread(checked(name, np.stack([row for row in values if row is not None]), accepts), has), has


def are_arrays(X) -> bool:
    """Whether X is a list or a mapping of 2-D arrays."""
    if not isinstance(X, Mapping | list | tuple) or is_sparse(X):  # SciPy's dictionary of keys is a mapping
        return False
    values = [v for v in (X.values() if isinstance(X, Mapping) else X) if v is not None]
    return bool(values) and all(len(getattr(v, "shape", ())) == 2 for v in values)


def accepted_sparse(model: Any) -> str | bool:
    """The sparse format that an estimator takes, by its tags; False for none."""
    from sklearn.utils import get_tags

    return "csr" if get_tags(model).input_tags.sparse else False


def checked(name: str, values, accepts: str | bool) -> Any:
    """The view as floats, not copied where it is floats already. DataError for NaN and what is no table."""
    from sklearn.utils.validation import check_array

    try:
        return check_array(values, dtype=FLOATS, accept_sparse=accepts)
    except (TypeError, ValueError) as error:
        raise data_error(error, f"view {name!r}:") from error


def vectors(column: Column, accepts: str | bool = False) -> Any:
    """A vector column as (n, d); the array it stands on where that is possible, absent rows zero. Sparse rows stay
    sparse where they are accepted."""
    values, present = column.values, column.present
    if isinstance(values, SparseRows):
        there = np.flatnonzero(present)
        if accepts:
            return spread(values.matrix[column.index[there]], present)
        return values.dense(column.index[there], there, len(column))
    if isinstance(values, np.ndarray) and values.ndim == 2:
        whole = len(column) == len(values) and bool((column.index == np.arange(len(values))).all())
        if whole and present.all():
            return values
        there = np.flatnonzero(present)
        return scratch.placed(values, there, len(column), column.index[there])
    return spread(np.stack([np.asarray(column[row]) for row in np.flatnonzero(present).tolist()]), present)


def features(name: str, column: Column, read: Callable[[Sequence], Any], *, singly: bool = True) -> Any:
    """What `read` makes of the cells of a column (n, d), of many some at a time; zeros where a cell is missing or
    breaks while it is read. None where all do."""
    if len(column) <= MANY:
        rows, values = decoded(name, column, range(len(column)), read, singly=singly)
        return None if values is None else spread(values, column.present)
    dense: np.ndarray | None = None
    parts = []
    for start in range(0, len(column), AT_ONCE):
        rows, values = decoded(name, column, range(start, min(start + AT_ONCE, len(column))), read, singly=singly)
        if is_sparse(values):
            parts.append((rows, values))
        elif values is not None:
            dense = scratch.zeros((len(column), values.shape[1]), values.dtype) if dense is None else dense
            dense[rows] = values
    if not parts:
        return dense
    from scipy import sparse

    stacked = sparse.vstack([values for _, values in parts], format="csr")
    return spread(stacked, np.isin(np.arange(len(column)), np.concatenate([rows for rows, _ in parts])))


def some_of(rows: np.ndarray, random_state: int) -> np.ndarray:
    """MANY of these rows at most, by chance, in their order."""
    return rows if len(rows) <= MANY else np.sort(np.random.default_rng(random_state).permutation(rows)[:MANY])


def present_rows(values: Any, present: np.ndarray) -> Any:
    """The rows that are present."""
    if present.all():
        return values
    return values[present] if is_sparse(values) else scratch.taken(values, np.flatnonzero(present))


def spread(values, present: np.ndarray) -> Any:
    """Rows put where `present` is True, zeros elsewhere: (m, d) -> (n, d)."""
    if present.all():
        return values
    if is_sparse(values):
        from scipy import sparse

        lengths = np.zeros(len(present), int)
        lengths[present] = np.diff(values.indptr)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        return sparse.csr_matrix((values.data, values.indices, ends), shape=(len(present), values.shape[1]))
    return scratch.placed(values, np.flatnonzero(present), len(present))
