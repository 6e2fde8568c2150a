"""Tables of LanceDB: the folder NAME.lance of a database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.data import scratch
from bouba.data.formats.batches import Piece, joined
from bouba.data.table import Table
from bouba.errors import DataError, require

if TYPE_CHECKING:
    import pyarrow as pa


def read(path: Path) -> Table:
    """The newest version of a table; see `bouba.data.formats.batches`. MissingExtraError without lancedb."""
    table = _opened(str(path.absolute()))
    rows = table.count_rows()
    facts = (str(path.absolute()), table.version, rows, path.stat().st_mtime_ns)
    piece = Piece(path.name, facts, table.schema, rows, {}, partial(_cells, str(path.absolute()), table.version))
    return joined([piece]).table(path.parent)


def _opened(address: str, version: int | None = None) -> Any:
    lancedb = require("lancedb", "search")
    folder, name = address.rsplit("/", 1) if "/" in address else (".", address)
    try:
        table = lancedb.connect(folder).open_table(name.removesuffix(".lance"))
        if version is not None and table.version != version:
            table.checkout(version)
    except Exception as error:  # whatever the library raises
        raise DataError(f"{address} is no table of LanceDB: {str(error).splitlines()[0][:200]}") from error
    return table


def _cells(address: str, version: int, name: str, row_bytes: int) -> Iterator[pa.Array]:
    rows = min(65_536, max(64, scratch.BLOCK // max(row_bytes, 1)))
    quoted = name if name.isidentifier() else f"`{name}`"
    for batch in _opened(address, version).search().select([quoted]).to_batches(rows):
        yield batch.column(0)
