"""Files of vectors, one row a row: Parquet, or a table of Lance. Blocks come in one after another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bouba import durable
from bouba.errors import UsageError, require

ABOUT = b"bouba"


def refuse_format(out: Path) -> None:
    """UsageError for a name that is neither of a Parquet file nor of a Lance table."""
    if out.suffix not in WRITERS:
        raise UsageError(f"{out} ends in no {' or '.join(WRITERS)}; name a file or table of vectors so")
    if out.suffix == ".lance":
        require("lancedb", "search")


def join(blocks: Sequence[Path], out: Path, about: bytes) -> int:
    """Write the blocks as one file or table at `out`, whole or not at all, and give its number of rows.

    A column that some blocks lack is null there. One block is in memory at a time.

    Args:
        blocks: Parquet files, in order. about: JSON on what the vectors are, kept as metadata "bouba".
    """
    schemas = [pq.read_schema(block) for block in blocks]
    fields = {field.name: field for schema in schemas for field in schema}
    schema = pa.schema(list(fields.values()), {ABOUT: about})
    WRITERS[out.suffix](schema, _batches(blocks, schema), out)
    return sum(pq.read_metadata(block).num_rows for block in blocks)


def _batches(blocks: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for block in blocks:
        table = pq.read_table(block)
        columns = [
            table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
            for field in schema
        ]
        yield from pa.table(columns, schema=schema).combine_chunks().to_batches()


def _write_parquet(schema: pa.Schema, batches: Iterator[pa.RecordBatch], out: Path) -> None:
    """A row group a block."""
    new = out.with_name(f".{out.name}.new")
    try:
        with pq.ParquetWriter(new, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        durable.sync(new)
        new.replace(out)
        durable.sync(out.parent)
    finally:
        new.unlink(missing_ok=True)


def _write_lance(schema: pa.Schema, batches: Iterator[pa.RecordBatch], out: Path) -> None:
    """`lancedb.connect(out.parent).open_table(out.stem)` opens it."""
    new = out.with_name(f".{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        database = require("lancedb", "search").connect(str(new.absolute()))
        database.create_table(out.stem, reader, on_bad_vectors="null")  # else it refuses cells that are missing
        durable.replace_folder(new / out.name, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)


WRITERS: Mapping[str, Any] = {".parquet": _write_parquet, ".lance": _write_lance}
"""Ending -> what writes it."""
