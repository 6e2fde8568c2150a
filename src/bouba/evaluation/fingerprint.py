"""Which data a number was measured on, as a short text: equal rows have equal ones, wherever they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bouba.data.views import Views, is_missing
from bouba.towers.content import content_key, digest


def fingerprint(*data: Views | np.ndarray | Path) -> str:
    """32 hexadecimal digits of the cells and labels of Views in their order, of arrays, and of what files hold.

    Names of views and labels count, names of files do not.

    Raises:
        DataError: a file that cannot be read.

    >>> a = Views({"x": ["ox", "cow"]}, kinds={"x": "text"})
    >>> fingerprint(a) == fingerprint(a), fingerprint(a) == fingerprint(a[::-1])
    (True, False)
    """
    return digest(part for one in data for part in _parts(one)).hex()


def _parts(data: Views | np.ndarray | Path) -> Iterator[bytes]:
    if isinstance(data, np.ndarray):
        yield content_key("vector", data)
    elif isinstance(data, Path):
        yield content_key("image", data)  # what a file holds is the same for every kind
    else:
        for name, column in data.columns.items():
            yield name.encode()
            for row, present in enumerate(column.present):
                yield content_key(column.kind, column[row]) if present else b"missing"
        for name, values in data.y.items():
            yield name.encode()
            yield from (b"missing" if is_missing(value) else str(value).encode() for value in values)
