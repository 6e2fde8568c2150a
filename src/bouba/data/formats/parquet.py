"""Parquet: one file, or several that are the parts of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.data import scratch
from bouba.data.arrays import unique_names
from bouba.data.formats.batches import Batches, Piece, joined
from bouba.data.formats.parts import Part
from bouba.data.table import Table
from bouba.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def read(path: Path) -> Table:
    """Numbers as arrays, all else cell by cell; see `bouba.data.formats.batches`."""
    return read_parts([Part(str(path))]).table(path.parent)


def read_parts(parts: Sequence[Part]) -> Batches:
    """Files with the same columns, one below the other."""
    return joined([_piece(part) for part in parts])


def _piece(part: Part) -> Piece:
    import pyarrow as pa

    try:
        file = _opened(part)
        schema, metadata = file.schema_arrow, file.metadata
        unique_names(part.name, schema.names)
        sizes = dict.fromkeys(schema.names, 0)
        for group in range(metadata.num_row_groups):
            columns = metadata.row_group(group)
            for place in range(columns.num_columns):
                column = columns.column(place)
                name = _top_level(column.path_in_schema, sizes)
                sizes[name] += column.total_uncompressed_size
        rows = metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{part.address} is not a Parquet file: {error}") from error
    return Piece(part.name, part.facts, schema, rows, sizes, partial(_cells, part))


def _opened(part: Part) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(part.address, memory_map=True) if part.storage is None else pq.ParquetFile(part.opened())


def _top_level(path: str, names: Any) -> str:
    """The column that a leaf of the schema belongs to; names may hold dots themselves."""
    return next(
        (name for name in sorted(names, key=len, reverse=True) if path == name or path.startswith(f"{name}.")), path
    )


def _cells(part: Part, name: str, row_bytes: int) -> Iterator[pa.Array]:
    """The cells of a column, some MB at a time."""
    import pyarrow as pa

    rows = min(65_536, max(64, scratch.BLOCK // max(row_bytes, 1)))
    try:
        for batch in _opened(part).iter_batches(rows, columns=[name]):
            yield batch.column(batch.schema.get_field_index(name))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"column {name!r} of {part.address} cannot be read: {error}") from error
