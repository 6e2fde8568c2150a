"""One array of numbers, as numpy.save writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bouba.data.table import Table
from bouba.errors import DataError


def read(path: Path) -> Table:
    """The array (rows, numbers) is one view, named as the file."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # refuses a header that promises more than there is
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not an array of numbers as numpy.save writes it: {error}") from error
    if array.ndim != 2:
        raise DataError(f"{path.name} holds an array of shape {array.shape}; a view is (rows, numbers)")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path.name} holds values of type {array.dtype}; a view is of numbers")
    return Table({path.stem: np.array(array)}, path.parent)
