"""Queries that work on a run: short captions of its own rows that find their row among the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba import durable
from bouba.files import read_json
from bouba.report import Picture
from bouba.report.build import SHOWN

FILE = "examples.json"
TRIED = 60  # captions, evenly taken among those that are short
SHORT = 40  # letters
WORDS = 5
AMONG = 3  # hits, of which one is the row itself or shows the same words
WANTED = 6
PICTURES = 3  # that a report shows of each


def kept(folder: Path) -> list[str] | None:
    """What a run folder keeps; None where nothing was looked for when it was made."""
    return [str(each) for each in read_json(folder / FILE)["queries"]] if (folder / FILE).exists() else None


def found(run: Any) -> list[str]:
    """Up to WANTED captions of a Run's rows that each find a row of the same caption among the first AMONG, no two of
    which find the same row first; none where words find nothing.

    They are chosen to work, so they say nothing about how often a query does.
    """
    if not any(kind == "text" for kind in run.model.kinds_.values()) or not (run._place.folder / "index").exists():
        return []
    captions = _captions(run)
    if not captions:
        return []
    chosen: list[str] = []
    first: set[int] = set()
    for words, hits in zip(captions, run.search_many(captions, k=AMONG), strict=True):
        titles = [item.title.casefold() for item in run.items([hit.row for hit in hits])]
        if words.casefold() in titles and hits[0].row not in first:
            chosen.append(words)
            first.add(hits[0].row)
    return _evenly(chosen, WANTED)


def write(run: Any, folder: Path) -> list[str]:
    """Look for them, and keep them in the folder of a run."""
    queries = found(run)
    durable.write_text(folder / FILE, json.dumps({"queries": queries}, ensure_ascii=False))
    return queries


def pictures_of(run: Any, query: str) -> list[Picture]:
    """What the first hits of a query look like, as far as they have pictures."""
    hits = run.search(query, k=PICTURES)
    shown = []
    for item in run.items([hit.row for hit in hits]):
        view = next((view for view, cell in item.views.items() if cell.kind in SHOWN), None)
        if view is not None:
            path = item.views[view].path
            cell = run.index.shown(item.row, view) if path is None else path
            if cell is not None:
                kind = "image" if path is None else item.views[view].kind
                shown.append(Picture(SHOWN[kind](cell), item.title))
    return shown


def _captions(run: Any) -> list[str]:
    """Short ones, each once, evenly taken, of the columns by which rows are called."""
    texts: dict[str, None] = {}
    for name in run.naming.titles[:1]:
        for text in run.index.listing.texts(name):
            if text is not None and 2 <= len(str(text)) <= SHORT and len(str(text).split()) <= WORDS:
                texts.setdefault(str(text))
    return _evenly(list(texts), TRIED)


def _evenly(values: Sequence[str], most: int) -> list[str]:
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[place] for place in places.tolist()] if values else []
