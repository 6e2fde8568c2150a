"""What a finished run tells: metrics.json beside the baseline, and report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bouba.align import LinearBaseline
from bouba.cli import translation
from bouba.cli.adaptation import Adapted
from bouba.cli.index import found_by, fuses
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.evaluation import Result, evaluate, evaluate_predictions, predicts
from bouba.report.build import Method, pick_queries
from bouba.report.content import Made
from bouba.report.translations import Watch, made
from bouba.transfer import Translator

UNMEASURED = "No row was held out, so nothing here is a measurement on new rows."
NOTHING = Adapted()
SHOWN = 8  # rows whose search or translation is shown


def watched(model: Any, views: Views) -> Watch | None:
    """What draws the first of the rows that the report will show; nothing for what makes no pictures."""
    if not isinstance(model, Translator) or views.modalities[str(model.target)] != "image":
        return None
    return Watch(model, views[np.asarray(_asked(str(model.source), str(model.target), views))])


def _asked(source: str, target: str, views: Views) -> list[int]:
    """The rows whose translations are shown."""
    return pick_queries(views, ask=source, answer=target, n=SHOWN)


def judge(name: str, model: Any, training: Views, held_out: Views, rivals: Mapping[str, Any]) -> Result:
    """The model and its rivals on the same rows; linear CCA on simple features where views are to be found."""
    seed = getattr(model, "random_state", None)
    probe = training if training.y and not predicts(model) else None
    result = evaluate(model, held_out, method=name, split="test", probe=probe, seed=seed)
    for rival, other in rivals.items():
        result += evaluate_predictions(other, held_out, method=rival, split="test", seed=seed)
    if predicts(model) and not model.aligns:
        return result
    try:
        baseline = LinearBaseline().fit(training.select(*(n for n in training.columns if n in model.kinds_)))
    except DataError:  # too few complete rows for a closed form
        return result
    return result + evaluate(
        baseline, held_out.select(*baseline.kinds_), method="linear_cca", split="test", probe=probe
    )


def tell(
    folder: Path,
    name: str,
    model: Any,
    training: Views,
    held_out: Views | None,
    views: Views,
    rivals: Mapping[str, Any] = MappingProxyType({}),
    remarks: Sequence[str] = (),
    watch: Watch | None = None,
    adapted: Adapted = NOTHING,
) -> Result | None:
    """Write metrics.json and report.html for one model; the result, or None when nothing was held out."""
    from bouba import report
    from bouba.report import build
    from bouba.report.predictions import judged

    keep = [view for view in views.columns if view in model.kinds_]
    training, views = training.select(*keep), views.select(*keep)
    held_out = None if held_out is None else held_out.select(*keep)
    result, said = _measured(folder, name, model, training, held_out, rivals)
    shown = views if held_out is None else held_out
    kinds = shown.modalities
    method = build.Method(name, model)
    asks = sorted(kinds, key=lambda view: kinds[view] != "text")  # words first
    image = next((view for view, kind in kinds.items() if kind in ("image", "video")), None)
    galleries, maps, pictures = [], [], []
    for ask in asks[:2] if len(asks) > 1 and getattr(model, "aligns", True) else ():
        answer = next(view for view in (image, *kinds) if view is not None and view != ask)
        rows = build.pick_queries(shown, ask=ask, answer=answer, n=SHOWN)
        galleries += build.galleries([method], shown, ask=ask, answer=answer, rows=rows, title=f"{ask} -> {answer}")
    if image is not None:
        keys = views.things[np.flatnonzero(views[image].present)[:12]]
        text = next((view for view, kind in kinds.items() if kind == "text"), None)
        pictures = build.samples(views, image=image, caption=text, keys=list(dict.fromkeys(keys)))
    learnt = found_by(model)
    if len(shown) >= 20 and learnt:
        whole, seen = fuses(model), next(view for view in (image, *asks) if view in learnt)
        title = "Where each row lies, all its views together" if whole else f"Where each {seen} lies"
        maps.append(build.embedding_map(method, shown, view=seen, title=title, fused=whole))
    page = report.Report(
        title=f"bouba: {name}",
        facts=build.facts(views, len(views.bad_rows)),
        samples=pictures,
        curves=build.curves({name: getattr(model, "history_", [])}),
        judged=judged(method, held_out) if held_out is not None and predicts(model) else [],
        records=[] if result is None else [vars(record) for record in result],
        made=_made(name, model, rivals, shown, watch) if isinstance(model, Translator) else [],
        target=adapted.target,
        diagnosis=adapted.diagnosis,
        galleries=galleries,
        maps=maps,
        notes=[*remarks, *adapted.remarks, *said],
    )
    report.write(page, folder / "report.html")
    return result


def _measured(
    folder: Path, name: str, model: Any, training: Views, held_out: Views | None, rivals: Mapping[str, Any]
) -> tuple[Result | None, list[str]]:
    """What metrics.json says, written; and what a reader should know of it."""
    if held_out is None:
        return None, [UNMEASURED]
    said = []
    if isinstance(model, Translator):
        result, judged_by = translation.judged({name: model, **rivals}, training, held_out, folder)
        said = [judged_by]
    else:
        result = judge(name, model, training, held_out, rivals)
    if result is not None:
        result.to_json(folder / "metrics.json")
    return result, said


def _made(name: str, model: Translator, rivals: Mapping[str, Any], shown: Views, watch: Watch | None) -> Sequence[Made]:
    """What the model and its rivals make of a few rows."""
    rows = _asked(model.source_, model.target_, shown)
    methods = [Method(one, each) for one, each in {name: model, **rivals}.items()]
    return made(methods, shown, rows, stages=[] if watch is None else watch.stages())
