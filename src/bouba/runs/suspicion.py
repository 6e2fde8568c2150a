"""Which pairs of a table may be wrong: judged, listed with what stands in them, and shown on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align import CCA
from bouba.align.closed_form import ClosedForm
from bouba.data.views import Views
from bouba.errors import ModalityError, UsageError
from bouba.evaluation.doubts import FEWEST, FOLDS, Doubt, doubts_by, doubts_left_out, pairs_in
from bouba.report import Report, build, write
from bouba.report.content import Doubtful
from bouba.runs.defaults import ready_encoders
from bouba.runs.indexed_rows import indexed_rows
from bouba.runs.row_ids import ids_of, row_names, summaries

RIDGE = 0.9  # a model that follows a few wrong pairs little
MOST = 5000  # held-out rows that a report judges
SHOWN = 24  # pairs on a page
GIVE_IT = (
    "does not know which table it was made of; give that, too: bouba suspicious RUN TABLE, bouba duplicates TABLE, or "
    "the same of a Run"
)


def suspicious(views: Views, model: Any = None) -> list[Doubt]:
    """The rows of a table, those whose pair may be wrong first; see `evaluation.doubts`.

    Judged by linear CCA of a strong ridge between the frozen encoders of the model, else the packaged ones where they
    are installed, else simple features; fitted FOLDS times, each row by a model that never saw it.

    Raises:
        ModalityError: one view only. DataError: too few rows.
    """
    if len(views.columns) < 2:
        raise ModalityError(
            f"a pair takes two views, and the table has {', '.join(views.columns)}; name another column"
        )
    towers = model.towers if isinstance(model, ClosedForm) else None
    return doubts_left_out(CCA(ridge=RIDGE, towers=towers or ready_encoders(views) or None), views)


def suspicious_of(run: Any, table: Any, named: Mapping[str, Any]) -> list[Doubt]:
    """Of a table read as a Run reads it, of the one that it was made of where None is given.

    Raises:
        UsageError: that table is not known.
    """
    return suspicious(views_of(run, table, named), run.model)


def views_of(run: Any, table: Any, named: Mapping[str, Any]) -> Views:
    """The views of a Run's model in a table, or in that which it was made of; in its index, where rows were added or
    removed since or no table is known."""
    made_of = run.facts.get("table")
    if table is None and run.has_index and (made_of is None or run.index.version > 1):
        return _of_index(run)
    table = made_of if table is None else table
    if table is None:
        raise UsageError(f"the run has no index and {GIVE_IT}")
    views = run.read(table, **named)
    return views.select(*(view for view in views.columns if view in run.model.kinds_))


def _of_index(run: Any) -> Views:
    try:
        return indexed_rows(run)
    except UsageError as error:
        raise UsageError(f"{error}, and the run {GIVE_IT}") from None


def described(views: Views, doubts: Sequence[Doubt]) -> list[dict[str, Any]]:
    """Doubts as records, with the row's own id where there is one, and a line on each cell."""
    place, ids = {row: i for i, row in enumerate(views.rows.tolist())}, ids_of(views)
    return [
        row_names(ids, doubt.row) | asdict(doubt) | {"cells": summaries(views, place[doubt.row], doubt.views)}
        for doubt in doubts
    ]


def doubtful(views: Views, doubts: Sequence[Doubt], most: int = SHOWN) -> list[Doubtful]:
    """The first of them with picture and words."""
    place = {row: i for i, row in enumerate(views.rows.tolist())}
    shown = []
    for doubt in doubts[:most]:
        row = place[doubt.row]
        shown.append(Doubtful(doubt.row, build.cells_shown(views, row, doubt.views), ranks_in_words(doubt)))
    return shown


def ranks_in_words(doubt: Doubt) -> str:
    """By which places a pair is doubtful."""
    (a, b), (first, second) = doubt.views, doubt.ranks
    return f"{a} finds {b} at place {first:,} of {doubt.among:,}, {b} finds {a} at {second:,}"


def judged_by(doubts: Sequence[Doubt]) -> str:
    """How, as a sentence."""
    return f"Each of {len(doubts):,} rows was judged by a model fitted on other rows, in {FOLDS} parts."


def write_page(views: Views, doubts: Sequence[Doubt], file: Path) -> Path:
    """A page of the most doubtful pairs; its path."""
    by = judged_by(doubts)
    return write(Report("Pairs that may be wrong", by, doubtful=doubtful(views, doubts), doubtful_by=by), file)


def held_out_doubts(model: Any, held_out: Views | None) -> dict[str, Any]:
    """What a run's report says of pairs that were held out, as fields of Report; nothing where there are too few."""
    if held_out is None or not model.aligns or pairs_in(held_out) < FEWEST:
        return {}
    held_out = spread(held_out)
    doubts = doubts_by(model, held_out)
    by = f"{len(doubts):,} rows were held out, and the model, which never saw them, judged their pairs."
    return {"doubtful": doubtful(held_out, doubts, SHOWN // 2), "doubtful_by": by}


def spread(held_out: Views) -> Views:
    """All held-out rows, or MOST of them, evenly taken."""
    return held_out[np.arange(len(held_out))[:: 1 + len(held_out) // MOST]]
