"""From a model and a table to a search index: which columns can be filtered, what stands beside a hit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.views import Views, is_missing

if TYPE_CHECKING:
    from bouba.search import Index


FUSED = "fused"


def fuses(model: Any) -> bool:
    """Whether a model's rows are found as a whole, because its views share no space but fuse into one vector."""
    return not getattr(model, "aligns", True) and getattr(model, "fusion", None) is not None


def found_by(model: Any) -> tuple[str, ...]:
    """The views whose towers have learnt, so that rows are found by them: all, but of a translator the source alone,
    and none where that is told as it is."""
    from bouba.transfer import Translator

    if isinstance(model, Translator):
        return () if model.raw else (model.source_,)
    return tuple(model.kinds_)


def build_index(model: Any, views: Views, path: Path) -> Index:
    """Embed every cell and index it with labels, domain, key, other columns, texts and original paths.

    A model that fuses its views without aligning them has one vector a row, indexed as view FUSED.
    """
    from bouba.search import Index

    known = views.select(*(name for name in views.columns if name in found_by(model)))
    roles = {"domain": views.domain, "key": views.key, "group": views.group}
    columns: dict[str, Any] = {name: values for name, values in roles.items() if values is not None}
    columns |= {**views.meta, **views.y}
    for name, column in views.columns.items():
        if column.kind == "text":
            columns[name] = [decode.text(cell) if there else None for cell, there in zip(column, column.present)]
        if column.kind == "table":
            records = [decode.record(cell) if there else {} for cell, there in zip(column, column.present)]
            for key in dict.fromkeys(key for record in records for key in record):
                columns.setdefault(key, [record.get(key) for record in records])
    columns |= {f"{name} imputed": marks.tolist() for name, marks in views.imputed.items() if marks.any()}
    plain = {name: [None if is_missing(v) else v for v in values] for name, values in columns.items()}
    paths = {
        name: [decode.path_of(cell) if there else None for cell, there in zip(column, column.present)]
        for name, column in known.columns.items()
        if column.kind in ("image", "audio", "video")
    }
    if not fuses(model):
        embeddings, present = model.embed(known), known.present
    else:
        embeddings, present = {FUSED: model.fuse(known)}, {FUSED: np.any(list(known.present.values()), axis=0)}
        paths = {FUSED: next(iter(paths.values()))} if paths else {}
    return Index.create(
        path,
        embeddings,
        present=present,
        similarity=model.compared_by,
        columns=plain,
        paths=paths,
        rows=np.asarray(views.rows),
    )
