"""From a model and a table to a search index: which columns can be filtered, what stands with a hit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.faults import Faults, faults_of, lose_again
from bouba.data.kinds import FILES
from bouba.data.target import Target, source_only
from bouba.data.views import Views, is_missing
from bouba.runs.known import FOLDER, WHOLE, is_found_whole, known_things
from bouba.runs.processes import Processes
from bouba.runs.stages import Stages

if TYPE_CHECKING:
    from bouba.search import Index
    from bouba.search.known import Known

FUSED = "fused"
ROWS = 4096
"""Embedded at a time: a multiple of what a model embeds at a time, so that the numbers are the same to the bit."""


def found_as_rows(model: Any) -> bool:
    """Whether a model's rows are found as a whole, because its views share no space but fuse into one vector."""
    return not model.aligns and model.fuses


def write_search(
    model: Any,
    views: Views,
    folder: Path,
    stages: Stages | None = None,
    *,
    target: Target | None = None,
    known: Views | None = None,
    vectors: Mapping[str, np.ndarray] | None = None,
) -> Index:
    """Everything that search reads of a run folder: `index`, every cell embedded, with labels, domain, key, other
    columns, texts and original paths; and `known`, where rows are also found whole, by all the views that they have.

    A model that fuses its views without aligning them has one vector a row, indexed as view FUSED.

    Args:
        views: the rows that are found. folder: of the run. stages: says how far it has come.
        target: the domain whose texts were hidden in training; they are no knowledge.
        known: the rows that are knowledge, where it is not those of `views`.
        vectors: view -> (n, d), where the cells are embedded already.
    """
    embedded = views.select(*(name for name in views.columns if name in model.searchable))
    vectors = vectors_of(model, embedded, stages) if vectors is None else dict(vectors)
    if not is_found_whole(model):
        return _written(model, views, embedded, vectors, folder / "index", None)
    if known is None:
        rows = np.flatnonzero(np.isin(views.rows, views.rows if target is None else source_only(views, target).rows))
        knowledge = known_things(model, embedded[rows], {name: z[rows] for name, z in vectors.items()}, list(vectors))
    else:
        taught = known.select(*(name for name in known.columns if name in model.searchable))
        knowledge = known_things(model, taught, vectors_of(model, taught) or {}, list(vectors))
    knowledge.save(folder / FOLDER)
    return _written(model, views, embedded, vectors, folder / "index", knowledge)


def vectors_of(
    model: Any, views: Views, stages: Stages | None = None, processes: Processes | None = None
) -> dict[str, np.ndarray]:
    """view -> (n, d), of each cell by which rows can be found, or of each row as FUSED; nothing on a process that is
    not the first.

    Args:
        stages: says how far it has come. processes: each of which has these rows and this model, and embeds a share.
    """
    views = views.select(*(name for name in views.columns if name in model.searchable))
    starts = range(0, len(views), ROWS)

    def embedded(start: int) -> tuple[dict[str, np.ndarray], Faults]:
        part = views[start : start + ROWS]
        z = {FUSED: model.fuse(part)} if found_as_rows(model) else model.embed(part)
        return z, faults_of(part)

    detail = lambda start: f"{len(views):,} rows are embedded"  # noqa: E731
    each = lambda own: (stages or Stages(lambda line: None)).each("embed", own, detail)  # noqa: E731
    parts = (processes or Processes()).deal(starts, embedded, each) or []
    for _, faults in parts:
        lose_again(views, faults)
    return {name: np.concatenate([z[name] for z, _ in parts]) for name in (parts[0][0] if parts else ())}


def _written(
    model: Any, views: Views, embedded: Views, vectors: dict[str, np.ndarray], path: Path, known: Known | None
) -> Index:
    """The index of rows by their vectors; with `known` each row also stands as WHOLE."""
    from bouba.search import Index

    present, offsets = dict(embedded.present), {}
    paths = {
        name: [_file_of(cell) if present else None for cell, present in zip(column, column.present)]
        for name, column in embedded.columns.items()
        if column.kind in FILES
    }
    anywhere = np.any(list(present.values()), axis=0)
    if found_as_rows(model):
        present, paths = {FUSED: anywhere}, {FUSED: next(iter(paths.values()))} if paths else {}
    if known is not None:
        rows = known.placed({name: np.where(present[name][:, None], z, 0) for name, z in vectors.items()})
        vectors, present, offsets = {**vectors, WHOLE: rows}, {**present, WHOLE: anywhere}, {WHOLE: known.offsets(rows)}
        if paths:
            paths[WHOLE] = [next(filter(None, row), None) for row in zip(*paths.values(), strict=True)]
    return Index.create(
        path,
        vectors,
        present=present,
        similarity=model.compared_by,
        columns=_filters(views),
        paths=paths,
        rows=np.asarray(views.rows),
        offsets=offsets,
    )


def _file_of(cell: Any) -> str | None:
    """The file that a cell points to, wherever a hit is looked at later."""
    path = decode.path_of(cell)
    return None if path is None else os.path.abspath(path)


def _filters(views: Views) -> dict[str, list]:
    """Name -> a value a row, of all that rows can be filtered by or shown with."""
    roles = {"domain": views.domain, "key": views.key, "group": views.group}
    columns: dict[str, Any] = {name: values for name, values in roles.items() if values is not None}
    own_names = {origin: columns[role] for role in columns for origin in views.sources.get(role, ())}
    columns |= {**own_names, **views.meta, **views.y}
    for name, column in views.columns.items():
        if column.kind == "text":
            columns[name] = [decode.text(cell) if present else None for cell, present in zip(column, column.present)]
        if column.kind == "table":
            records = [decode.record(cell) if present else {} for cell, present in zip(column, column.present)]
            for key in dict.fromkeys(key for record in records for key in record):
                columns.setdefault(key, [record.get(key) for record in records])
    columns |= {f"{name} imputed": marks.tolist() for name, marks in views.imputed.items() if marks.any()}
    return {name: [None if is_missing(v) else v for v in values] for name, values in columns.items()}
