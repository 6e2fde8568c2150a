"""From a model and a table to a search index: which columns can be filtered, what stands with a hit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.kinds import FILES
from bouba.data.target import Target, source_only
from bouba.data.views import Views, is_missing
from bouba.runs.known import FOLDER, WHOLE, is_found_whole, known_things
from bouba.runs.stages import Stages

if TYPE_CHECKING:
    from bouba.search import Index, Known

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
) -> Index:
    """Everything that search reads of a run folder: `index`, every cell embedded, with labels, domain, key, other
    columns, texts and original paths; and `known`, where rows are also found whole, by all the views that they have.

    A model that fuses its views without aligning them has one vector a row, indexed as view FUSED.

    Args:
        views: the rows that are found. folder: of the run. stages: says how far it has come.
        target: the domain whose texts were hidden in training; they are no knowledge.
        known: the rows that are knowledge, where it is not those of `views`.
    """
    from bouba.search import Index

    cells = _cells_of(model, views, stages)
    if is_found_whole(model):
        knowledge = _knowledge(model, views, cells, target, known)
        knowledge.save(folder / FOLDER)
        cells = with_whole_rows(cells, knowledge)
    return Index.create(folder / "index", similarity=model.compared_by, **cells)


def add_rows(model: Any, views: Views, index: Index, known: Known | None) -> None:
    """Embed every cell of more rows, or of rows that the index has already, and add them to it."""
    cells = _cells_of(model, views, None)
    if known is not None and WHOLE in index.views:
        cells = with_whole_rows(cells, known)
    cells["columns"] = {name: values for name, values in cells["columns"].items() if name in index.columns}
    index.add(cells.pop("embeddings"), **cells)


def with_whole_rows(cells: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """What an index holds of rows, each also standing whole."""
    vectors, present, paths = cells["embeddings"], cells["present"], cells["paths"]
    rows = known.placed({name: np.where(present[name][:, None], z, 0) for name, z in vectors.items()})
    first = [next(filter(None, row), None) for row in zip(*paths.values(), strict=True)]
    return {
        **cells,
        "embeddings": {**vectors, WHOLE: rows},
        "present": {**present, WHOLE: np.any(list(present.values()), axis=0)},
        "paths": {**paths, WHOLE: first} if paths else {},
        "offsets": {WHOLE: known.offsets(rows)},
    }


def _knowledge(model: Any, views: Views, cells: Mapping[str, Any], target: Target | None, known: Views | None) -> Known:
    """What is known of `known`, or of the rows of `views` whose pairs training was allowed to see."""
    if known is not None:
        taught, vectors = known, _cells_of(model, known, None)["embeddings"]
    else:
        source = views if target is None else source_only(views, target)
        rows = np.flatnonzero(np.isin(views.rows, source.rows))
        taught, vectors = views[rows], {name: z[rows] for name, z in cells["embeddings"].items()}
    return known_things(model, taught, vectors, list(cells["embeddings"]))


def _cells_of(model: Any, views: Views, stages: Stages | None) -> dict[str, Any]:
    """What an index holds of rows, as arguments of `Index.create`."""
    embedded = views.select(*(name for name in views.columns if name in model.searchable))
    paths = {
        name: [_file_of(cell) if present else None for cell, present in zip(column, column.present)]
        for name, column in embedded.columns.items()
        if column.kind in FILES
    }
    if found_as_rows(model):
        vectors = {FUSED: np.concatenate([model.fuse(part) for part in _parts(embedded, stages)])}
        present = {FUSED: np.any(list(embedded.present.values()), axis=0)}
        paths = {FUSED: next(iter(paths.values()))} if paths else {}
    else:
        parts = [model.embed(part) for part in _parts(embedded, stages)]
        vectors, present = {name: np.concatenate([z[name] for z in parts]) for name in parts[0]}, embedded.present
    return {
        "embeddings": vectors,
        "present": present,
        "columns": _filters(views),
        "paths": paths,
        "rows": np.asarray(views.rows),
    }


def _parts(views: Views, stages: Stages | None) -> Iterator[Views]:
    """The rows, some at a time."""
    stages = stages or Stages(lambda line: None)
    starts = range(0, len(views), ROWS)
    for start in stages.each("index", starts, lambda start: f"{len(views):,} rows are embedded"):
        yield views[np.arange(start, min(start + ROWS, len(views)))]


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
