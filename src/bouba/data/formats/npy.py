"""One array of numbers, as numpy.save writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bouba.data.table import Table
from bouba.errors import DataError


def read(path: Path) -> Table:
    """The array (rows, numbers) is one view, named as the file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not an array of numbers as numpy.save writes it: {error}") from error
    if array.ndim != 2:
        raise DataError(f"{path.name} holds an array of shape {array.shape}; a view is (rows, numbers)")
    return Table({path.stem: array}, path.parent)
