"""What a table holds, as bouba understands it: facts for a person and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from bouba.data.kinds import KINDS
from bouba.data.schema import Schema
from bouba.data.views import Column, Views, is_missing
from bouba.runs.reading import repeated_text

MOST = 12  # names of labels and domains that are listed


def understood(views: Views) -> dict[str, Any]:
    """Rows, views with an example each, labels, domains, keys, other columns, and what could not be read."""
    return {
        "rows": len(views),
        "views": {name: _view_facts(column) for name, column in views.columns.items()},
        "labels": {
            name: {"classes": len({str(v) for v in values if not is_missing(v)}), "most": _counts(values)}
            for name, values in views.y.items()
        },
        "domains": {} if views.domain is None else _counts(views.domain),
        "keys": None if views.key is None else len(set(views.things)),
        "roles": dict(Schema.of(views).roles or {}),
        "other columns": list(views.meta),
        "bad_rows": views.bad_rows,
        "hint": repeated_text(views),
    }


def _counts(values: Iterable) -> dict[str, int]:
    """The most frequent names, and how often each occurs."""
    return dict(Counter(str(v) for v in values if not is_missing(v)).most_common(MOST))


def _view_facts(column: Column) -> dict[str, Any]:
    present = int(column.present.sum())
    return {"kind": column.kind, "present": present, "missing": len(column) - present, "example": _example(column)}


def _example(column: Column) -> str | None:
    row = next(iter(column.present.nonzero()[0]), None)
    if row is None:
        return None
    cell = column[int(row)]
    return f"{len(cell)} numbers" if column.kind == "vector" else KINDS[column.kind].summary(cell)[:60]
