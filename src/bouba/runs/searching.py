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
    if isinstance(query, np.ndarray) and query.shape == (index.dim,) and not _reads_numbers(model, schema, index.dim):
        vector, views = query, (view,) if view is not None else index.views
    else:
        row = question(model, query, domain=domain)
        views = places(model, list(row.columns), view, index.views)
        vector = vector_of(model, row)
    hits = [hit for name in views for hit in index.search(vector, k=k, view=name, where=where, equals=equals)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.row))[:k]


def _reads_numbers(model: Any, schema: Schema, width: int) -> bool:
    """Whether an array of so many numbers is a cell of a view, not an embedding."""
    vectors = [view for view, kind in model.kinds_.items() if kind == "vector"]
    return any(len(schema.columns_of(view)) == width for view in vectors)
