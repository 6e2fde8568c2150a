"""From a model and a table to a search index: which columns can be filtered, what stands beside a hit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.data.views import Views, is_missing

if TYPE_CHECKING:
    from bouba.search import Index


def build_index(model: Any, views: Views, path: Path) -> Index:
    """Embed every cell and index it with labels, domain, key, other columns, texts and original paths."""
    from bouba.search import Index

    known = views.select(*(name for name in views.columns if name in model.kinds_))
    roles = {"domain": views.domain, "key": views.key, "group": views.group}
    columns: dict[str, Any] = {name: values for name, values in roles.items() if values is not None}
    columns |= {**views.meta, **views.y}
    for name, column in views.columns.items():
        if column.kind == "text":
            columns[name] = [decode.text(cell) if there else None for cell, there in zip(column, column.present)]
    plain = {name: [None if is_missing(v) else v for v in values] for name, values in columns.items()}
    paths = {
        name: [decode.path_of(cell) if there else None for cell, there in zip(column, column.present)]
        for name, column in known.columns.items()
        if column.kind in ("image", "audio", "video")
    }
    return Index.create(
        path,
        model.embed(known),
        present=known.present,
        similarity=model.compared_by,
        columns=plain,
        paths=paths,
        rows=np.asarray(views.rows),
    )
