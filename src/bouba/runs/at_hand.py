"""A model with the embeddings of a table at hand, so that whoever judges it by rows of the table embeds none again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.runs.indexing import FUSED
from bouba.search.cells import Numbers


@dataclass(frozen=True)
class WithEmbeddings:
    """Every other attribute is that of the model.

    Args:
        model: fitted. views: the rows (n). vectors: view, or FUSED -> (n, d), what the model gives of them.
    """

    model: Any
    views: Views
    vectors: Mapping[str, Numbers]

    def embed(self, X: Views) -> dict[str, np.ndarray]:
        """view -> (m, d), of the table's rows as they were; of others by the model."""
        rows = self._rows(X) if set(X.columns) <= set(self.vectors) else None
        return self.model.embed(X) if rows is None else {name: self.vectors[name][rows] for name in X.columns}

    def fuse(self, X: Views) -> np.ndarray:
        """(m, d), likewise."""
        every = FUSED in self.vectors and set(X.columns) == set(self.views.columns) & set(self.model.kinds_)
        rows = self._rows(X) if every else None
        return self.model.fuse(X) if rows is None else self.vectors[FUSED][rows]

    def _rows(self, X: Views) -> np.ndarray | None:
        """(m,) where rows stand in the table; None where a cell or domain is not that of the table."""
        places = [_places(self.views, X, name) for name in X.columns]
        rows = places[0]
        if rows is None or any(other is None or not np.array_equal(rows, other) for other in places):
            return None
        return rows if _equal(self.views.domain, X.domain, rows) else None

    def __getattr__(self, name: str) -> Any:
        if name == "model" or name.startswith("__"):  # looked up before there are fields, while it is copied
            raise AttributeError(name)
        return getattr(self.model, name)


def _places(views: Views, X: Views, name: str) -> np.ndarray | None:
    """(m,) the rows of views whose cells are those of a column of X; None where it has others."""
    mine, theirs = views.columns[name], X.columns[name]
    if theirs.values is not mine.values:
        return None
    row_of = np.full(len(mine.values), -1)
    row_of[mine.index] = np.arange(len(mine))
    rows = row_of[theirs.index]
    return rows if (rows >= 0).all() and np.array_equal(theirs.present, mine.present[rows]) else None


def _equal(domain: Any, other: Any, rows: np.ndarray) -> bool:
    """Whether rows have the same domains; a model may normalise each by its own statistics."""
    if domain is None or other is None:
        return domain is other
    return [str(name) for name in domain[rows]] == [str(name) for name in other]
