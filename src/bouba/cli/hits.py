"""Hits of searches as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.cli.printing import cut, fitted, text_columns, width_of

if TYPE_CHECKING:
    from bouba.runs.hit_records import Record
    from bouba.runs.run import Run

CODES = ("key", "group")  # columns that say little to a person
COLUMNS, COLUMN, FILE, CELL = 4, 24, 40, 36  # columns that are shown; widths of one, of a path and of any other cell
WIDTH = 100  # of a table in a terminal


def table(run: Run, listed: Sequence[Record]) -> str:
    """Records in lines of WIDTH at most: what a row is called first, then its score, and of its file and columns those
    that there is room for."""
    naming, names = run.naming, run.filters()
    rest = [name for name in names if name not in (naming.id, *naming.titles[:1])]
    rest = ([name for name in rest if name not in CODES] or rest)[:COLUMNS]
    fields = [
        *(("number", "number"), ("question", "question")),
        (naming.id, "id") if naming.id else ("row", "row"),
        *([("title", "title")] if naming.titles else []),
        *(("score", "score"), ("sure", "confidence")),
        *([("row", "row")] if naming.id else []),
        ("way", "way"),
    ]
    main = [[header, *(_text(record.get(field), field) for record in listed)] for header, field in fields]
    more = [["path", *(cut(_path(record), FILE) for record in listed)]]
    more += [[name, *(cut(_text(record["columns"].get(name)), COLUMN) for record in listed)] for name in rest]
    columns = _with_room([each for each in main if any(each[1:])], [each for each in more if any(each[1:])])
    return text_columns(fitted(list(zip(*columns, strict=True)), WIDTH))


def _with_room(main: list[list[str]], more: Sequence[list[str]]) -> list[list[str]]:
    """Columns of a table, and of more columns those that fit beside them."""
    room = WIDTH + 2 - sum(min(width_of(column), CELL) + 2 for column in main)
    for column in more:
        room -= width_of(column) + 2
        if room < 0:
            break
        main.append(column)
    return main


def _text(value: Any, field: str = "") -> str:
    form = {"score": ".3f", "confidence": ".0%"}.get(field, "")
    return "" if value is None else format(value, form) if form else str(value)


def _path(record: Record) -> str:
    """The file of a hit, else the first of its row; from the current folder, if it lies there."""
    path = Path(record["path"] or next(iter(record["paths"].values()), ""))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path) if path.name else ""
