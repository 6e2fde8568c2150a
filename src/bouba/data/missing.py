"""Which cells hold nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bouba.data.characters import is_blank_text


def is_missing(value) -> bool:
    """None, NaN, NaT and text that shows nothing are missing cells; zeros are not."""
    if isinstance(value, str):
        return is_blank_text(value)
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")  # pandas' own


def is_blank(row) -> bool:
    """Whether a cell of a table holds nothing: it is missing, or each of its values is."""
    return all(map(is_missing, row.values())) if isinstance(row, Mapping) else is_missing(row)
