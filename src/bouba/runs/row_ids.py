"""What the rows of a table are called by their own column of ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bouba.data.kinds import KINDS
from bouba.data.views import Views
from bouba.runs.indexing import columns_of
from bouba.runs.items import id_column
from bouba.search.listing import NAMELESS

ROLES = ("domain", "key", "group")


def ids_of(views: Views) -> dict[int, str]:
    """Row -> its value in the first column that is called like one of ids and differs in every row, as a search of the
    same table shows; empty where there is none."""
    columns = {name: values for name, values in columns_of(views).items() if name not in (*ROLES, *views.columns)}

    def is_distinct(name: str) -> bool:
        values = [str(value) for value in columns[name] if value is not None]
        return len(set(values)) == len(values) >= (1 - NAMELESS) * len(views)

    name = id_column(columns, is_distinct)
    if name is None:
        return {}
    pairs = zip(views.rows.tolist(), columns[name], strict=True)
    return {row: str(value) for row, value in pairs if value is not None}


def row_names(ids: dict[int, str], row: int) -> dict[str, Any]:
    """What a record of a row begins with: its number, and its id where rows have one."""
    return {"row": row, **({"id": ids.get(row)} if ids else {})}


def in_words(ids: dict[int, str], row: int) -> str:
    """Its number, and its id where it has one."""
    return f"{row} ({ids[row]})" if row in ids else f"{row}"


def summaries(views: Views, place: int, names: Iterable[str]) -> dict[str, str]:
    """View -> a line on the cell of the row at a place, of those that it has."""
    return {
        name: KINDS[views.modalities[name]].summary(views[name][place]) for name in names if views[name].present[place]
    }
