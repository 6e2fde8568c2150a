"""What the rows of a table hold, a digest each: rows are the same when their cells and columns are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bouba.data.kinds import FILES
from bouba.data.views import Views, is_missing
from bouba.errors import DataError
from bouba.towers.content import content_key, digest

if TYPE_CHECKING:
    from bouba.search.columns import IndexColumn

log = logging.getLogger("bouba")


def contents_of(views: Views, columns: Mapping[str, Sequence[Any]], stored: Sequence[IndexColumn]) -> list[bytes]:
    """A digest a row: of the bytes of its files, its texts and numbers, and its values in the columns of an index.

    A column that is not there counts as one of missing values, and so does a cell that cannot be read.

    Args:
        views: n rows. columns: name -> n values. stored: the columns of the index; others do not count.
    """
    fitted = {column.name: column for column in stored if column.name in columns}
    return [digest(_parts(views, columns, fitted, row)) for row in range(len(views))]


def _parts(
    views: Views, columns: Mapping[str, Sequence[Any]], fitted: Mapping[str, IndexColumn], row: int
) -> Iterator[bytes]:
    for name, column in sorted(views.columns.items()):
        cell = column[row]
        # a file that breaks while it is decoded is lost to training, and is still what the table names
        if not is_missing(cell) if column.kind in FILES else column.has[column.index[row]]:
            try:
                key = content_key(column.kind, cell)
            except DataError:
                continue
            yield from (name.encode(), key)
    for name, stored in sorted(fitted.items()):
        value = stored.fit(columns[name][row])
        if value is not None:
            yield from (f"column {name}".encode(), repr(value).encode())
