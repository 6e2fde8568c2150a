"""Missing cells of a view filled in from the views that are there, and marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bouba.data.read import as_views
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, UsageError, nearest

FILLED = ("vector", "image")  # what can be decoded into a cell that towers read


class Reconstructs(Protocol):
    """Anything that gives every view from whichever views a row has: MultimodalAutoencoder."""

    kinds_: Mapping[str, str]

    def reconstruct(self, X: Views) -> Mapping[str, np.ndarray]:
        """view -> (n, ...)."""


class Translates(Protocol):
    """Anything that gives one view from another: a fitted Translator."""

    source_: str
    target_: str

    def translate(self, X: Views, n: int = 1, *, random_state: int = 0) -> np.ndarray:
        """(rows, n, ...), n candidates a row, in the unit of the target's cells."""


def impute(
    views,
    model: Reconstructs | Translates | Sequence[Translates],
    *,
    only: Sequence[str] | None = None,
    random_state: int = 0,
) -> Views:
    """The same rows with missing cells filled in.

        x_im = g_m(the observed views of row i)    where x_im is missing and row i has a view that g_m reads

    What is filled in says nothing that the other views of the row did not say: use it where something needs the cell (a
    search for pictures, a classifier that was trained on complete rows), and rather leave the view out where the model
    was trained to do without (`drop` of a fusion). It never reads cells that were themselves imputed, so the order in
    which views are filled in changes nothing.

    Only vectors and pictures can be decoded into cells that towers read. For text, sounds and clips, impute their
    embeddings: `transform` the views, fit the autoencoder or translator on those, and impute there.

    Args:
        views: n rows, some cells missing.
        model: a fitted MultimodalAutoencoder, a translator, or several, the first of which that can fills a cell.
        only: the views to fill in; all that the model gives when None. A view that `views` does not have becomes a new
            one.
        random_state: which candidate a translator that draws at random gives.

    Returns:
        Views; `imputed[view]` is True on the cells that were filled in, and so says its repr. Rows with nothing to
        decode from keep their gap.

    Raises:
        UsageError: a view of another kind, or a model that does neither. ModalityError: a view it does not give.
        DataError: decoded cells of another width than the view's own.

    >>> from bouba.fuse import MultimodalAutoencoder
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> model = MultimodalAutoencoder(epochs=1, dim=4).fit(views)
    >>> holes = views.replace(columns={**views.columns, "b": views["b"].without(np.arange(8) < 3)})
    >>> impute(holes, model)
    Views(8 rows, {a: vector, b: vector (3 imputed)})
    """
    views = as_views(views)
    given = views.observed()
    for name, reads, how in _given_by(model, only):
        rows = _missing(views, given, name, reads)
        if len(rows):
            kind = {**getattr(how, "kinds_", {}), **views.modalities}.get(name, "vector")
            if kind not in FILLED:
                raise UsageError(
                    f"view {name!r} is {kind}, which cannot be decoded into cells; impute its embeddings instead "
                    "(transform the views first), or name the views to fill in: only=[...]"
                )
            views = _filled(views, name, kind, rows, _decoded(given[rows], how, name, random_state))
    return views


def _given_by(model: Any, only: Sequence[str] | None) -> list[tuple[str, list[str], Any]]:
    """Each view that is to be filled in, the views it is decoded from, and by what."""
    gives: list[tuple[str, list[str], Any]] = []
    for how in model if isinstance(model, Sequence) else [model]:
        if hasattr(how, "translate"):
            gives.append((how.target_, [how.source_], how))
        elif hasattr(how, "reconstruct"):
            gives += [(name, [other for other in how.kinds_ if other != name], how) for name in how.kinds_]
        else:
            raise UsageError(f"impute needs a fitted MultimodalAutoencoder or translators, got {type(how).__name__}")
    if isinstance(only, str):
        raise UsageError(f"only is a sequence of views, got {only!r}; write [{only!r}]")
    for name in only or ():
        if name not in (known := {given for given, _, _ in gives}):
            raise ModalityError(f"nothing gives view {name!r}{nearest(name, known)}")
    return [one for one in gives if only is None or one[0] in only]


def _missing(views: Views, given: Views, name: str, reads: Sequence[str]) -> np.ndarray:
    """Rows (k,) that lack the view and hold something it can be decoded from."""
    nowhere = np.zeros(len(views), bool)
    some = np.any([nowhere, *(given.present.get(other, nowhere) for other in reads)], axis=0)
    return np.flatnonzero(some & ~views.present.get(name, nowhere))


def _decoded(given: Views, how: Any, name: str, random_state: int) -> np.ndarray:
    """(k, ...), a cell for each row."""
    if hasattr(how, "translate"):
        return np.asarray(how.translate(given.select(how.source_), 1, random_state=random_state))[:, 0]
    found = how.reconstruct(given.select(*(view for view in given.columns if view in how.kinds_)))
    if name not in found:
        raise ModalityError(f"the model reads view {name!r} but does not decode it{nearest(name, found)}")
    return found[name]


def _filled(views: Views, name: str, kind: str, rows: np.ndarray, cells: np.ndarray) -> Views:
    """The views with `cells` in some rows of one view, marked."""
    n, made = len(views), dict(zip(rows.tolist(), cells, strict=True))
    new = np.isin(np.arange(n), rows)
    column = views.columns.get(name)
    there = np.zeros(n, bool) if column is None else column.present
    if kind == "vector" and column is not None and there.any():
        own = len(column[int(there.argmax())])
        if own != cells.shape[1]:
            raise DataError(f"view {name!r} has {own} numbers a cell, what was decoded {cells.shape[1]}")
    filled = Column(_Filled(column, made, n), kind, np.arange(n), there | new)
    marks = views.imputed
    return views.replace(
        columns={**views.columns, name: filled}, imputed={**marks, name: marks.get(name, np.zeros(n, bool)) | new}
    )


@dataclass(frozen=True)
class _Filled:
    """A column's cells, some of them given here."""

    column: Column | None
    cells: Mapping[int, np.ndarray]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int):
        if row in self.cells:
            return self.cells[row]
        return None if self.column is None else self.column[row]
