"""Rows of a run's index as things to show: what a row is called, its cells, its columns. Read from the index alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bouba.data.kinds import FILES
from bouba.runs.indexing import FUSED
from bouba.runs.known import WHOLE

if TYPE_CHECKING:
    from bouba.search.listing import Listing

ID = re.compile(r"(.*[_\- ])?(id|uuid|uid|key|name|file|filename|file_name|filepath|path)", re.IGNORECASE)
LOOKED_AT = 2000  # rows by which a column is taken for a caption
VARIED, LETTERS = 0.5, 3.0  # share of distinct values, and letters of one, from which on texts are captions


@dataclass(frozen=True)
class Cell:
    """One cell of a row.

    Args:
        kind: of its view. text: of a text. numbers: name -> value of a record, or of a vector whose numbers have names.
        path: of the file of a picture, sound or clip; None where it has none, as one that a table held as bytes.
    """

    kind: str
    text: str | None = None
    numbers: Mapping[str, Any] | None = None
    path: str | None = None


@dataclass(frozen=True)
class Item:
    """A row of the index.

    Args:
        row: its number. id: its value in the person's own id column; None where there is none.
        title: its first caption, else its id, else "row 12".
        views: view -> Cell, of those that the row has. columns: name -> value, as `Run.filters` names them.
    """

    row: int
    id: str | None
    title: str
    views: Mapping[str, Cell] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Naming:
    """Which columns say what a row is called; None for no such column."""

    id: str | None
    titles: tuple[str, ...]


def naming_of(run: Any) -> Naming:
    """Of a Run: the column of ids is that of the role `key` where a person named it, else the first that is called like
    one (id, photo_id, file, ...) and differs in every row; titles are the texts of its views, else the first column of
    captions: texts of some letters that mostly differ."""
    listing, names = run.index.listing, run.filters()
    texts = [view for view, kind in run.schema.kinds.items() if kind == "text" and view in listing.columns]
    role = (run.schema.roles or {}).get("key")
    if role in names and "key" in run.recipe.get("read", {}):
        chosen = role
    else:
        chosen = id_column([name for name in names if name not in texts], listing.is_distinct)
    captions = (name for name in names if name != chosen and _is_caption(listing, name))
    return Naming(chosen, tuple(texts) or tuple(name for name in [next(captions, None)] if name is not None))


def id_column(names: Iterable[str], is_distinct: Callable[[str], bool]) -> str | None:
    """The first column that is called like one of ids and differs in every row."""
    return next((name for name in names if ID.fullmatch(name) and is_distinct(name)), None)


def _is_caption(listing: Listing, name: str) -> bool:
    if listing.column(name).kind != "str" or (ID.fullmatch(name) and not name.lower().endswith("name")):
        return False
    texts = [str(text) for text in listing.texts(name, LOOKED_AT) if text is not None]
    letters = sum(sum(map(str.isalpha, text)) for text in texts)
    return bool(texts) and len(set(texts)) >= VARIED * len(texts) and letters >= LETTERS * len(texts)


def items_of(run: Any, rows: Sequence[int]) -> list[Item]:
    """Some rows of a Run's index, in the order of `rows`.

    Raises:
        UsageError: the index has no such row.
    """
    listing = run.index.listing
    records = listing.records(listing.places(rows))
    return [_item(run, int(row), columns, paths) for row, (columns, paths) in zip(rows, records, strict=True)]


def _item(run: Any, row: int, columns: Mapping[str, Any], paths: Mapping[str, str | None]) -> Item:
    naming = run.naming
    own = None if naming.id is None or columns.get(naming.id) is None else str(columns[naming.id])
    titles = (columns.get(name) for name in naming.titles)
    title = next((str(text) for text in titles if text), own or f"row {row}")
    cells = {view: _cell(run, view, kind, columns, paths) for view, kind in run.schema.kinds.items()}
    views = {view: cell for view, cell in cells.items() if cell is not None}
    return Item(row, own, title, views, {name: columns.get(name) for name in run.filters()})


def _cell(run: Any, view: str, kind: str, columns: Mapping[str, Any], paths: Mapping[str, str | None]) -> Cell | None:
    """The cell of a view; None where the row has none, as far as the index knows."""
    if kind == "text":
        text = columns.get(view)
        return None if text is None else Cell(kind, text=str(text))
    if kind in ("table", "vector"):
        named = run.schema.columns_of(view)
        numbers = {name: columns[name] for name in named if columns.get(name) is not None}
        return Cell(kind, numbers=numbers) if numbers or view in paths else None
    if view in paths:
        return Cell(kind, path=paths[view])
    if FUSED in paths and kind in FILES and view == next(v for v, other in run.schema.kinds.items() if other in FILES):
        return Cell(kind, path=paths[FUSED])  # a row that is found as a whole keeps its first file
    return None


def indexed_views(run: Any) -> list[str]:
    """The views of the table that the index holds cells of."""
    return [view for view in run.index.views if view not in (WHOLE, FUSED)]
