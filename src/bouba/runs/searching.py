"""From a query to hits: embed it, put it in every way there is, look where it may be found, and merge what that gives.

Where a run keeps what training knew, rows are found whole, and words are put in three ways that are fused: directly, by
the letters of known texts, and by their meaning. A score is then standard deviations above what known questions give to
known rows. A picture, sound or clip by itself finds its like, and a view that is named is searched alone: there a score
is the similarity of two cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.kinds import FILES
from bouba.data.schema import Schema
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.runs.asking import MINUS, negatives, places, question, single_cells, vector_of
from bouba.runs.certainty import judged
from bouba.runs.known import WHOLE, meanings_of, reads_alone
from bouba.search import Hit, Hits, Index, Known
from bouba.search.ways import Way, fused


@dataclass(frozen=True)
class Narrowed:
    """How many hits, and among which cells."""

    k: int
    where: str | None
    equals: Mapping[str, Any]

    def to(self, k: int) -> Narrowed:
        """The same with another k."""
        return replace(self, k=k)

    def best(self, index: Index, vector: np.ndarray, view: str, weights: np.ndarray | None = None) -> list[Hit]:
        """The k best cells of a view."""
        return index.search(vector, k=self.k, view=view, where=self.where, equals=self.equals, weights=weights)


def find(
    run: Any,
    query: Any,
    *,
    minus: Any,
    k: int,
    where: str | None,
    equals: Mapping[str, Any],
    view: str | None,
    domain: str | None,
    sure: float | None = None,
) -> Hits:
    """The k rows of a Run that fit a query best, or all that belong to a set, best first, each once; see Run.search."""
    model, index, narrowed = run.model, run.index, Narrowed(k, where, equals)
    cells = _view_of_numbers(run.schema, query)
    if cells is None and isinstance(query, np.ndarray) and query.shape == (index.dim,):
        if negatives(minus):
            raise UsageError("minus= goes with words, files or cells; take it off an embedding yourself")
        views = (view,) if view is not None else tuple(name for name in index.views if name != WHOLE)
        return judged(run, None, lambda most: _best_cells(index, query, views, narrowed.to(most)), k, sure)
    row = question(model, query if cells is None else cells, domain=domain)
    away = [question(model, each, domain=domain) for each in negatives(minus)]
    measurable = None if away else row
    if WHOLE in index.views and run.known is not None:
        view = _like(row, away, index) if view is None else view
        if view == WHOLE:
            ways = _fused_ways(model, run.known, row, away)
            return judged(run, measurable, lambda most: _whole_rows(index, ways, narrowed.to(most)), k, sure)
    views = places(model, list(row.columns), view, [name for name in index.views if name != WHOLE])
    vector = vector_of(model, row, away)
    return judged(run, measurable, lambda most: _best_cells(index, vector, views, narrowed.to(most)), k, sure)


def _like(row: Views, away: Sequence[Views], index: Index) -> str:
    """Where a query is looked for: a picture, sound or clip by itself among its like, all else in whole rows."""
    (view, kind), *more = row.modalities.items()
    return view if kind in FILES and view in index.views and not more and not away else WHOLE


def _best_cells(index: Index, vector: np.ndarray, views: Sequence[str], narrowed: Narrowed) -> list[Hit]:
    """The best rows by their best cell of some views."""
    hits = [hit for name in views for hit in narrowed.best(index, vector, name)]
    hits.sort(key=lambda hit: (-hit.score, hit.row))
    best = {hit.row: hit for hit in reversed(hits)}
    return [replace(hit, way="direct") for hit in hits if hit is best[hit.row]][: narrowed.k]


def _fused_ways(model: Any, known: Known, row: Views, away: Sequence[Views]) -> list[Way]:
    """All ways of all parts, whose sum scores a hit. The parts of a question count alike, and so do the ways
    of a part; what hits should not fit counts MINUS of that."""
    plus = single_cells(row)
    parts = [(1 / len(plus), part) for part in plus]
    parts += [(-MINUS / len(plus), part) for each in away for part in single_cells(each)]
    ways = []
    for share, part in parts:
        of_part = ways_of(model, known, part)
        ways += [way.times(share / len(of_part)) for way in of_part]
    return ways


def ways_of(model: Any, known: Known, part: Views) -> list[Way]:
    """The ways to put a question of one cell, words in three.

    Raises:
        UsageError: the model makes nothing of it.
    """
    ((view, column),) = part.columns.items()
    words = str(decode.text(column[0])) if column.kind == "text" else None
    meaning = meanings_of(model, part, view)[0] if words is not None and reads_alone(model, view) else None
    ways = known.ways(view, model.embed(part)[view][0], words, meaning)
    if not ways:
        raise UsageError(f"the model makes nothing of {words or view!r}: its embedding is all zeros; say it otherwise")
    return ways


def _whole_rows(index: Index, ways: Sequence[Way], narrowed: Narrowed) -> list[Hit]:
    """The best rows by one vector each."""
    total = fused(ways)
    length = float(np.linalg.norm(total.vector))
    if length == 0:
        raise UsageError("what is looked for and what is not cancel out; say them otherwise")
    hits = narrowed.best(index, total.vector / length, WHOLE, total.weights / length)
    stored = index.vectors([hit.row for hit in hits], view=WHOLE)
    return [
        replace(hit, score=hit.score * length - total.centre, way=_strongest(ways, *stored[hit.row])) for hit in hits
    ]


def _strongest(ways: Sequence[Way], vector: np.ndarray, offsets: np.ndarray) -> str:
    """The name of the ways that give a row most."""
    scores: dict[str, float] = {}
    for way in ways:
        scores[way.name] = scores.get(way.name, 0.0) + float(way.scores(vector[None], offsets[None])[0])
    return max(scores, key=lambda name: scores[name])


def _view_of_numbers(schema: Schema, query: Any) -> dict[str, np.ndarray] | None:
    """An array of numbers as a cell of the first view of vectors of its width; None for what is none."""
    if not isinstance(query, np.ndarray) or query.ndim != 1:
        return None
    widths = {view: schema.widths.get(view, len(schema.columns_of(view))) for view in schema.kinds}
    views = (view for view, kind in schema.kinds.items() if kind == "vector" and widths[view] == len(query))
    return next(({view: query} for view in views), None)
