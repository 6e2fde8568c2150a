"""Named columns, as every reader of a file gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import names, same_names


@dataclass
class Table:
    """Named columns of equal length; each has `len` and integer indexing.

    Args:
        columns: name -> cells.
        base: folder that relative paths in cells are relative to.
        kinds: what the source itself says of a column: name -> kind, or "label".
        rows: row numbers in the source; rows that could not be parsed are left out.
        bad_rows: dicts with "row", "column", "value", "reason".
        numbers: column of vectors -> the names of their numbers, where they came with names.
        row_names: the index of the frame or series, which names the rows; None where there is none.
    """

    columns: dict[str, Any]
    base: Path | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    rows: np.ndarray | None = None
    bad_rows: list[dict] = field(default_factory=list)
    numbers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    row_names: Any = None

    def __post_init__(self) -> None:
        self.columns, self.kinds = names(self.columns), names(self.kinds)

    def named_as(self, known: Iterable[str]) -> Table:
        """The same table, its columns under names that are known where theirs are these in another form."""
        renamed = same_names(self.columns, (name for name in known if name not in self.columns))
        taken = Counter(renamed.values())
        renamed = {name: other if taken[other] == 1 else name for name, other in renamed.items()}
        columns = {renamed[name]: values for name, values in self.columns.items()}
        kinds = {renamed[name]: kind for name, kind in self.kinds.items()}
        return replace(self, columns=columns, kinds=kinds, numbers={renamed[n]: c for n, c in self.numbers.items()})
