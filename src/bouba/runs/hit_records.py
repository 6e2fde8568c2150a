"""Hits of searches as records, and in a file: a table of CSV or Parquet, or records of JSON, one a line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba import durable
from bouba.data.characters import file_text
from bouba.runs.record_files import write_lines

if TYPE_CHECKING:
    from bouba.runs.items import Item
    from bouba.search import Hit, Hits

FIELDS = {
    "number": "int64",
    "question": "string",
    "id": "string",
    "title": "string",
    "row": "int64",
    "score": "float64",
    "confidence": "float64",
    "way": "string",
    "view": "string",
    "path": "string",
}

Record = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What one search found.

    Args:
        hits: the best first. number, question: of a question in a file of them.
    """

    hits: Hits
    number: int | None = None
    question: str | None = None

    @property
    def about(self) -> Record:
        """Which question it is; nothing where there is but one."""
        return {} if self.number is None else {"number": self.number, "question": self.question}

    @property
    def remarks(self) -> list[str]:
        """Sentences on its hits."""
        begin = "" if self.number is None else f"question {self.number}: "
        return [f"{begin}{remark}" for remark in self.hits.remarks]

    def best(self, k: int) -> Answer:
        """The first k hits alone."""
        from bouba.search import Hits

        return Answer(Hits(self.hits[:k], self.hits.remarks), self.number, self.question)


def records(run: Any, answers: Sequence[Answer]) -> list[Record]:
    """A record a hit; values of columns are as the index holds them."""
    rows = list(dict.fromkeys(hit.row for answer in answers for hit in answer.hits))
    items = dict(zip(rows, run.items(rows), strict=True))
    return [answer.about | _record(hit, items[hit.row]) for answer in answers for hit in answer.hits]


def _record(hit: Hit, item: Item) -> Record:
    return {
        "row": hit.row,
        "id": item.id,
        "title": item.title,
        "score": hit.score,
        "confidence": hit.confidence,
        "way": hit.way,
        "view": hit.view,
        "path": hit.path and file_text(hit.path),
        "paths": {view: file_text(cell.path) for view, cell in item.views.items() if cell.path},
        "columns": hit.columns,
    }


def write(run: Any, listed: Sequence[Record], out: Path, *, questions: bool, raw: bool) -> None:
    """Records in a file; an older one stays until the new one is on the disk. A column that is
    called as a field of every hit becomes column_NAME in a table.

    Args:
        records: of `records`. questions: whether they answer several.
        raw: write text that a spreadsheet would run as a formula as it is.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".jsonl":
        write_lines(listed, out)
        return
    fields = {name: kind for name, kind in FIELDS.items() if questions or name not in ("number", "question")}
    files = {f"path_{view}": view for view in _views_of_files(listed)}
    columns = columns_in_file(run, {*fields, *files})
    rows = [
        {name: record[name] for name in fields}
        | {name: record["paths"].get(view) for name, view in files.items()}
        | {name: record["columns"].get(column) for column, name in columns.items()}
        for record in listed
    ]
    if out.suffix.lower() == ".csv":
        from bouba.data.formats.spreadsheet import as_csv

        header = dict.fromkeys([*fields, *files, *columns.values()])
        durable.write_text(out, as_csv(rows, raw=raw) if rows else as_csv([header]).splitlines()[0] + "\n")
        return
    import pyarrow as pa

    from bouba.runs.vectors import WRITERS

    types = {name: pa.type_for_alias(kind) for name, kind in fields.items()} | dict.fromkeys(files, pa.string())
    types |= column_types(run, columns)
    made = pa.Table.from_pylist(rows, schema=pa.schema(types))
    WRITERS[".parquet"](made.schema, made.to_batches(), out)


def columns_in_file(run: Any, taken: Collection[str]) -> dict[str, str]:
    """Column of the index -> its name in the file; the column of ids, if it is called so, stands there already."""
    names = [name for name in run.filters() if not (name == "id" == run.naming.id)]
    stored = {name: name for name in names if name not in taken}
    for name in names:
        free = name
        while free in taken or (free in stored.values() and name not in stored):
            free = f"column_{free}"
        stored[name] = free
    return {name: stored[name] for name in names}


def column_types(run: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    """Name in the file -> the Arrow type of its values, of columns of the index by their names in the file."""
    known = run.index.listing.columns
    return {name: known[column].stored_types[known[column].stored] for column, name in columns.items()}


def _views_of_files(listed: Sequence[Record]) -> list[str]:
    """Views of which a hit has a file, where there are two or more: one is the path."""
    views = list(dict.fromkeys(view for record in listed for view in record["paths"]))
    return views if len(views) > 1 else []
