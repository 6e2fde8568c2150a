"""Rows of several series and frames, paired by the names in their index; never by place where both have names."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from bouba.data.arrays import as_array, column_values, is_named
from bouba.errors import DataError

SHOWN = 3  # names of rows in a message


@dataclass(frozen=True)
class Pairing:
    """How rows of several columns are put beside each other.

    Args:
        names: the index (n,) of the paired rows; None where no column has one.
        places: column -> int64 (n,), where each row stands in it, -1 where it lacks the row. A column that is not in it
            stays as it stands.
    """

    names: Any = None
    places: Mapping[str, np.ndarray] | None = None

    def places_of(self, column: str) -> np.ndarray | None:
        """int64 (n,), where each row stands in a column, -1 where it lacks the row; None where all stand alike."""
        return (self.places or {}).get(column)

    def cells(self, column: str, values: Any) -> Any:
        """The cells of a column in the order of the paired rows, None where it lacks one."""
        places = self.places_of(column)
        if places is None:
            return values
        if isinstance(values, np.ndarray) and (places >= 0).all():
            return values[places]
        return [values[int(place)] if place >= 0 else None for place in places]


def index_of(values: Any) -> Any:
    """The names of the rows of a series or frame; None for what has none."""
    return values.index if is_named(values) else None


def pair(columns: Mapping[str, Any]) -> Pairing:
    """Pair the rows of columns by their index.

    Rows are matched by name in the order of the first column that has names, those that it lacks after them. An index
    0, 1, ..., n - 1 that shares no name with any other, and what has no index, go by place; with a warning where the
    others have names.

    Raises:
        DataError: names that cannot be matched: none shared, one that occurs twice, columns without names beside some
            that stand in another order.
    """
    indexes = _alike({name: index for name, values in columns.items() if (index := index_of(values)) is not None})
    if not indexes:
        return Pairing()
    first = next(iter(indexes.values()))
    named = {name: index for name, index in indexes.items() if not is_default(index)}
    if all(index.equals(first) for index in indexes.values()) or not named:
        return Pairing(first)
    named |= {name: index for name, index in indexes.items() if name not in named and _shares(index, named)}
    named = {name: indexes[name] for name in indexes if name in named}
    names = next(iter(named.values()))
    unnamed = [name for name, values in columns.items() if name not in named and values is not None]
    if not all(index.equals(names) for index in named.values()):
        _refuse_unmatched(named, unnamed)
        names = reduce(lambda known, index: known.append(index[~index.isin(known)]), named.values())
        places = {name: index.get_indexer(names) for name, index in named.items()}
        _warn_of_lacking(places, names)
        return Pairing(names, places)
    _warn_of_place([name for name in unnamed if name in indexes], next(iter(named)))
    return Pairing(names)


def row_values(name: str, values: Any, names: Any = None) -> np.ndarray:
    """Values about rows, such as labels or domains, (n,) in the order of these rows.

    Args:
        name: what messages call them.
        values: a list, array, tensor or series; of a series or frame the index is matched with `names`.
        names: the index (n,) of the rows; None where they have none.

    Raises:
        DataError: several columns, an index that does not fit.
    """
    values = in_order(name, values, names)
    if is_named(values) and values.ndim == 2 and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if getattr(values, "ndim", 1) != 1 and is_named(values):
        raise DataError(f"{name} has {values.shape[1]} columns; give one value a row, or label columns by bouba.read")
    is_plain = type(values) is np.ndarray and values.dtype.kind in "biufOM" and values.dtype.isnative
    cells = values if is_plain else as_array(column_values(name, values))
    if cells.ndim == 2 and cells.shape[1] == 1:
        cells = cells[:, 0]
    if cells.ndim != 1:
        raise DataError(f"{name} has shape {cells.shape}; give one value a row, or label columns by bouba.read")
    return cells


def in_order(name: str, values: Any, names: Any) -> Any:
    """A series or frame in the order of the rows `names`; as it is where one of both has no names.

    Raises:
        DataError: an index of other rows.
    """
    index = index_of(values)
    if index is None or names is None or index.equals(names):
        return values
    return values.iloc[_places_of(name, index, names)]


def is_default(index: Any) -> bool:
    """Whether an index is 0, 1, ..., n - 1, which nobody named."""
    if index.nlevels > 1 or index.dtype.kind not in "iu":
        return False
    return bool((np.asarray(index) == np.arange(len(index))).all())


def _places_of(name: str, index: Any, names: Any) -> Any:
    """Where the rows `names` stand in an index."""
    both = _alike({name: index, "X": names})
    index, names = both.values()
    nameless = [which for which, one in both.items() if is_default(one)]
    if nameless and not index.isin(names).any():
        if len(index) == len(names):
            _warn_of_place([nameless[0]], next(which for which in both if which != nameless[0]))
        return slice(None)
    _refuse_unmatched(both, [])
    lacking, more = names[~names.isin(index)], index[~index.isin(names)]
    if len(lacking) or len(more):
        parts = [f"lacks {len(lacking)} of {len(names)} rows, {_shown(lacking)}"] if len(lacking) else []
        parts += [f"has {len(more)} that are none of them, {_shown(more)}"] if len(more) else []
        raise DataError(f"{name} {' and '.join(parts)}; give it the index of the rows")
    return index.get_indexer(names)


def _alike(indexes: Mapping[str, Any]) -> dict[str, Any]:
    """The indexes; where they are of different types, as indexes of plain labels, which compare with each other."""
    if len({(index.nlevels, str(index.dtype)) for index in indexes.values()}) < 2:
        return dict(indexes)
    plain = sys.modules["pandas"].Index
    return {
        name: index if is_default(index) else plain(index.to_list(), dtype=object, tupleize_cols=False)
        for name, index in indexes.items()
    }


def _shares(index: Any, others: Mapping[str, Any]) -> bool:
    return any(index.isin(other).any() for other in others.values())


def _refuse_unmatched(named: Mapping[str, Any], unnamed: list[str]) -> None:
    """DataError for indexes of which no two rows, or two rows of one name, can be matched."""
    if unnamed:
        raise DataError(
            f"{', '.join(map(repr, named))} name their rows in different orders, and {', '.join(map(repr, unnamed))} "
            "have no names to find theirs by; give all of them an index"
        )
    for name, index in named.items():
        others = [other for other in named if other != name]
        if not _shares(index, {other: named[other] for other in others}):
            raise DataError(
                f"no row of {name!r} ({_shown(index)}) is one of {', '.join(map(repr, others))} "
                f"({_shown(named[others[0]])}); name rows alike, or give arrays to pair them by place"
            )
        if not index.is_unique:
            twice = _label(index[index.duplicated()][0])
            raise DataError(
                f"row {twice} occurs twice or more in the index of {name!r}, so it cannot be matched with "
                f"{', '.join(map(repr, others))}; name each row once"
            )


def _shown(index: Any) -> str:
    listed = ", ".join(map(_label, index[:SHOWN].tolist()))
    return listed + (", ..." if len(index) > SHOWN else "")


def _label(label: Any) -> str:
    return repr(label) if isinstance(label, str | tuple) else str(label)


def _warn_of_lacking(places: Mapping[str, np.ndarray], names: Any) -> None:
    absent = {name: place < 0 for name, place in places.items() if (place < 0).any()}
    if absent:
        lacking = [
            f"{name!r} lacks {int(rows.sum())} of {len(names)} rows, first {_label(names[int(rows.argmax())])}"
            for name, rows in absent.items()
        ]
        message = f"rows are paired by their index, and {'; '.join(lacking)}: these cells are missing"
        warnings.warn(message, UserWarning, stacklevel=2)


def _warn_of_place(nameless: list[str], named: str) -> None:
    for name in nameless:
        warnings.warn(
            f"{name!r} has no names of rows (its index is 0, 1, ...) and is paired with {named!r} by place; give both "
            "the same index to pair them by name",
            UserWarning,
            stacklevel=2,
        )
