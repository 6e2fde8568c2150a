"""What a run's training knew, so that words find rows that have none: from its model and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.align.closed_form import ClosedForm
from bouba.data import decode
from bouba.data.characters import one_form
from bouba.data.views import Views
from bouba.metrics.similarity import unit_rows
from bouba.runs.spooled import in_parts
from bouba.search.cells import Numbers

if TYPE_CHECKING:
    from bouba.search import Known

WHOLE = "whole row"
"""The view of an index under which rows are found by all the views that they have."""
FOLDER = "known"
MOST = 20_000  # things that are kept, evenly taken


def is_found_whole(model: Any) -> bool:
    """Whether rows of the model's index are found by one vector of all their views."""
    return model.aligns and model.compared_by == "cosine" and WHOLE not in model.kinds_


def known_things(model: Any, views: Views, embeddings: Mapping[str, Numbers], indexed: Sequence[str]) -> Known:
    """What is known of rows with all that they have: rows of the same texts are one thing.

    Args:
        model: that aligns. views: (n rows) that training saw in pairs, or may be known. embeddings: view -> (n, d).
        indexed: the views that the index has.
    """
    from bouba.search import Known

    names = [name for name in embeddings if name in views.columns]
    texts = {name: _texts(views, name) for name in names if views.columns[name].kind == "text"}
    firsts, thing_of_row = _things(texts, len(views))
    kept = np.linspace(0, len(firsts) - 1, min(MOST, len(firsts))).round().astype(int)
    firsts, place_of_row = firsts[kept], _places(kept, thing_of_row)
    merged = {name: _mean_directions(embeddings[name], views.present[name], place_of_row, len(kept)) for name in names}
    own = {name: [values[row] for row in firsts] for name, values in texts.items()}
    meanings = {name: meanings_of(model, views[firsts], name) for name in texts if reads_alone(model, name)}
    return Known.of({name: model.kinds_[name] for name in names}, merged, own, meanings, indexed)


def reads_alone(model: Any, view: str) -> bool:
    """Whether a view has a frozen encoder, whose features say what a text means before anything is aligned."""
    return isinstance(model, ClosedForm) and view in (model.towers or {})


def meanings_of(model: ClosedForm, views: Views, view: str) -> np.ndarray:
    """(n, D) what the view's encoder makes of each cell; zeros where there is none."""
    return np.asarray(model.encode(views.select(view))[view])


def opened(folder: Path) -> Known | None:
    """What the run in a folder knows; None for one without, as runs were made before."""
    from bouba.search import Known

    return Known.load(folder / FOLDER) if (folder / FOLDER).exists() else None


def _texts(views: Views, name: str) -> list[str]:
    """A text a row, "" where there is none."""
    column = views.columns[name]
    return [str(decode.text(cell)) if present else "" for cell, present in zip(column, column.present, strict=True)]


def _things(texts: Mapping[str, Sequence[str]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each thing, and the thing of each row; a row without any text is a thing by itself."""
    names: list[Any] = [tuple(map(one_form, row)) for row in zip(*texts.values(), strict=True)] if texts else [()] * n
    names = [name if any(name) else row for row, name in enumerate(names)]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    thing_of_row = np.array([places[name] for name in names])
    return np.unique(thing_of_row, return_index=True)[1], thing_of_row


def _places(kept: np.ndarray, thing_of_row: np.ndarray) -> np.ndarray:
    """(n,) the place of each row's thing among those that are kept, in order; -1 for another."""
    places = np.searchsorted(kept, thing_of_row).clip(max=len(kept) - 1)
    return np.where(kept[places] == thing_of_row, places, -1)


def _mean_directions(z: Numbers, present: np.ndarray, place_of_row: np.ndarray, things: int) -> np.ndarray:
    """(things, d): of each thing the mean direction of its rows' cells; zeros where it has none."""
    total = np.zeros((things, z.shape[1]))
    for part in in_parts(len(present)):
        rows = np.flatnonzero(present[part] & (place_of_row[part] >= 0))
        np.add.at(total, place_of_row[part][rows], unit_rows(np.asarray(z[part][rows], np.float64)))
    return total
