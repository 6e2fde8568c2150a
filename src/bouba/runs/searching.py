"""From queries to hits: embed them, put each in every way there is, look where it may be found, and merge what that
gives.

A hit is a row, and a row is one hit. Where a run keeps what training knew, rows are found whole, and words are put in
three ways that are fused: directly, by the letters of known texts, and by their meaning. A score is then standard
deviations above what known questions give to known rows. Elsewhere a row is found by its best cell, by one of pictures,
sounds or clips first. A picture, sound or clip by itself finds its like, and a view that is named is searched alone:
there a score is the similarity of two cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from bouba.data.kinds import FILES
from bouba.errors import UsageError
from bouba.runs.asking import MINUS, Question, places, question_of
from bouba.runs.cells import CellVectors, EmbeddedCells, direction
from bouba.runs.certainty import judged
from bouba.runs.indexing import found_as_rows
from bouba.runs.known import WHOLE
from bouba.search import Hit, Hits, Index, Known
from bouba.search.known import BRIDGE
from bouba.search.ways import Way, fused

LIKE = "like"  # the way of a row of the index


@dataclass(frozen=True)
class Narrowed:
    """Among which rows hits are looked for."""

    where: str | None
    equals: Mapping[str, Any]
    view: str | None
    domain: str | None
    width: int | None = None

    def best(
        self, index: Index, vectors: np.ndarray, view: str, k: int, weights: np.ndarray | None = None
    ) -> list[list[Hit]]:
        """For each of vectors (q, d) the k best cells of a view."""
        options: Any = {"where": self.where, "equals": self.equals, "weights": weights, "width": self.width}
        return index.search_many(vectors, k=k, view=view, **options)


@dataclass(frozen=True)
class Aim:
    """Where and by what a question is looked for.

    Args:
        vector: (d,) of cells, as the index compares them. views: groups of views, the first of which come first.
        ways: the same of whole rows. exclude: rows that are no hits. question: None for one that held-out questions are
            unlike, as one with a minus.
    """

    vector: np.ndarray
    views: tuple[tuple[str, ...], ...] = ()
    ways: tuple[Way, ...] = ()
    exclude: frozenset[int] = field(default_factory=frozenset)
    question: Question | None = None


def find(
    run: Any, queries: Sequence[tuple[Any, Any, Any]], narrowed: Narrowed, *, k: int, sure: float | None
) -> list[Hits]:
    """For each (query, minus, like) the k rows of a Run that fit best, or all that belong to a set, best first, each
    once; see Run.search. All are embedded, and looked for, at once."""
    questions = [question_of(run, *query, domain=narrowed.domain) for query in queries]
    cells = EmbeddedCells(run.model, [row for question in questions for row in question.rows])
    aims = [_aim(run, question, cells, narrowed.view, whole=narrowed.width is None) for question in questions]
    if sure is None:
        found = _found(run.index, aims, narrowed, k)
        searches: Iterable[Callable[[int], list[Hit]]] = ((lambda most, hits=hits: hits) for hits in found)  # type: ignore[misc]
    else:
        searches = (partial(_found_one, run.index, aim, narrowed) for aim in aims)
    return [
        judged(run, None if aim.question is None else aim.question.plus[0], search, k, sure)
        for aim, search in zip(aims, searches, strict=True)
    ]


def _aim(run: Any, question: Question, cells: EmbeddedCells, view: str | None, *, whole: bool) -> Aim:
    """Where and by what a question is looked for; among cells alone, whose scores nobody measured, if not `whole`."""
    model, index = run.model, run.index
    measurable = question if question.is_alone and whole else None
    own_rows = frozenset((*question.like, *question.unlike))
    indexed = [name for name in index.views if name != WHOLE]
    if question.vector is not None:
        return Aim(question.vector, (tuple(indexed) if view is None else (view,),))
    index.listing.places(sorted(own_rows))  # refuses a row that is not there
    view = _view_of_its_like(question, index) if view is None and not found_as_rows(model) else view
    if whole and view in (None, WHOLE) and WHOLE in index.views and run.known is not None:
        ways = tuple(_fused_ways(run, question, cells))
        return Aim(_not_zero(fused(ways).vector), ways=ways, exclude=own_rows, question=measurable)
    query_views = [name for row in question.plus for name in row.columns]
    if not model.aligns and not query_views:
        query_views = list(_files_first(model, _views_of_row(index, question.like[0], indexed))[0][:1])
    views = places(model, query_views, view, indexed)
    vector = _vector_of(model, index, question, cells, query_views if not model.aligns else indexed)
    return Aim(vector, _files_first(model, views), exclude=own_rows, question=measurable)


def _view_of_its_like(question: Question, index: Index) -> str | None:
    """The view where a picture, sound or clip by itself is looked for: among its like."""
    if not question.is_alone:
        return None
    (view, kind), *more = question.plus[0].modalities.items()
    return view if kind in FILES and view in index.views and not more else None


def _files_first(model: Any, views: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Views in groups: those of pictures, sounds and clips before others, as scores of the two do not compare."""
    first = tuple(view for view in views if model.kinds_.get(view) in FILES)
    return tuple(group for group in (first, tuple(view for view in views if view not in first)) if group)


