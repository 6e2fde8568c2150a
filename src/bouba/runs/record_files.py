"""Records in a file: a table of CSV or Parquet, or JSON, one a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bouba import durable
from bouba.errors import UsageError

ENDINGS = (".csv", ".parquet", ".jsonl")


def refuse(out: Path | None, *, overwrite: bool, what: str = "hits") -> None:
    """UsageError for a file that cannot be written, before anything is looked for.

    Args:
        what: is to be written, for the message.
    """
    if out is None:
        return
    if out.suffix.lower() not in ENDINGS:
        raise UsageError(f"{what} are written to a file {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, got -o {out}")
    if out.is_dir():
        raise UsageError(f"{out} is a folder; choose another -o")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another -o, or say --overwrite")


def write_lines(records: Sequence[Mapping[str, Any]], out: Path) -> None:
    """A line of JSON a record."""
    lines = (json.dumps(record, ensure_ascii=False, default=str) for record in records)
    durable.write_text(out, "".join(f"{line}\n" for line in lines))


def write(records: Sequence[Mapping[str, Any]], columns: Sequence[str], out: Path) -> None:
    """Records in a file; an older one stays until the new one is on the disk.

    Args:
        columns: of a table, of which each record holds some.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [{column: record.get(column) for column in columns} for record in records]
    if out.suffix.lower() == ".jsonl":
        write_lines(rows, out)
    elif out.suffix.lower() == ".csv":
        from bouba.data.formats.spreadsheet import as_csv

        durable.write_text(out, as_csv(rows) if rows else f"{','.join(columns)}\n")
    else:
        import pyarrow as pa

        from bouba.runs.vectors import WRITERS

        made = pa.Table.from_pydict({column: [row[column] for row in rows] for column in columns})
        WRITERS[".parquet"](made.schema, made.to_batches(), out)
