"""A question to a run: words, a file, a picture, a sound, numbers, or several of them; and where it is looked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align.closed_form import ClosedForm
from bouba.data.characters import on_disk, one_form, same_name
from bouba.data.kinds import FILES, KINDS
from bouba.data.schema import Schema
from bouba.data.views import Views, is_missing
from bouba.errors import ModalityError, UsageError, nearest
from bouba.runs.indexing import FUSED, found_as_rows
from bouba.runs.methods import CLIP

log = logging.getLogger("bouba")
MINUS = 0.5  # what hits should not fit counts half
PARTS = ("text", "file", "cell", "row")


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
    cells = {} if query is None else _cells(query)
    if not cells or any(isinstance(cell, str) and is_missing(cell) for cell in cells.values()):
        raise UsageError("say what to look for: words, a file, or a mapping from views to cells")
    columns = dict(_named_cell(model, same_name(name, model.kinds_), cell) for name, cell in cells.items())
    kinds = {name: model.kinds_[name] for name in columns}
    domain = None if domain is None else one_form(domain)
    if domain is not None:
        _refuse_strange_domain(model, domain)
    _refuse_unreadable(columns, kinds)
    lists = {name: [on_disk(str(cell)) if isinstance(cell, os.PathLike) else cell] for name, cell in columns.items()}
    return Views(lists, kinds=kinds, domain=None if domain is None else [domain])


@dataclass(frozen=True)
class Question:
    """What hits should fit, and what not.

    Args:
        plus, minus: cells, Views of one row each. like, unlike: rows of the index.
        vector: (d,) an embedding, instead of all these.
    """

    plus: tuple[Views, ...] = ()
    minus: tuple[Views, ...] = ()
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
    vector: np.ndarray | None = None

    @property
    def rows(self) -> tuple[Views, ...]:
        """All that has to be embedded."""
        return (*self.plus, *self.minus)

    @property
    def is_alone(self) -> bool:
        """Whether it is cells of one row, and nothing to avoid."""
        return len(self.plus) == 1 and not (self.minus or self.like or self.unlike)


def question_of(run: Any, query: Any, minus: Any, like: Any, *, domain: str | None = None) -> Question:
    """A query to a Run with all that goes with it; see `Run.search`.

    Raises:
        UsageError: nothing is looked for, or a part of another form.
    """
    if isinstance(query, np.ndarray) and query.ndim == 1:
        cells = _view_of_numbers(run.schema, query)
        if cells is None and query.shape == (run.index.dim,):
            if _listed(minus) or _listed(like):
                raise UsageError("minus= and like= go with words, files or cells; take it off an embedding yourself")
            return Question(vector=query)
        query = query if cells is None else cells
    parts = [_part(one) for one in query] if _are_parts(query) else [(1, query)] if query is not None else []
    parts += [(1, _row_number(row)) for row in _listed(like)]
    parts += [(-1, one) for one in _listed(minus)]
    rows = {sign: tuple(_row_number(one) for s, one in parts if s == sign and _is_number(one)) for sign in (1, -1)}
    cells_of = {sign: [one for s, one in parts if s == sign and not _is_number(one)] for sign in (1, -1)}
    plus = [question(run.model, one, domain=domain) for one in _joined(run.model, cells_of[1])]
    away = [question(run.model, one, domain=domain) for one in cells_of[-1]]
    if not plus and not rows[1]:
        raise UsageError("say what to look for, besides what hits should not fit: words, a file or a row")
    return Question(tuple(plus), tuple(away), rows[1], rows[-1])


def _listed(given: Any) -> list[Any]:
    """One query, or a list of them; numbers of rows too."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "iu":
        return given.ravel().tolist()
    return list(given) if isinstance(given, list) else [] if given is None else [given]


def _is_number(given: Any) -> bool:
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def _row_number(given: Any) -> int:
    if not _is_number(given):
        raise UsageError(f"a row is a whole number, got {given!r:.40}")
    return int(given)


def _are_parts(query: Any) -> bool:
    return isinstance(query, list) and bool(query) and all(isinstance(one, Mapping) for one in query)


def _part(one: Mapping[str, Any]) -> tuple[int, Any]:
    """The sign of a part, and a query: a mapping from a view or kind, a row, or a cell."""
    rest = {name: value for name, value in one.items() if name not in ("sign", "view")}
    sign, form = one.get("sign", 1), next(iter(rest), "")
    if form not in PARTS or len(rest) > 1 or sign not in (1, -1):
        raise UsageError(
            'a part is {"text": words}, {"file": path}, {"cell": what a view holds} or {"row": number}, with "sign": 1 '
            f'or -1 and "view": name, if that matters; got {dict(one)!s:.80}'
        )
    value = rest[form]
    if form == "row":
        return sign, _row_number(value)
    if form == "text" and not isinstance(value, str):
        raise UsageError(f"a part of text holds words, got {value!r:.40}")
    cell = Path(value) if form == "file" and isinstance(value, str | os.PathLike) else value
    view = one.get("view") or ("text" if form == "text" else None)
    return sign, cell if view is None else {view: cell}


def _joined(model: Any, queries: Sequence[Any]) -> list[Any]:
    """Queries with those of different views in one, as they are of one thing."""
    if len(queries) < 2:
        return list(queries)
    together: list[dict[str, Any]] = []
    for query in queries:
        cells = _cells(query)
        named = dict(_named_cell(model, same_name(name, model.kinds_), cell) for name, cell in cells.items())
        place = next((row for row in together if not set(row) & set(named)), None)
        if place is None:
            together.append(named)
        else:
            place.update(named)
    return together


def _cells(query: Any) -> Mapping[str, Any]:
    """View or kind -> cell."""
    return query if isinstance(query, Mapping) and "array" not in query else {kind_of(query): query}


def _view_of_numbers(schema: Schema, query: np.ndarray) -> dict[str, np.ndarray] | None:
    """An array of numbers as a cell of the first view of vectors of its width; None for what is none."""
    widths = {view: schema.widths.get(view, len(schema.columns_of(view))) for view in schema.kinds}
    views = (view for view, kind in schema.kinds.items() if kind == "vector" and widths[view] == len(query))
    return next(({view: query} for view in views), None)


def kind_of(cell: Any) -> str:
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
