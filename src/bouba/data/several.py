"""Several things of one kind in one cell: the pictures of a product, the captions of a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from bouba.data.missing import is_missing

KINDS_OF_SEVERAL = ("image", "text", "audio")
"""Kinds of which a cell may hold several."""
SEPARATOR = "|"
"""What stands between them in a text, where a column is named with it at the end: "photos|"."""


class Several(tuple):
    """A cell of several pictures, texts or sounds, without those that are missing; `Pooled` reads them all.

    What knows nothing of several reads the first, and of texts all, one after another.

    >>> Several(["front.jpg", None, "back.jpg"])
    Several('front.jpg', 'back.jpg')
    """

    __slots__ = ()

    def __new__(cls, cells: Iterable[Any]) -> Several:
        return super().__new__(cls, (cell for cell in cells if not is_missing(cell)))

    def __repr__(self) -> str:
        return f"Several({', '.join(map(repr, self))})"

    def __str__(self) -> str:
        return " ".join(map(str, self))


def parts_of(cell: Any) -> tuple[Any, ...]:
    """What a cell holds, one thing or several."""
    return tuple(cell) if isinstance(cell, Several) else (cell,)


def first_of(cell: Any) -> Any:
    """The first thing that a cell holds."""
    return cell[0] if isinstance(cell, Several) and cell else cell


def several(kind: str, cell: Any, *, split: bool = False) -> Any:
    """A cell as it stands in a table: a list of things is Several, one of one thing is that thing, an empty one None.

    A list of numbers, or of lists of them, is no list of things but pixels or samples.

    Args:
        kind: of the view. split: whether a text holds several, with SEPARATOR between them.
    """
    if split and isinstance(cell, str):
        cell = [part.strip() for part in cell.split(SEPARATOR)]
    if kind not in KINDS_OF_SEVERAL or not (isinstance(cell, Several) or _is_list_of_things(cell)):
        return cell
    found = Several(cell)
    return found if len(found) > 1 else first_of(found) if found else None


def with_several(kind: str, values: Any, *, split: bool = False) -> Any:
    """The cells of a column, each as `several` gives it; the values as they are where none is changed."""
    if getattr(values, "ndim", 1) > 1 or (hasattr(values, "dtype") and values.dtype.kind != "O" and not split):
        return values
    cells = [several(kind, values[i], split=split) for i in range(len(values))]
    return cells if any(isinstance(cell, Several) or cell is not values[i] for i, cell in enumerate(cells)) else values


def _is_list_of_things(cell: Any) -> bool:
    if not isinstance(cell, list):
        return False
    first = next((part for part in cell if not is_missing(part)), "")
    return isinstance(first, str | bytes | dict | os.PathLike) or type(first).__module__.startswith("PIL.")


def holds_several(cells: Any) -> bool:
    """Whether a cell of some values, a list or an array of objects, is Several."""
    inner = getattr(cells, "cells", cells)  # of what was picked
    return isinstance(inner, list) and any(isinstance(cell, Several) for cell in inner)
