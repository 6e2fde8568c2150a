"""From a model and a table to a search index: which columns can be filtered, what stands with a hit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.faults import Faults, faults_of, lose_again
from bouba.data.kinds import FILES
from bouba.data.target import Target, source_only
from bouba.data.views import Views, is_missing
from bouba.runs.contents import contents_of
from bouba.runs.known import FOLDER, WHOLE, is_found_whole, known_things
from bouba.runs.miniatures import Miniatures, file_of
from bouba.runs.processes import Processes
from bouba.runs.spooled import Chosen, Spooled, in_parts, spooled
from bouba.runs.stages import Stages
from bouba.search.cells import Numbers

if TYPE_CHECKING:
    from bouba.search import Index
    from bouba.search.known import Known

FUSED = "fused"
NAMED = 16  # columns of a view of numbers up to which rows are filtered by each


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
    vectors: Mapping[str, Numbers] | None = None,
) -> Index:
    """Everything that search reads of a run folder: `index`, every cell embedded, with labels, domain, key, other
    columns, texts and original paths; and `known`, where rows are also found whole, by all the views that they have.

    Vectors stand in memory some rows at a time; all of them wait on the disk of the folder.

    A model that fuses its views without aligning them has one vector a row, indexed as view FUSED.

    Args:
        views: the rows that are found. folder: of the run. stages: says how far it has come.
        target: the domain whose texts were hidden in training; they are no knowledge.
        known: the rows that are knowledge, where it is not those of `views`.
        vectors: view -> (n, d), where the cells are embedded already.
    """
    embedded = views.select(*(name for name in views.columns if name in model.searchable))
    vectors = dict(vectors_of(model, views, folder, stages) if vectors is None else vectors)
    if not is_found_whole(model):
        return _written(model, views, embedded, vectors, folder, None)
    if known is not None:
        taught = known.select(*(name for name in known.columns if name in model.searchable))
        knowledge = known_things(model, taught, vectors_of(model, taught, folder), list(vectors))
    elif target is not None:
        rows = np.flatnonzero(np.isin(views.rows, source_only(views, target).rows))
        of_source = {name: Chosen(z, rows) for name, z in vectors.items()}
        knowledge = known_things(model, embedded[rows], of_source, list(vectors))
    else:
        knowledge = known_things(model, embedded, vectors, list(vectors))
    knowledge.save(folder / FOLDER)
    return _written(model, views, embedded, vectors, folder, knowledge)


def vectors_of(
    model: Any, views: Views, folder: Path, stages: Stages | None = None, processes: Processes | None = None
) -> dict[str, Spooled]:
    """view -> (n, d), of each cell by which rows can be found, or of each row as FUSED; nothing on a process that is
    not the first.

    Args:
        folder: where they wait. stages: says how far it has come.
        processes: each of which has these rows and this model, and embeds a share.
    """
    views = views.select(*(name for name in views.columns if name in model.searchable))
    stages, processes = stages or Stages(lambda line: None), processes or Processes()
    parts = list(in_parts(len(views)))
    rounds = [parts[first : first + processes.count] for first in range(0, len(parts), processes.count)]

    def embedded(part: slice) -> tuple[dict[str, np.ndarray], Faults]:
        rows = views[part]
        z = {FUSED: model.fuse(rows)} if found_as_rows(model) else model.embed(rows)
        return z, faults_of(rows)

    def each() -> Iterator[dict[str, np.ndarray]]:
        for of_each_process in stages.each("embed", rounds, lambda _: f"{len(views):,} rows are embedded"):
            for z, faults in processes.deal(of_each_process, embedded) or ():
                lose_again(views, faults)
                yield z

    return spooled(each(), folder)


def _written(
    model: Any, views: Views, embedded: Views, vectors: dict[str, Numbers], folder: Path, known: Known | None
) -> Index:
    """The index of rows by their vectors; with `known` each row also stands as WHOLE."""
    from bouba.search import Index
    from bouba.search.columns import describe

    columns = columns_of(views)
    cells = cells_of(model, embedded, vectors, folder, known)
    contents = contents_of(embedded, columns, describe(columns))
    return Index.create(
        folder / "index",
        **cells,
        similarity=model.compared_by,
        columns=columns | imputed_columns(views),
        rows=np.asarray(views.rows),
        contents=contents,
    )


def cells_of(
    model: Any, views: Views, vectors: Mapping[str, Numbers], folder: Path, known: Known | None
) -> dict[str, Any]:
    """What `Index.create` and `Index.add` take of the cells of rows: embeddings, masks, files, what a page shows.

    Args:
        views: by which rows can be found. vectors: of them. folder: where vectors wait.
        known: by which each row also stands as WHOLE.
    """
    present, offsets = dict(views.present), dict[str, Numbers]()
    files = {name: column for name, column in views.columns.items() if column.kind in FILES}
    paths = {
        name: [file_of(cell) if there else None for cell, there in zip(column, column.present)]
        for name, column in files.items()
    }
    shown = {name: Miniatures(column) for name, column in files.items()}
    anywhere = np.any(list(present.values()), axis=0)
    if found_as_rows(model):
        present = {FUSED: anywhere}
        paths = dict(zip([FUSED], paths.values()))
        shown = dict(zip([FUSED], shown.values()))
    if known is not None:
        placed = spooled(_placed(known, vectors, present, len(views)), folder)
        vectors, present = {**vectors, WHOLE: placed["rows"]}, {**present, WHOLE: anywhere}
        offsets = {WHOLE: placed["offsets"]}
        if paths:
            paths[WHOLE] = [next(filter(None, row), None) for row in zip(*paths.values(), strict=True)]
    return {"embeddings": vectors, "present": present, "paths": paths, "offsets": offsets, "shown": shown}


def _placed(
    known: Known, vectors: Mapping[str, Numbers], present: Mapping[str, np.ndarray], n: int
) -> Iterator[Mapping[str, np.ndarray]]:
    """Of n rows, some at a time: one vector each, and its offsets."""
    for part in in_parts(n):
        rows = known.placed({name: np.where(present[name][part, None], z[part], 0) for name, z in vectors.items()})
        yield {"rows": rows, "offsets": known.offsets(rows)}


def columns_of(views: Views) -> dict[str, list]:
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
        names = views.sources.get(name, ())
        if column.kind == "vector" and 0 < len(names) <= NAMED:
            numbers = [decode.vector(cell) if there else None for cell, there in zip(column, column.present)]
            for place, own in enumerate(names):
                written = [None if cell is None else float(str(cell[place])) for cell in numbers]  # 85.6, not 85.599998
                columns.setdefault(own, written)
    return {name: [None if is_missing(v) else v for v in values] for name, values in columns.items()}


def imputed_columns(views: Views) -> dict[str, list]:
    """Name -> whether a cell of each row was filled in, of the views of which some were."""
    return {f"{name} imputed": marks.tolist() for name, marks in views.imputed.items() if marks.any()}
