"""What a table holds, as bouba understands it: facts for a person and for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.data.duplicates import duplicates
from bouba.data.duplicates.find import EQUAL
from bouba.data.kinds import KINDS
from bouba.data.schema import Schema
from bouba.data.views import Column, Views, is_missing
from bouba.runs.reading import given_options, read_table, repeated_text

if TYPE_CHECKING:
    from bouba.runs.run import Run

MOST = 12  # names of labels and domains that are listed


def understood(views: Views) -> dict[str, Any]:
    """Rows, views with an example each, labels, domains, keys, other columns, near-duplicates, and what could not be
    read."""
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
        "duplicates": _duplicates_facts(views),
        "hint": repeated_text(views),
    }


def pairs_that_may_be_wrong(
    table: Sequence[str | os.PathLike[str]], named: Mapping[str, Any], page: Path | None = None
) -> list[dict[str, Any]]:
    """The pairs of a table, or of that which a run was made of, the most doubtful first, a record each.

    Args:
        table: files, or one run folder. named: columns, as in `read_table`. page: also write them to this HTML file.
    """
    from bouba.runs.suspicion import described, suspicious, write_page

    run, views = run_or_table(table, named)
    doubts = suspicious(views, None if run is None else run.model)
    if page is not None:
        write_page(views, doubts, page)
    return described(views, doubts)


def run_or_table(table: Sequence[str | os.PathLike[str]], named: Mapping[str, Any]) -> tuple[Run | None, Views]:
    """The views of a table; or of that which a run was made of, and the run.

    Args:
        table: files, or one run folder. named: columns, as in `read_table`.
    """
    if len(table) != 1 or not (Path(table[0]) / "recipe.toml").exists():
        return None, read_table(list(table), named)
    from bouba.runs.run import Run
    from bouba.runs.suspicion import views_of

    run = Run.open(table[0])
    return run, views_of(run, None, given_options(named))


def _duplicates_facts(views: Views) -> dict[str, Any]:
    """view -> how many rows have a near-duplicate by it, how many pairs there are of each sort, and one of them; of the
    views with some."""
    found = duplicates(views)
    facts = {}
    for view, count in found.counts.items():
        why, ends = max(found.links[view].items(), key=lambda link: (link[0] != EQUAL, len(link[1])))
        first, second = ends[0].tolist()
        summary = KINDS[views.modalities[view]].summary
        facts[view] = {
            "rows": count,
            "pairs": {why: len(ends) for why, ends in found.links[view].items()},
            "example": {
                "rows": [int(views.rows[row]) for row in (first, second)],
                "why": why,
                "cells": [summary(views[view][row])[:60] for row in (first, second)],
            },
        }
    return facts


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