def _views_of_row(index: Index, row: int, views: Sequence[str]) -> list[str]:
    """Those of which a row of the index has a cell."""
    return [view for view in views if row in index.vectors([row], view=view)]


def _found(index: Index, aims: Sequence[Aim], narrowed: Narrowed, k: int) -> list[list[Hit]]:
    """The hits of each aim; those that are looked for in the same views are so at once."""
    found: list[list[Hit]] = [[] for _ in aims]
    groups: dict[tuple[tuple[str, ...], ...], list[int]] = {}
    for place, aim in enumerate(aims):
        groups.setdefault(aim.views, []).append(place)
    for views, members in groups.items():
        some = [aims[place] for place in members]
        most = k + max(len(aim.exclude) for aim in some)
        hits = _best_cells(index, some, views, narrowed, most) if views else _whole_rows(index, some, narrowed, most)
        for place, own in zip(members, hits, strict=True):
            found[place] = [hit for hit in own if hit.row not in aims[place].exclude][:k]
    return found


def _found_one(index: Index, aim: Aim, narrowed: Narrowed, k: int) -> list[Hit]:
    return _found(index, [aim], narrowed, k)[0]


def _best_cells(
    index: Index, aims: Sequence[Aim], views: Sequence[Sequence[str]], narrowed: Narrowed, k: int
) -> list[list[Hit]]:
    """For each aim the best rows by their best cell of some views, all of a group before those of the next."""
    vectors = np.stack([aim.vector for aim in aims])
    best: list[dict[int, Hit]] = [{} for _ in aims]
    for group in views:
        if all(len(rows) >= k for rows in best):
            break
        of_views = [narrowed.best(index, vectors, view, k) for view in group]
        for rows, *hits in zip(best, *of_views, strict=True):
            for hit in sorted((hit for own in hits for hit in own), key=lambda hit: (-hit.score, hit.row)):
                rows.setdefault(hit.row, replace(hit, way="direct"))
    return [list(rows.values())[:k] for rows in best]


def _whole_rows(index: Index, aims: Sequence[Aim], narrowed: Narrowed, k: int) -> list[list[Hit]]:
    """For each aim the best rows by one vector each."""
    totals = [fused(aim.ways) for aim in aims]
    lengths = [float(np.linalg.norm(total.vector)) for total in totals]
    vectors = np.stack([total.vector / length for total, length in zip(totals, lengths, strict=True)])
    weights = np.stack([total.weights / length for total, length in zip(totals, lengths, strict=True)])
    found = narrowed.best(index, vectors, WHOLE, k, weights)
    stored = index.vectors(sorted({hit.row for hits in found for hit in hits}), view=WHOLE)
    return [
        [
            replace(hit, score=hit.score * length - total.centre, way=_strongest(aim.ways, *stored[hit.row]))
            for hit in hits
        ]
        for aim, total, length, hits in zip(aims, totals, lengths, found, strict=True)
    ]


