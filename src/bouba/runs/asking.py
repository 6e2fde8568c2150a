"""A question to a run: words, a file, a picture, a sound, numbers, or several of them; and where it is looked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align.closed_form import ClosedForm
from bouba.data.characters import on_disk, one_form, same_name
from bouba.data.kinds import FILES, KINDS
from bouba.data.views import Views, is_missing
from bouba.errors import ModalityError, UsageError, nearest
from bouba.runs.indexing import FUSED, found_as_rows
from bouba.runs.methods import CLIP

log = logging.getLogger("bouba")
MINUS = 0.5  # what hits should not fit counts half


def question(model: Any, query: Any, *, domain: str | None = None) -> Views:
    """A query as Views of one row.

    Args:
        model: fitted.
        query: words; a Path, a PIL picture, an array or whatever a cell may be, for the first view of its kind; or a
            mapping from views, or kinds, to cells.
        domain: the domain it comes from, if known.

    Raises:
        ModalityError: the model has no view of that name or kind. DataError: a file that cannot be read.
        UsageError: no such domain.
    """
    cells = query if isinstance(query, Mapping) and "array" not in query else {_kind_of(query): query}
    if query is None or not cells or any(isinstance(cell, str) and is_missing(cell) for cell in cells.values()):
        raise UsageError("say what to look for: words, a file, or a mapping from views to cells")
    columns = dict(_named_cell(model, same_name(name, model.kinds_), cell) for name, cell in cells.items())
    kinds = {name: model.kinds_[name] for name in columns}
    domain = None if domain is None else one_form(domain)
    if domain is not None:
        _refuse_strange_domain(model, domain)
    _refuse_unreadable(columns, kinds)
    lists = {name: [on_disk(str(cell)) if isinstance(cell, os.PathLike) else cell] for name, cell in columns.items()}
    return Views(lists, kinds=kinds, domain=None if domain is None else [domain])


def negatives(minus: Any) -> list[Any]:
    """What hits should not fit, as a list of queries: one query, or a list of them."""
    return list(minus) if isinstance(minus, list) else [] if minus is None else [minus]


def single_cells(row: Views) -> list[Views]:
    """The views of a query of one row, each by itself."""
    return [row.select(name) for name in row.columns]


def _kind_of(cell: Any) -> str:
    """The kind of a bare cell."""
    if isinstance(cell, str):
        if cell.lower().endswith(tuple(ending for endings in FILES.values() for ending in endings)):
            log.warning("%r is read as words; for the file itself give pathlib.Path(%r)", cell, cell)
        return "text"
    if isinstance(cell, os.PathLike):
        ending = Path(cell).suffix.lower()
        return next((kind for kind, endings in FILES.items() if ending in endings), "image")
    if isinstance(cell, Mapping) or (isinstance(cell, tuple) and len(cell) == 2 and np.ndim(cell[0]) > 0):
        return "audio"  # {"array": ..., "sampling_rate": ...} or (samples, rate)
    if isinstance(cell, np.ndarray | Sequence) and not isinstance(cell, bytes):
        return {1: "vector", 4: "video"}.get(np.ndim(cell), "image")
    return "image"


def _named_cell(model: Any, name: str, cell: Any) -> tuple[str, Any]:
    """The view that a name or a kind stands for, and the cell."""
    kinds = model.kinds_
    if name in kinds and (name not in KINDS or kinds[name] == name):
        return name, cell
    if name == "text":
        return model.text_view(str(cell)), cell
    view = next((view for view, kind in kinds.items() if kind == name), None)
    if view is None and name in KINDS:
        views = ", ".join(f"{view} ({kind})" for view, kind in kinds.items())
        raise ModalityError(f"the model reads no {KINDS[name].plural}; it has {views}")
    if view is None:
        raise ModalityError(f"the model has no view {name!r}{nearest(name, kinds)}")
    return view, cell


def _refuse_strange_domain(model: Any, domain: str) -> None:
    domains = () if isinstance(model, ClosedForm) else model.codes_.domains
    if domain not in domains:
        raise UsageError(f"no domain {domain!r}{nearest(domain, domains)}")


def _refuse_unreadable(columns: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """DataError, one clear line, for a file that cannot be read."""
    from bouba.data.read import read

    for name, cell in columns.items():
        if isinstance(cell, os.PathLike):
            read({name: [str(cell)]}, **{kinds[name]: name}, strict=True)  # type: ignore[arg-type]


def vector_of(model: Any, plus: Views, minus: Sequence[Views] = ()) -> np.ndarray:
    """A question (dim,) of one row and what hits should not fit.

    A row is fused where rows are found as a whole, else the mean direction of its views; of directions to avoid MINUS
    times the sum is taken off.
    """
    away = [MINUS * _direction(model, _joined(model, row)) for row in minus]
    vector = _joined(model, plus)
    return _direction(model, vector) - np.sum(away, axis=0) if away else vector


def _joined(model: Any, row: Views) -> np.ndarray:
    if found_as_rows(model):
        return model.fuse(row)[0]
    embeddings = [z[0] for z in model.embed(row).values()]
    return embeddings[0] if len(embeddings) == 1 else np.mean([_direction(model, z) for z in embeddings], axis=0)


def _direction(model: Any, z: np.ndarray) -> np.ndarray:
    """At length one where embeddings are compared by cosine."""
    return z / max(float(np.linalg.norm(z)), 1e-6) if model.compared_by == "cosine" else z


def places(model: Any, query_views: Sequence[str], view: str | None, indexed: Sequence[str]) -> tuple[str, ...]:
    """The views in which a query is looked for: `view`, else those of a kind that it has not, else those it has not.

    Args:
        query_views: of the query. view: the one to search, if named. indexed: what there is to search.

    Raises:
        UsageError: another view than the query's of a model that learnt each by itself.
    """
    if found_as_rows(model):
        return (view or FUSED,)
    if not model.aligns:
        (name,) = query_views[:1]
        if view not in (None, name):
            raise UsageError(
                f"this model learnt {name!r} by itself and cannot find {view!r} by it; fit one with {CLIP.name}"
            )
        return (name,)
    if view is not None:
        return (view,)
    kinds = {model.kinds_[name] for name in query_views}
    others = tuple(name for name in indexed if model.kinds_[name] not in kinds)
    return others or tuple(name for name in indexed if name not in query_views) or tuple(indexed)
