"""The rows of a run's index as Views: with those that were added since, without those that were removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.kinds import FILES
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.runs.items import Cell


def indexed_rows(run: Any, rows: Sequence[int] | None = None) -> Views:
    """What the index of a Run keeps of the cells that its model reads. A picture, sound or clip that has no file of its
    own is the small one that pages show.

    Args:
        rows: their numbers; all when None.

    Raises:
        UsageError: no index, no such row, or nothing is kept that the model reads.
    """
    chosen = run.index.listing.rows.tolist() if rows is None else list(rows)
    items = run.items(chosen)
    columns = {
        view: [_cell(run, view, item.row, item.views.get(view)) for item in items]
        for view in run.schema.kinds
        if view in run.model.kinds_
    }
    columns = {view: cells for view, cells in columns.items() if any(cell is not None for cell in cells)}
    if not columns:
        what = f"row {chosen[0]}" if len(chosen) == 1 else "its rows"
        raise UsageError(f"of {what} the index of {run.path} keeps nothing that the model reads")
    names = [name for name in run.filters() if name not in columns]
    meta = {name: [item.columns[name] for item in items] for name in names}
    kinds = {view: run.model.kinds_[view] for view in columns}
    return Views(columns, kinds=kinds, meta=meta, rows=np.array(chosen))


def _cell(run: Any, view: str, row: int, cell: Cell | None) -> Any:
    """A cell as `bouba.read` would give it; None where it is not kept."""
    if cell is None:
        return None
    if cell.kind in FILES:
        if cell.path is not None:
            return str(Path(cell.path))
        content = run.index.shown(row, view)
        return None if content is None else {"bytes": content, "path": None}
    numbers = dict(cell.numbers or {})
    if cell.kind == "vector":
        whole = len(numbers) == len(run.schema.columns_of(view)) > 0
        return np.asarray(list(numbers.values()), np.float32) if whole else None
    return numbers if cell.text is None else cell.text
