"""Arrow files, as Feather and `datasets` write them: mapped as they are, or copied where they are compressed."""

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

MAGIC = b"ARROW1"  # of a file; a stream has none


def read(path: Path) -> Table:
    """See `bouba.data.formats.batches`."""
    return read_parts([Part(str(path))]).table(path.parent)


def read_parts(parts: Sequence[Part]) -> Batches:
    """Files or streams of Arrow with the same columns, one below the other."""
    return joined([_piece(part) for part in parts])


def _piece(part: Part) -> Piece:
    import pyarrow as pa

    try:
        schema, rows = None, 0
        sizes: dict[str, int] = {}
        for batch in _record_batches(part):
            schema = batch.schema if schema is None else schema
            rows += batch.num_rows
            for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                sizes[name] = sizes.get(name, 0) + cells.nbytes
        if schema is None:
            raise DataError(f"{part.address} holds no row")
        unique_names(part.name, schema.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{part.address} is not an Arrow file: {error}") from error
    mapped = partial(_mapped, part.address) if part.storage is None and _is_plain(part.address) else None
    return Piece(part.name, part.facts, schema, rows, sizes, partial(_cells, part), mapped)


def _is_plain(path: str) -> bool:
    """Whether the cells of a file can be read where they lie, because nothing is compressed."""
    import pyarrow as pa

    before = pa.total_allocated_bytes()
    first = next(_record_batches(Part(path)), None)
    return first is not None and pa.total_allocated_bytes() - before < first.nbytes // 2


def _mapped(path: str, name: str) -> pa.ChunkedArray:
    """A column where it lies."""
    import pyarrow as pa

    batches = list(_record_batches(Part(path)))
    return pa.chunked_array([batch.column(batch.schema.get_field_index(name)) for batch in batches])


def _record_batches(part: Part) -> Iterator[pa.RecordBatch]:
    """The batches of a file or a stream; of a file here nothing is copied that is not compressed."""
    import pyarrow as pa

    source: Any = pa.memory_map(part.address) if part.storage is None else pa.PythonFile(part.opened(), mode="r")
    with source:
        is_file = source.read(len(MAGIC)) == MAGIC
        source.seek(0)
        if is_file:
            file = pa.ipc.open_file(source)
            yield from (file.get_batch(place) for place in range(file.num_record_batches))
        else:
            yield from pa.ipc.open_stream(source)


def _cells(part: Part, name: str, row_bytes: int) -> Iterator[pa.Array]:
    import pyarrow as pa

    rows = max(64, scratch.BLOCK // max(row_bytes, 1))
    try:
        for batch in _record_batches(part):
            cells = batch.column(batch.schema.get_field_index(name))
            yield from (cells.slice(start, rows) for start in range(0, len(cells), rows))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"column {name!r} of {part.address} cannot be read: {error}") from error
