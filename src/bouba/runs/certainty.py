"""What a run's scores are worth: measured on pairs that were held out, kept with the run, said of every search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.metrics.similarity import similarities
from bouba.runs.known import WHOLE, known_things, meanings_of, reads_alone
from bouba.search import Certainty, Direction, Hits, Index, Known
from bouba.search.certainty import FEWEST, SURE
from bouba.search.query import Hit
from bouba.search.ways import fused

FILE = "certainty.json"
QUESTIONS = 500  # things that are asked for, at most
CELLS = 20_000  # rows that are searched, at most
STEP = 200  # hits that are fetched first of a set


def opened(folder: Path) -> Certainty | None:
    """What the run in a folder kept; None for one that kept nothing."""
    return Certainty.load(folder / FILE) if (folder / FILE).exists() else None


def measured(model: Any, index: Index, gallery: Views, held_out: Views, known: Known | None) -> Certainty:
    """How held-out questions score, from every view to every other and to whole rows.

    Args:
        model: fitted, that aligns. index: of its run. gallery: rows of the index.
        held_out: rows that it never saw, whose things are in the gallery.
        known: what is known without them, where rows are found whole.
    """
    questions = held_out[_one_a_thing(held_out)].select(*(view for view in held_out.columns if view in model.kinds_))
    rows = _sample(np.arange(len(gallery)), CELLS, np.flatnonzero(np.isin(gallery.things, questions.things)))
    gallery = gallery[rows]
    cells = {view: _stored(index, gallery, view) for view in index.views if view in gallery.columns}
    directions = []
    for view, z in model.embed(questions).items():
        scored = {b: _cell_scores(model, questions, gallery, (view, b), z, cells[b]) for b in cells if b != view}
        if known is not None and view in known.kinds:
            scored[WHOLE] = _whole_scores(model, known, questions, gallery, view, z, cells)
        for answer, scores in scored.items():
            of_questions = list(scores)
            if len(of_questions) >= FEWEST:
                directions.append(Direction.of(view, answer, of_questions))
    return Certainty(tuple(directions))


def judged(run: Any, question: Views | None, search: Callable[[int], list[Hit]], k: int, sure: float | None) -> Hits:
    """The hits of a search with their confidence, and what is to be said of them.

    Args:
        run: a Run. question: None for one that held-out questions are unlike, as one with a minus.
        search: from how many to the best hits. sure: give the set that holds what was meant with this probability.

    Raises:
        UsageError: `sure` of a question whose scores nobody measured.
    """
    alone = question is not None and len(question.columns) == 1
    certainty = run.certainty if alone else None
    view = next(iter(question.columns)) if question is not None else ""
    to = {} if certainty is None else {each.answer: each for each in certainty.directions if each.question == view}
    strange = _strange_words(run, question)
    if sure is None:
        hits = search(k)
        return Hits(_with_confidence(hits, to), [*strange, *_remarks(hits, to, SURE)])
    if not to:
        reason = "this run kept no scores of held-out pairs" if alone else "it goes with one thing to look for alone"
        raise UsageError(f"sure={sure:g} cannot be had: {reason}; leave it out, or hold {FEWEST} rows out or more")
    cuts = {answer: direction.cut(sure) for answer, direction in to.items()}
    hits = _down_to(search, cuts)
    if unmeasured := next((hit.view for hit in hits if hit.view not in cuts), None):
        raise UsageError(f"sure={sure:g} cannot be had: no held-out {view!r} was looked for among {unmeasured!r}")
    kept = [hit for hit in hits if hit.score >= cuts[hit.view]]
    weak = [to[hit.view].weakness for hit in hits[:1] if to[hit.view].too_weak]
    return Hits(_with_confidence(kept, to), [*strange, *(weak or _remarks(hits, to, sure))])


def _strange_words(run: Any, question: Views | None) -> list[str]:
    """A sentence on words of a question that training hardly met, where the model knows no others."""
    if question is None or run.words is None:
        return []
    texts = {view: str(decode.text(column[0])) for view, column in question.columns.items() if column.kind == "text"}
    strange = [word for view, text in texts.items() for word in run.words.strange(view, text)]
    return [f"training hardly met {', '.join(map(repr, strange))}; say it in other words"] if strange else []


def _with_confidence(hits: Sequence[Hit], to: Mapping[str, Direction]) -> list[Hit]:
    return [replace(hit, confidence=to[hit.view].confidence(hit.score)) if hit.view in to else hit for hit in hits]


def _remarks(hits: Sequence[Hit], to: Mapping[str, Direction], sure: float) -> list[str]:
    """What is to be said where the best score of every view is one that answers seldom have."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.view, hit.score)
    remarks = [to[view].remark(score, sure) if view in to else None for view, score in best.items()]
    return [str(remarks[0])] if remarks and None not in remarks else []


