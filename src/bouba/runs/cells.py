"""The cells of several questions as vectors, those of one view embedded at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.views import Views
from bouba.runs.indexing import found_as_rows
from bouba.runs.known import meanings_of, reads_alone


@dataclass(frozen=True)
class CellVectors:
    """One cell of a question.

    Args:
        view: of the cell. z: (d,) its embedding. words: of a text. meaning: (D,) what its frozen encoder makes of it.
    """

    view: str
    z: np.ndarray
    words: str | None = None
    meaning: np.ndarray | None = None


class EmbeddedCells:
    """The cells of questions.

    Args:
        model: fitted. rows: Views of one row each.
    """

    def __init__(self, model: Any, rows: Sequence[Views]):
        self._model = model
        self._cells: dict[tuple[int, str], CellVectors] = {}
        groups: dict[tuple[str, str | None], list[Views]] = {}
        for row in [] if found_as_rows(model) else rows:
            for view in row.columns:
                groups.setdefault((view, None if row.domain is None else str(row.domain[0])), []).append(row)
        for (view, domain), some in groups.items():
            for row, cell in zip(some, self._embedded(view, domain, some), strict=True):
                self._cells[id(row), view] = cell

    def _embedded(self, view: str, domain: str | None, rows: Sequence[Views]) -> list[CellVectors]:
        """One view of some rows."""
        if len(rows) == 1:
            together = rows[0].select(view)
        else:
            kind = {view: rows[0].modalities[view]}
            domains = None if domain is None else [domain] * len(rows)
            together = Views({view: [row.columns[view][0] for row in rows]}, kinds=kind, domain=domains)
        z, column = np.asarray(self._model.embed(together)[view]), together.columns[view]
        words = [str(decode.text(cell)) for cell in column] if column.kind == "text" else [None] * len(rows)
        reads = column.kind == "text" and reads_alone(self._model, view)
        meanings = meanings_of(self._model, together, view) if reads else [None] * len(rows)
        return [CellVectors(view, *cell) for cell in zip(z, words, meanings, strict=True)]

    def of(self, row: Views) -> list[CellVectors]:
        """The cells of one of the rows."""
        return [self._cells[id(row), view] for view in row.columns]

    def joined(self, row: Views) -> np.ndarray:
        """(d,) of one of the rows: fused where rows are found as a whole, else its cell, or the mean direction of its
        cells."""
        if found_as_rows(self._model):
            return self._model.fuse(row)[0]
        vectors = [cell.z for cell in self.of(row)]
        return vectors[0] if len(vectors) == 1 else np.mean([direction(self._model, z) for z in vectors], axis=0)


def direction(model: Any, z: np.ndarray) -> np.ndarray:
    """At length one where embeddings are compared by cosine."""
    return z / max(float(np.linalg.norm(z)), 1e-6) if model.compared_by == "cosine" else z
