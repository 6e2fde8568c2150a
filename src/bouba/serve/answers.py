"""What the API says of a run, its rows and hits, as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from bouba.data.kinds import FILES
from bouba.runs.items import Cell, Item
from bouba.runs.run import Run
from bouba.search import Hits
from bouba.serve.limits import Limits
from bouba.serve.opened import Opened

THUMBNAIL = 256
TYPES = {"str": "text", "int": "integer", "float": "number", "bool": "bool"}


def described(opened: Opened, limits: Limits, *, read_only: bool) -> dict[str, Any]:
    """One run as the page needs to know it."""
    run = opened.run()
    model, searchable = run.model, run.has_index
    listing = run.index.listing if searchable else None
    return {
        "name": opened.name,
        "title": opened.name,
        "summary": run.summary(),
        "method": {"name": run.name, "title": run.name if run.method is None else run.method.title},
        "views": [{"name": view, "kind": kind} for view, kind in model.kinds_.items()],
        "columns": [
            {"name": name, "type": TYPES.get(listing.column(name).kind, "text")}
            for name in (run.filters() if searchable else ())
        ]
        if listing is not None
        else [],
        "rows": 0 if listing is None else len(listing.rows),
        "cells": len(run.index) if searchable else 0,
        "id_column": run.naming.id if searchable else None,
        "abilities": {
            "search": searchable,
            "predict": bool(model.predicts),
            "translate": bool(model.translates),
            "explain": bool(model.predicts),
            "map": searchable,
        },
        "labels": labels_of(model),
        "translates": {"from": model.source_, "to": model.target_} if model.translates else None,
        "examples": list(getattr(run, "examples", ())),
        "read_only": read_only,
        "limits": {
            "upload_bytes": limits.upload_bytes,
            "pixels": limits.pixels,
            "seconds": limits.seconds,
            "k": limits.k,
        },
        "report": f"/report/{quote(opened.name)}" if (run._place.folder / "report.html").exists() else None,
    }


def labels_of(model: Any) -> list[dict[str, Any]]:
    """The labels that a model predicts."""
    if not model.predicts:
        return []
    numbers = model.codes_.numbers
    return [
        {"name": label, "kind": "number", "classes": []}
        if label in numbers
        else {"name": label, "kind": "class", "classes": [plain(each) for each in model.classes(label)]}
        for label in model.module_.predicted_labels
    ]


def searched(opened: Opened, run: Run, hits: Hits) -> dict[str, Any]:
    """Hits with what they show."""
    items = items_of(opened, run, [hit.row for hit in hits])
    listed = [
        item
        | {
            "score": plain(hit.score),
            "confidence": None if hit.confidence is None else plain(hit.confidence),
            "way": hit.way,
            "view": hit.view,
        }
        for hit, item in zip(hits, items, strict=True)
    ]
    return {"hits": listed, "remarks": list(hits.remarks)}


def items_of(opened: Opened, run: Run, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the index without a score."""
    index = run.index.name
    found = {row: opened.items.get((index, row)) for row in rows}
    for item in run.items([row for row, known in found.items() if known is None]):
        found[item.row] = shown = item_of(opened, item)
        opened.items.put((index, item.row), shown)
    return [found[row] for row in rows]  # type: ignore[misc]


def item_of(opened: Opened, item: Item) -> dict[str, Any]:
    """A row as JSON; its files by addresses of this server."""
    return {
        "row": item.row,
        "id": item.id,
        "title": item.title,
        "views": {view: _cell(opened, item, view, cell) for view, cell in item.views.items()},
        "columns": {name: plain(value) for name, value in item.columns.items()},
    }


def _cell(opened: Opened, item: Item, view: str, cell: Cell) -> dict[str, Any]:
    answer: dict[str, Any] = {"kind": cell.kind}
    if cell.text is not None:
        answer["text"] = cell.text
    if cell.numbers is not None:
        answer["record"] = {name: plain(value) for name, value in cell.numbers.items()}
    if cell.kind in FILES:
        address = f"/api/v1/items/{item.row}/media/{quote(view, safe='')}?{urlencode({'run': opened.name})}"
        answer["media"] = address
        if cell.kind != "audio":
            answer["thumbnail"] = f"{address}&size={THUMBNAIL}"
    return answer


def plain(value: Any) -> Any:
    """A number, text, truth or nothing that JSON has."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def predictions_of(model: Any, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `Run.predict` says of one row, a label each."""
    answer = []
    for label in labels_of(model):
        name = label["name"]
        if label["kind"] == "number":
            ends = [plain(record.get(f"{name}_{end}")) for end in ("low", "high")]
            interval = None if None in ends else ends
            answer.append({"label": name, "value": plain(record[name]), "probability": None, "interval": interval})
            continue
        chances = {str(each): plain(record[f"{name}={each}"]) for each in label["classes"]}
        chance = plain(record[f"{name}_probability"])
        answer.append(
            {
                "label": name,
                "value": plain(record[name]),
                "probability": chance,
                "interval": None,
                "probabilities": chances,
            }
        )
    return answer
