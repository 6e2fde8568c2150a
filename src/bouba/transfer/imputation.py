"""Missing cells of a view filled in from the views that are present, and marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from bouba.data.matching import views_for
from bouba.data.read import as_views
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.evaluation.abilities import NamesViews

FILLED = ("vector", "image")  # what can be decoded into a cell that towers read


@runtime_checkable
class DecodesViews(Protocol):
    """Anything that gives every view from whichever views a row has: MultimodalAutoencoder."""

    kinds_: Mapping[str, str]

    def reconstruct(self, X: Views) -> Mapping[str, np.ndarray]:
        """view -> (n, ...)."""


@runtime_checkable
class GivesView(Protocol):
    """Anything that gives one view from another: a fitted Translator."""

    source_: str
    target_: str

    def translate(self, X: Views, n: int = 1, *, random_state: int = 0) -> np.ndarray:
        """(rows, n, ...), n candidates a row, in the unit of the target's cells."""


def impute(
    views,
    model: DecodesViews | GivesView | Sequence[GivesView],
    *,
    only: Sequence[str] | None = None,
    random_state: int = 0,
) -> Views:
    """The same rows with missing cells filled in.

        x_im = g_m(the observed views of row i)    where x_im is missing and row i has a view that g_m reads

    What is filled in adds no information to the other views of the row: use it where something needs the cell (a
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
    views = views_for(model, as_views(views))
    observed = views.observed()
    for decoding in _decodings(model, only):
        name = decoding.view
        rows = decoding.rows(views, observed)
        if len(rows):
            kind = {**decoding.kinds, **views.modalities}.get(name, "vector")
            if kind not in FILLED:
                raise UsageError(
                    f"view {name!r} is {kind}, which cannot be decoded into cells; impute its embeddings instead "
                    "(transform the views first), or name the views to fill in: only=[...]"
                )
            views = _filled(views, name, kind, rows, decoding.cells(observed[rows], random_state))
    return views


@dataclass(frozen=True)
class _Decoding:
    """One view that can be filled in, the views it is decoded from, and the model that decodes it."""

    view: str
    inputs: tuple[str, ...]
    model: DecodesViews | GivesView

    @property
    def kinds(self) -> Mapping[str, str]:
        """view -> kind, where the model names them."""
        return self.model.kinds_ if isinstance(self.model, NamesViews) else {}

    def rows(self, views: Views, observed: Views) -> np.ndarray:
        """Rows (k,) that lack the view and have one that it can be decoded from."""
        none = np.zeros(len(views), bool)
        has_input = np.any([none, *(observed.present.get(name, none) for name in self.inputs)], axis=0)
        return np.flatnonzero(has_input & ~views.present.get(self.view, none))

    def cells(self, observed: Views, random_state: int) -> np.ndarray:
        """(k, ...), a cell for each row."""
        model = self.model
        if isinstance(model, GivesView):
            return np.asarray(model.translate(observed.select(model.source_), 1, random_state=random_state))[:, 0]
        decoded = model.reconstruct(observed.select(*(name for name in observed.columns if name in model.kinds_)))
        if self.view not in decoded:
            raise ModalityError(
                f"the model reads view {self.view!r} but does not decode it{nearest(self.view, decoded)}"
            )
        return decoded[self.view]


def _decodings(model: DecodesViews | GivesView | Sequence[GivesView], only: Sequence[str] | None) -> list[_Decoding]:
    """What the models can decode, in their order; of the views in `only`, where these are named."""
    decodings: list[_Decoding] = []
    for one in model if isinstance(model, Sequence) else [model]:
        if isinstance(one, GivesView):
            decodings.append(_Decoding(one.target_, (one.source_,), one))
        elif isinstance(one, DecodesViews):
            views = list(one.kinds_)
            decodings += [_Decoding(name, tuple(other for other in views if other != name), one) for name in views]
        else:
            raise UsageError(f"impute needs a fitted MultimodalAutoencoder or translators, got {type(one).__name__}")
    if isinstance(only, str):
        raise UsageError(f"only is a sequence of views, got {only!r}; write [{only!r}]")
    decodable = {decoding.view for decoding in decodings}
    for name in only or ():
        if name not in decodable:
            raise ModalityError(f"nothing gives view {name!r}{nearest(name, decodable)}")
    return [decoding for decoding in decodings if only is None or decoding.view in only]


def _filled(views: Views, name: str, kind: str, rows: np.ndarray, cells: np.ndarray) -> Views:
    """The views with `cells` in some rows of one view, marked."""
    n, new_cells = len(views), dict(zip(rows.tolist(), cells, strict=True))
    new = np.isin(np.arange(n), rows)
    column = views.columns.get(name)
    present = np.zeros(n, bool) if column is None else column.present
    if kind == "vector" and column is not None and present.any():
        width = len(column[int(present.argmax())])
        if width != cells.shape[1]:
            raise DataError(f"view {name!r} has {width} numbers a cell, what was decoded {cells.shape[1]}")
    filled = Column(_Filled(column, new_cells, n), kind, np.arange(n), present | new)
    marks = views.imputed
    return views.replace(
        columns={**views.columns, name: filled}, imputed={**marks, name: marks.get(name, np.zeros(n, bool)) | new}
    )


@dataclass(frozen=True)
class _Filled:
    """A column's cells, some of them replaced by `cells`."""

    column: Column | None
    cells: Mapping[int, np.ndarray]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int):
        if row in self.cells:
            return self.cells[row]
        return None if self.column is None else self.column[row]
