"""Rows of a table that show the same, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.duplicates import duplicates
from bouba.data.views import Views
from bouba.report import Report, build, write
from bouba.report.content import Listed
from bouba.runs.row_ids import ids_of, in_words, row_names, summaries

SHOWN, TOGETHER = 60, 12  # groups on a page, and rows of each


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows that are linked with each other, one by one, whatever the view.

    Args:
        rows: their numbers in the table, ascending. links: view -> why: "equal", "alike" or "mirrored".
    """

    rows: tuple[int, ...]
    links: dict[str, tuple[str, ...]]


def groups_in(views: Views) -> list[DuplicateGroup]:
    """Of two rows or more, the largest first."""
    found = duplicates(views)
    groups = found.groups
    links: dict[int, dict[str, dict[str, None]]] = {}
    for pair in found.pairs:
        links.setdefault(int(groups[pair.rows[0]]), {}).setdefault(pair.view, {})[pair.why] = None
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    made = [
        DuplicateGroup(
            tuple(sorted(views.rows[part].tolist())),
            {view: tuple(sorted(whys)) for view, whys in links[int(groups[part[0]])].items()},
        )
        for part in parts
        if len(part) > 1
    ]
    return sorted(made, key=lambda group: (-len(group.rows), group.rows))


def described(views: Views, groups: Sequence[DuplicateGroup]) -> list[dict[str, Any]]:
    """A record a row: the number of its group from 1, what it is called, by what it is linked, and a line on each of
    these cells."""
    place, ids = {row: i for i, row in enumerate(views.rows.tolist())}, ids_of(views)
    return [
        {
            "group": number,
            **row_names(ids, row),
            "by": linked_by(group.links),
            "cells": summaries(views, place[row], group.links),
        }
        for number, group in enumerate(groups, 1)
        for row in group.rows
    ]


def counted(groups: Sequence[DuplicateGroup], rows: int) -> str:
    """How many there are, as a sentence."""
    count = sum(len(group.rows) for group in groups)
    return f"{count:,} of {rows:,} rows show the same as another, in {len(groups):,} groups."


def linked_by(links: Mapping[str, Sequence[str]]) -> str:
    """By which views rows of a group are linked, and why."""
    return ", ".join(f"{view} {' and '.join(whys)}" for view, whys in links.items())


def write_page(views: Views, groups: Sequence[DuplicateGroup], file: Path) -> Path:
    """A page of the first groups with pictures and words; its path."""
    place, ids = {row: i for i, row in enumerate(views.rows.tolist())}, ids_of(views)
    shown = []
    for group in groups[:SHOWN]:
        rows = group.rows[:TOGETHER]
        cells = [cell for row in rows for cell in build.cells_shown(views, place[row], views.columns)]
        more = len(group.rows) - TOGETHER
        note = linked_by(group.links) + (f"; {more:,} rows more are alike" if more > 0 else "")
        shown.append(Listed([in_words(ids, row) for row in rows], cells, note))
    by = counted(groups, len(views))
    return write(Report("Duplicates", by, duplicates=shown, duplicates_by=by), file)
