"""What models do for a request: search, predict, explain, translate, embed."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.errors import BoubaError, MissingExtraError, ModalityError, UsageError
from bouba.runs.indexed_rows import indexed_rows
from bouba.runs.run import Run
from bouba.serve.answers import items_of, labels_of, plain, predictions_of, searched
from bouba.serve.limits import Limits, Refusal
from bouba.serve.opened import Opened

STEPS = 20  # of integrated gradients


@dataclass(frozen=True)
class Narrowing:
    """What a search is narrowed by, besides the question."""

    k: int
    where: str | None = None
    filters: tuple[Mapping[str, Any], ...] = ()
    view: str | None = None
    sure: float | None = None


def search(opened: Opened, questions: Sequence[list[dict[str, Any]]], narrowing: Narrowing) -> list[dict[str, Any]]:
    """For each question, a list of parts, its hits; without parts the first rows that pass the filters.

    Raises:
        Refusal: nothing to search.
    """
    run = opened.run()
    if not run.has_index:
        raise Refusal(409, f"{opened.name} has nothing to search")
    started = time.perf_counter()
    where, filters = narrowing.where, list(narrowing.filters)
    passing = run.passing(where, filters)
    asked = [parts for parts in questions if parts]
    found = iter(
        run.search_many(asked, k=narrowing.k, where=where, filters=filters, view=narrowing.view, sure=narrowing.sure)
        if asked and len(passing)
        else [None] * len(asked)
    )
    answers = []
    for parts in questions:
        hits = next(found) if parts else None
        if hits is None:
            rows = [] if parts else passing[: narrowing.k].tolist()
            nothing = {"score": None, "confidence": None, "way": None, "view": None}
            answer = {"hits": [item | nothing for item in items_of(opened, run, rows)], "remarks": []}
        else:
            hits[:] = hits[: narrowing.k]
            answer = searched(opened, run, hits)
        answers.append(answer | {"passing": len(passing)})
    spent = round(1000 * (time.perf_counter() - started) / len(questions), 1)
    return [answer | {"took_ms": spent} for answer in answers]


def neighbours(opened: Opened, row: int, k: int) -> dict[str, Any]:
    """A row, and those that are most like it."""
    run = opened.run()
    item = items_of(opened, run, [row])[0]
    near = searched(opened, run, run.search(like=[row], k=k))["hits"] if run.has_index else []
    return {"item": item, "neighbours": near}


def row_of(run: Run, row: int) -> Views:
    """What the index knows of a row, as Views of one row. Refusal where that is nothing that the model reads."""
    run.items([row])
    try:
        return indexed_rows(run, [row])
    except UsageError as error:
        raise Refusal(409, str(error)) from None


def views_of(run: Run, cells: Mapping[str, Any]) -> Views:
    """Cells by view as Views of one row."""
    kinds = {view: run.model.kinds_[view] for view in cells}
    return Views({view: [str(cell) if isinstance(cell, Path) else cell] for view, cell in cells.items()}, kinds=kinds)


def predicted(opened: Opened, views: Views) -> dict[str, Any]:
    """A label each. Refusal where the model predicts none."""
    run = opened.run()
    _refuse_unless(run, "predicts")
    (record,) = run.predict(views, proba=True)
    return {"predictions": predictions_of(run.model, record)}


def explained(opened: Opened, views: Views, label: str | None) -> dict[str, Any]:
    """What each view added to a prediction, and its words and pixels where the tower and Captum can say that."""
    run = opened.run()
    _refuse_unless(run, "predicts")
    names = [each["name"] for each in labels_of(run.model)]
    if label is None:
        label = names[0]
    if label not in names:
        raise Refusal(400, f"the model predicts no {label!r:.60}; it predicts {', '.join(names)}")
    explanation = run.explain(views, label=label)[label]
    value = explanation.whole[0] if explanation.answers is None else explanation.answers[0]
    words, pixels = {}, {}
    for view in views.modalities:
        parts = _parts(run.model, views, view, label)
        if parts is not None and parts.heat is not None:
            from bouba.fuse.integrated_gradients import overlay

            pixels[view] = _data("image/png", overlay(parts.picture, parts.heat))
        elif parts is not None:
            words[view] = [[word, plain(weight)] for word, weight in parts.words]
    shares = [{"view": view, "value": value} for view, value in explanation.row(0).items()]
    return {"label": label, "value": plain(value), "views": shares, "words": words, "pixels": pixels}


def _parts(model: Any, views: Views, view: str, label: str) -> Any:
    """What pixels or words added; None where that cannot be said."""
    if views.modalities[view] not in ("image", "text"):
        return None
    from bouba.fuse import saliency

    try:
        return saliency(model, views, view, label=label, steps=STEPS)
    except (MissingExtraError, UsageError):
        return None


def translated(opened: Opened, views: Views) -> dict[str, Any]:
    """The view that is made from another."""
    run = opened.run()
    _refuse_unless(run, "translates")
    items = run.translate(views).items[0, 0]
    target = run.model.target_
    if items.ndim == 1:
        return {"views": {target: {"kind": run.model.kinds_[target], "numbers": [plain(each) for each in items]}}}
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(items).save(out, "PNG")
    return {"views": {target: {"kind": "image", "data": _data("image/png", out.getvalue())}}}


def embedded(opened: Opened, views: Views) -> dict[str, Any]:
    """A vector for each view."""
    model = opened.run().model
    if not model.searchable:
        raise Refusal(409, "this model has no embeddings")
    z = model.embed(views)
    vectors = {view: np.asarray(values[0], float).round(7).tolist() for view, values in z.items()}
    return {"dim": len(next(iter(vectors.values()))), "vectors": vectors}


def _refuse_unless(run: Run, ability: str) -> None:
    try:
        run.refuse_unless(ability)
    except UsageError as error:
        raise Refusal(409, str(error)) from None


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def refusal_of(error: BoubaError, limits: Limits) -> Refusal:
    """An error of the library as an answer."""
    if isinstance(error, ModalityError):
        return Refusal(400, str(error))
    if isinstance(error, UsageError):
        return Refusal(404 if str(error).startswith("the index has no row") else 400, str(error))
    return Refusal(503, str(error), 5)
