"""Named columns, as every reader of a file gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


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
