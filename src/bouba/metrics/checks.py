"""Arguments of the metrics are checked once, here, and named in the message."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError


def check_embeddings(name: str, z: ArrayLike) -> NDArray[np.float64]:
    """`z` as a finite float64 matrix (rows, dimensions), or a DataError that names array and row."""
    try:
        matrix = np.asarray(z, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must hold numbers: {error}; pass embeddings as an array (n, d)") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise DataError(f"{name} must be a matrix (rows, dimensions) with at least one row, got shape {matrix.shape}")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        raise DataError(
            f"{name} has NaN or infinity in {len(bad)} of {len(matrix)} rows, first in row {bad[0]}; "
            "drop those rows or mend the encoder that made them"
        )
    return matrix


def check_same_width(name_a: str, a: NDArray, name_b: str, b: NDArray) -> None:
    """Refuse two sets of embeddings that do not live in one space."""
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"{name_a} has {a.shape[1]} dimensions and {name_b} has {b.shape[1]}; embed both with the same model"
        )


def check_labels(name: str, y: ArrayLike, rows: int | None = None) -> NDArray:
    """`y` as a vector of labels of any dtype, none missing, one for each of `rows`."""
    labels = np.asarray(y)
    if labels.dtype.kind == "U" and not isinstance(y, np.ndarray):
        # numpy makes 1 and NaN the words '1' and 'nan' in an array with a word; objects stay themselves
        labels = labels if _all_words(y) else np.asarray(y, dtype=object)
    if labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"{name} must be a vector with at least one label, got shape {labels.shape}")
    if rows is not None and len(labels) != rows:
        raise DataError(f"{name} has {len(labels)} labels for {rows} rows; pass one label for each row")
    if labels.dtype == object:
        missing = np.array([_is_missing(value) for value in labels.tolist()])
    else:
        missing = labels != labels  # NaN and NaT are the values that differ from themselves
    if missing.any():
        raise DataError(
            f"{name} has {missing.sum()} missing labels, first in row {np.argmax(missing)}; "
            "drop those rows or give them a label"
        )
    return labels


def _all_words(y: ArrayLike) -> bool:
    return isinstance(y, str) or all(isinstance(value, str) for value in y)  # type: ignore[union-attr]


def _is_missing(value: object) -> bool:
    # pandas.NA == pandas.NA is neither true nor false, so it is caught by type
    same = value == value
    return value is None or not isinstance(same, bool | np.bool_) or not same


def encode(*labels: NDArray) -> tuple[list[NDArray[np.intp]], list[Hashable]]:
    """Integer codes shared by all `labels`, and the label of each code: 'cat' is one code everywhere.

    A dictionary rather than `np.unique`, which would turn 1 and '1' into the same string.
    """
    code_of: dict[Hashable, int] = {}
    codes = [np.array([code_of.setdefault(v, len(code_of)) for v in y.tolist()], dtype=np.intp) for y in labels]
    return codes, list(code_of)


def sort_labels(labels: Iterable[Hashable]) -> list[Hashable]:
    """Labels in their own order, or by type and text where they cannot be compared."""
    listed = list(labels)
    try:
        return sorted(listed)  # type: ignore[type-var]
    except TypeError:
        return sorted(listed, key=lambda label: (type(label).__name__, str(label)))
