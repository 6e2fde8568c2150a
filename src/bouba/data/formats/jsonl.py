"""JSON Lines: an object a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bouba.data.formats.utf8 import text_of
from bouba.data.table import Table


def read(path: Path) -> Table:
    """A line that is no object is listed among the bad rows."""
    records, rows, bad = [], [], []
    for number, line in enumerate(line for line in text_of(path).split("\n") if line.strip()):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError as error:
            bad.append({"row": number, "column": None, "value": line[:200], "reason": f"not JSON: {error}"})
            continue
        records.append(record)
        rows.append(number)
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)
