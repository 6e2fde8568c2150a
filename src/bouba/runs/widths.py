"""What shorter embeddings of a run cost, on rows that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bouba.errors import UsageError
from bouba.evaluation.widths import AtWidth, by_width
from bouba.runs.duplicates import held_out_again
from bouba.runs.suspicion import views_of


def widths_of(run: Any, table: Any, widths: Sequence[int] | None, named: Mapping[str, Any]) -> list[AtWidth]:
    """The curve of a Run: on the rows that it held out of its own table, on all rows of another."""
    views = views_of(run, table, named)
    held_out = held_out_again(run.path, views)
    if held_out is None and table is None:
        raise UsageError(
            f"{run.path} held no rows out, or its table has changed; give rows that it never saw: run.widths(TABLE)"
        )
    return by_width(run.model, views if held_out is None else held_out, widths)
