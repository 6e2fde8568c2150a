"""Later rows read as those that a model was fitted on: columns matched by name, in whatever order they stand."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bouba.data.arrays import is_array
from bouba.data.read import as_views, read_like
from bouba.data.schema import Schema
from bouba.data.sparse import SparseRows
from bouba.data.views import Column, Views
from bouba.errors import DataError


def views_like(data: Any, schema: Schema | None) -> Views:
    """Views, or whatever `bouba.read` takes, as the views of a schema: every row, the numbers of each vector in the
    order of the schema.

    Args:
        data: rows of later; one array (n, d) goes by place, where there is one view of vectors.
        schema: of the earlier rows; None where nobody kept it.

    Raises:
        DataError: a vector lacks a column that the earlier ones had. ModalityError: as `read_like`.
    """
    if schema is None:
        return as_views(data)
    if _is_nameless(data) and list(schema.kinds.values()) == ["vector"]:
        data = Views(dict.fromkeys(schema.kinds, data))
    views = data if isinstance(data, Views) else read_like(data, schema, every_row=True)
    orders = {
        name: order
        for name, column in views.columns.items()
        if column.kind == "vector"
        and (order := column_order(name, schema.columns.get(name, ()), views.sources.get(name, ()))) is not None
    }
    if not orders:
        return views
    columns = {name: _reordered(c, orders[name]) if name in orders else c for name, c in views.columns.items()}
    return views.replace(columns=columns, sources={**views.sources, **{name: schema.columns[name] for name in orders}})


def views_for(model: Any, data: Any) -> Views:
    """The same by the schema that a model keeps; as `bouba.read` takes it where it keeps none."""
    return views_like(data, getattr(model, "schema_", None))


def column_order(view: str, before: Sequence[str], now: Sequence[str]) -> np.ndarray | None:
    """Where the columns of earlier rows stand among those of now; None where they stand alike, or one has no names.

    Columns that are new are left out, with a warning.

    Raises:
        DataError: a column of before that is not there.
    """
    place = {name: i for i, name in enumerate(now)}
    if not before or not now or tuple(before) == tuple(now) or any("*" in n and n not in place for n in before):
        return None
    if not place.keys() & set(before) and (_are_default(before) or _are_default(now)) and len(before) == len(now):
        return None
    lacking = [name for name in before if name not in place]
    if lacking:
        raise DataError(
            f"view {view!r} has no column {_listed(lacking)}, which the model was fitted on; it has {_listed(now)}"
        )
    fitted = set(before)
    new = [name for name in now if name not in fitted]
    if new:
        message = f"view {view!r} has {_listed(new)}, which the model was not fitted on; left out"
        warnings.warn(message, UserWarning, stacklevel=2)
    return np.array([place[name] for name in before])


def _is_nameless(data: Any) -> bool:
    """Whether rows came as one array (n, d), whose columns can only go by place."""
    return is_array(data) and not hasattr(data, "columns") and getattr(data, "ndim", 0) == 2


def _are_default(names: Sequence[str]) -> bool:
    """Whether names are 0, 1, ..., which a frame gives columns that nobody named."""
    return list(names) == [str(i) for i in range(len(names))]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:6]))
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _reordered(column: Column, order: np.ndarray) -> Column:
    """A column of vectors with their numbers in another order."""
    if isinstance(column.values, SparseRows):
        return replace(column, values=column.values.ordered(order))
    values = np.asarray(column.values) if isinstance(column.values, np.ndarray) else None
    if values is None:
        cells = [np.asarray(column[row])[order] if there else None for row, there in enumerate(column.present)]
        return Column.of(cells, column.kind)
    return replace(column, values=values[:, order])
