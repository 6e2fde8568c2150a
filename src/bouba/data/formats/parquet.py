"""Parquet, memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bouba.data.arrays import unique_names
from bouba.data.table import Table
from bouba.errors import DataError


@dataclass(frozen=True)
class _Arrow:
    """A memory-mapped Arrow column that gives Python values."""

    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int):
        return self.values[row].as_py()


def read(path: Path) -> Table:
    """Numbers as arrays, all else cell by cell; so are whole numbers with gaps, to keep their digits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        unique_names(path.name, pq.read_schema(path).names)
        table = pq.read_table(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a Parquet file: {error}") from error
    columns = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        exact = pa.types.is_floating(values.type) or (pa.types.is_integer(values.type) and not values.null_count)
        columns[name] = values.to_numpy() if exact else _Arrow(values)
    return Table(columns, path.parent)
