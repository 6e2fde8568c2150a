"""Views as the blocks of numbers that a closed form reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from bouba.data.views import Column
from bouba.errors import DataError

FLOATS = (np.float64, np.float32)


@dataclass(frozen=True)
class Blocks:
    """Views of any container as numbers.

    Args:
        data: view -> (n, d) float array or sparse matrix; absent rows hold zeros.
        present: view -> bool (n,).
        back: view -> (n, k) arrays, put into the container that came in.
    """

    data: dict[str, Any]
    present: dict[str, np.ndarray]
    back: Callable[[dict[str, np.ndarray]], Any]

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))


def are_arrays(X) -> bool:
    """Whether X is a list or a mapping of 2-D arrays."""
    if not isinstance(X, Mapping | list | tuple) or sparse.issparse(X):  # SciPy's dictionary of keys is a mapping
        return False
    values = [v for v in (X.values() if isinstance(X, Mapping) else X) if v is not None]
    return bool(values) and all(getattr(v, "ndim", 0) == 2 for v in values)


def checked(name: str, values, accepts: str | bool) -> Any:
    """The view as floats, not copied where it is floats already. DataError for NaN and what is no table."""
    try:
        return check_array(values, dtype=FLOATS, accept_sparse=accepts)
    except ValueError as error:
        raise DataError(f"view {name!r}: {error}") from error


def vectors(column: Column) -> np.ndarray:
    """A vector column as (n, d); the array it stands on where that is possible, absent rows zero."""
    values, present = column.values, column.present
    if isinstance(values, np.ndarray) and values.ndim == 2:
        whole = len(column) == len(values) and (column.index == np.arange(len(values))).all()
        block = values if whole else values[column.index]
        return block if present.all() else np.where(present[:, None], block, 0)
    return spread(np.stack([np.asarray(column[row]) for row in np.flatnonzero(present).tolist()]), present)


def spread(values, present: np.ndarray) -> Any:
    """Rows put where `present` is True, zeros elsewhere: (m, d) -> (n, d)."""
    if present.all():
        return values
    if sparse.issparse(values):
        lengths = np.zeros(len(present), int)
        lengths[present] = np.diff(values.indptr)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        return sparse.csr_matrix((values.data, values.indices, ends), shape=(len(present), values.shape[1]))
    out = np.zeros((len(present), values.shape[1]), values.dtype)
    out[present] = values
    return out
