"""From a query to hits: embed it, look in the views where it may be found, and merge what they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.data.schema import Schema
from bouba.runs.asking import places, question, vector_of
from bouba.search import Hit, Index


def find(
    model: Any,
    index: Index,
    schema: Schema,
    query: Any,
    *,
    k: int,
    where: str | None,
    equals: Mapping[str, Any],
    view: str | None,
    domain: str | None,
) -> list[Hit]:
    """The k best hits of all views that are searched, best first; see Run.search."""
    cells = _view_of_numbers(schema, query)
    if cells is None and isinstance(query, np.ndarray) and query.shape == (index.dim,):
        vector, views = query, (view,) if view is not None else index.views
    else:
        row = question(model, query if cells is None else cells, domain=domain)
        views = places(model, list(row.columns), view, index.views)
        vector = vector_of(model, row)
    hits = [hit for name in views for hit in index.search(vector, k=k, view=name, where=where, equals=equals)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.row))[:k]


def _view_of_numbers(schema: Schema, query: Any) -> dict[str, np.ndarray] | None:
    """An array of numbers as a cell of the first view of vectors of its width; None for what is none."""
    if not isinstance(query, np.ndarray) or query.ndim != 1:
        return None
    widths = {view: schema.widths.get(view, len(schema.columns_of(view))) for view in schema.kinds}
    views = (view for view, kind in schema.kinds.items() if kind == "vector" and widths[view] == len(query))
    return next(({view: query} for view in views), None)