def _down_to(search: Callable[[int], list[Hit]], cuts: Mapping[str, float]) -> list[Hit]:
    """All hits from the cut of their view on, and some below."""
    k = STEP
    while True:
        hits = search(k)
        if len(hits) < k or hits[-1].score < min(cuts.get(hit.view, np.inf) for hit in hits):
            return hits
        k *= 10


def _one_a_thing(views: Views) -> np.ndarray:
    """At most QUESTIONS rows, of as many things: the first of each."""
    return _sample(np.unique(views.things, return_index=True)[1], QUESTIONS)


def _sample(rows: np.ndarray, most: int, always: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """At most so many rows, evenly taken, in order; and those that are always taken."""
    taken = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return np.unique(np.concatenate([taken, np.asarray(always, int)]))


def _stored(index: Index, views: Views, view: str) -> np.ndarray:
    """(n, d) what the index holds of a view of these rows; zeros where a row lacks it."""
    vectors = {row: vector for row, (vector, _) in index.vectors(views.rows.tolist(), view=view).items()}
    none = np.zeros(index.dim, np.float32)
    return np.stack([vectors.get(row, none) for row in views.rows.tolist()])


def _rows_of(questions: Views, view: str, gallery: Views, there: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each question that has the view and whose partner is among the cells that are there, and which those are."""
    things, wanted = gallery.things[there], questions.things
    for row in np.flatnonzero(questions[view].present).tolist():
        right = things == wanted[row]
        if right.any() and not right.all():
            yield row, right


def _cell_scores(
    model: Any, questions: Views, gallery: Views, pair: tuple[str, str], z: np.ndarray, cells: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each question the scores of all cells of another view, and which of them are right."""
    view, answer = pair
    there = gallery[answer].present
    if there.any():
        scores = similarities(z, cells[there], model.compared_by)  # (questions, cells)
        yield from ((scores[row], right) for row, right in _rows_of(questions, view, gallery, there))


def _whole_scores(
    model: Any,
    known: Known,
    questions: Views,
    gallery: Views,
    view: str,
    z: np.ndarray,
    cells: Mapping[str, np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same of whole rows, as if each lacked what the question is: its partner is found by what else it has."""
    others = [b for b in cells if b in known.kinds and known.kinds[b] != known.kinds[view]]
    others = others or [b for b in cells if b in known.kinds and b != view]
    there = np.any([gallery[b].present for b in others], axis=0) if others else np.zeros(len(gallery), bool)
    if not there.any():
        return
    placed = known.placed({b: cells[b][there] for b in others})
    offsets = known.offsets(placed)
    words = questions[view] if questions.modalities[view] == "text" else None
    meanings = meanings_of(model, questions, view) if words is not None and reads_alone(model, view) else None
    for row, right in _rows_of(questions, view, gallery, there):
        text = None if words is None else str(decode.text(words[row]))
        ways = known.ways(view, z[row], text, None if meanings is None else meanings[row])
        if ways:
            yield fused([way.times(1 / len(ways)) for way in ways]).scores(placed, offsets), right


def known_of(model: Any, index: Index, training: Views) -> Known:
    """What training knew, without the rows that were held out."""
    rows = training[_sample(np.arange(len(training)), CELLS)]
    views = [view for view in index.views if view in rows.columns]
    return known_things(model, rows, {view: _stored(index, rows, view) for view in views}, views)
