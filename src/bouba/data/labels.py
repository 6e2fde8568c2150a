"""Label columns: classes or quantities?"""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np

from bouba.data.views import is_missing
from bouba.errors import DataError

MOST_CLASSES = 20  # different numbers in a label column, above which they are a quantity unless somebody wants classes


def holds_numbers(values: np.ndarray) -> bool:
    """Whether a label column is a quantity, not a class: numbers, some of them not whole, or over 20 different ones."""
    cells = known_labels(values)
    if not cells or not all(
        isinstance(c, int | float | np.number) and not isinstance(c, bool | np.bool_) for c in cells
    ):
        return False
    return len(set(cells)) > MOST_CLASSES or not all(float(c).is_integer() for c in cells)


def refuse_quantity(label: str, values: np.ndarray) -> None:
    """DataError for a column of numbers that is to be classes and holds a quantity: over 20 different ones that are
    not whole. A warning where most whole ones occur once."""
    cells = known_labels(values)
    counts = Counter(cells)
    if not holds_numbers(values) or len(counts) <= MOST_CLASSES:
        return
    message = f"label {label!r} holds {len(counts)} different numbers in {len(cells)} rows"
    instead = (
        "predict a quantity with FusionRegressor (--method regressor), or cut it into classes and give them as text"
    )
    if not all(float(c).is_integer() for c in cells):
        raise DataError(f"{message}, which are no classes; {instead}")
    if sum(count == 1 for count in counts.values()) > len(counts) / 2:
        warnings.warn(f"{message}, and each becomes a class; {instead}", UserWarning, stacklevel=2)


def known_labels(values: np.ndarray) -> list:
    """The cells of a label column that are there."""
    return [v for v in values if not is_missing(v)]
