"""Pairs and labels that may be wrong, and rows that show the same, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bouba.cli.printing import fitted, text_columns

WIDTH = 100  # columns of a terminal


def pairs_table(found: Sequence[Mapping[str, Any]], k: int) -> str:
    """A line a pair, the most doubtful first."""
    rows = []
    for one in found[:k]:
        places = " and ".join(f"{rank:,}" for rank in one["ranks"]) + f" of {one['among']:,}"
        rows.append([f"{one['doubt']:.1f}", *_called(one), places, cells_text(one)])
    note = "doubt: standard deviations worse than the mean pair; places: where one half finds the other, and back"
    table = table_of(["doubt", *_header(found), "places", "pair"], rows)
    return f"{table}\n{len(found):,} pairs, each judged by a model fitted on other rows\n{note}"


def labels_table(found: Sequence[Mapping[str, Any]], k: int) -> str:
    """A line a label, the most doubtful first."""
    rows = [
        [f"{one['doubt']:.2f}", *_called(one), one["label"], one["given"], one["likely"], cells_text(one)]
        for one in found[:k]
    ]
    return table_of(["doubt", *_header(found), "label", "given", "likely", "cells"], rows)


def groups_table(found: Sequence[Mapping[str, Any]], k: int) -> str:
    """A line a row, of the first k groups."""
    rows = [[str(one["group"]), *_called(one), one["by"], cells_text(one)] for one in found if one["group"] <= k]
    return table_of(["group", *_header(found), "by", "cells"], rows)


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return text_columns(fitted([header, *rows], WIDTH))


def cells_text(record: Mapping[str, Any]) -> str:
    """The cells of a record in one line."""
    return "; ".join(f"{view}: {summary[:60]}" for view, summary in record["cells"].items())


def _header(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["row", "id"] if found and "id" in found[0] else ["row"]


def _called(record: Mapping[str, Any]) -> list[str]:
    return [str(record[name] or "") if name == "id" else str(record[name]) for name in _header([record])]