def _fused_ways(run: Any, question: Question, cells: EmbeddedCells) -> list[Way]:
    """All ways of all parts, whose sum scores a hit. The parts of a question count alike, and so do the ways
    of a part; what hits should not fit counts MINUS of that."""
    model, known = run.model, run.known
    of_parts = [(1.0, ways_of(model, known, cell)) for row in question.plus for cell in cells.of(row)]
    of_parts += [(1.0, [_way_of_row(run.index, known, row)]) for row in question.like]
    n = len(of_parts)
    of_parts += [(-MINUS, ways_of(model, known, cell)) for row in question.minus for cell in cells.of(row)]
    of_parts += [(-MINUS, [_way_of_row(run.index, known, row)]) for row in question.unlike]
    return [way.times(share / n / len(ways)) for share, ways in of_parts for way in ways]


def ways_of(model: Any, known: Known, cell: CellVectors) -> list[Way]:
    """The ways to put a question of one cell, words in three.

    Raises:
        UsageError: the model makes nothing of it.
    """
    ways = known.ways(cell.view, cell.z, cell.words, cell.meaning)
    if not ways:
        what = cell.words or repr(cell.view)
        raise UsageError(f"the model makes nothing of {what}: its embedding is all zeros; say it otherwise")
    return ways


def _way_of_row(index: Index, known: Known, row: int) -> Way:
    """A row of the index as a question, whose scores stand beside those of words."""
    vector = index.vectors([row], view=WHOLE)[row][0]
    return known.way(LIKE, BRIDGE if BRIDGE in known.scales else next(iter(known.scales)), vector.astype(np.float64))


def _vector_of(model: Any, index: Index, question: Question, cells: EmbeddedCells, views: Sequence[str]) -> np.ndarray:
    """A question (d,): one part as it is, or the mean direction of its parts, less MINUS times that of each to avoid.

    Args:
        views: of the index, in which the cells of a row stand for it.
    """
    plus = [cells.joined(row) for row in question.plus]
    plus += [_vector_of_row(model, index, row, views) for row in question.like]
    away = [cells.joined(row) for row in question.minus]
    away += [_vector_of_row(model, index, row, views) for row in question.unlike]
    vector = plus[0] if len(plus) == 1 else np.mean([direction(model, z) for z in plus], axis=0)
    if not away:
        return vector
    return _not_zero(direction(model, vector) - MINUS * np.sum([direction(model, z) for z in away], axis=0))


def _vector_of_row(model: Any, index: Index, row: int, views: Sequence[str]) -> np.ndarray:
    """(d,) the mean direction of its cells of some views."""
    found = [index.vectors([row], view=view).get(row) for view in views]
    vectors = [direction(model, of_row[0].astype(np.float64)) for of_row in found if of_row is not None]
    if not vectors:
        raise UsageError(f"row {row} has no cell of {', '.join(views)}, by which others could be like it")
    return np.mean(vectors, axis=0)


def _not_zero(vector: np.ndarray) -> np.ndarray:
    if not np.linalg.norm(vector) > 1e-12:
        raise UsageError("what is looked for and what is not cancel out; say them otherwise")
    return vector


def _strongest(ways: Sequence[Way], vector: np.ndarray, offsets: np.ndarray) -> str:
    """The name of the ways that give a row most."""
    scores: dict[str, float] = {}
    for way in ways:
        scores[way.name] = scores.get(way.name, 0.0) + float(way.scores(vector[None], offsets[None])[0])
    return max(scores, key=lambda name: scores[name])
