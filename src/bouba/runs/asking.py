"""A question to a run: words, a file, a picture, a sound, numbers, or several of them; and where it is looked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import on_disk, one_form, same_name
from bouba.data.kinds import FILES, KINDS
from bouba.data.views import Views, is_missing
from bouba.errors import ModalityError, UsageError, nearest
from bouba.runs.indexing import FUSED, found_as_rows
from bouba.runs.methods import CLIP

log = logging.getLogger("bouba")


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
    from bouba.learner import BaseLearner

    domains = model.codes_.domains if isinstance(model, BaseLearner) else ()
    if domain not in domains:
        raise UsageError(f"no domain {domain!r}{nearest(domain, domains)}")


def _refuse_unreadable(columns: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """DataError, one clear line, for a file that cannot be read."""
    from bouba.data.read import read

    for name, cell in columns.items():
        if isinstance(cell, os.PathLike):
            read({name: [str(cell)]}, **{kinds[name]: name}, strict=True)  # type: ignore[arg-type]


def vector_of(model: Any, views: Views) -> np.ndarray:
    """The embedding (dim,) of one row: fused where rows are found as a whole, else the mean direction of its views."""
    if found_as_rows(model):
        return model.fuse(views)[0]
    embeddings = [z[0] for z in model.embed(views).values()]
    if len(embeddings) == 1:
        return embeddings[0]
    lengths = [float(np.linalg.norm(z)) if model.compared_by == "cosine" else 1.0 for z in embeddings]
    return np.mean([z / max(length, 1e-6) for z, length in zip(embeddings, lengths)], axis=0)


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
