"""What the index of a run holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bouba.search.versions import bytes_on_disk


@dataclass(frozen=True)
class Holding:
    """An index in numbers.

    Args:
        rows: that have a cell. version: counts its changes, from 1. versions: that can be restored, this one included.
        cells: view -> how many. columns: name -> str, int, float or bool. bytes: on the disk, all versions together.
    """

    rows: int
    version: int
    versions: int
    cells: Mapping[str, int]
    columns: Mapping[str, str]
    bytes: int

    def lines(self) -> list[list[str]]:
        """For people: what is counted, and how much of it there is."""
        return [
            ["rows", f"{self.rows:,}"],
            ["cells", ", ".join(f"{view}: {count:,}" for view, count in self.cells.items())],
            ["columns", ", ".join(self.columns)],
            ["version", f"{self.version}, of {self.versions} that can be restored"],
            ["disk", f"{self.bytes / 1e6:,.1f} MB"],
        ]


def holding_of(run: Any) -> Holding:
    """Of a Run; see Holding."""
    index = run.index
    columns = {name: index.listing.column(name).kind for name in run.filters()}
    size = bytes_on_disk(run._place.folder / "index")
    return Holding(index.rows, index.version, len(index.versions()), index.listing.cells, columns, size)
