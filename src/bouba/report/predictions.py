"""From a model that predicts and held-out rows to what the page says of each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bouba.data.characters import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import MissingExtraError, UsageError
from bouba.evaluation.predictions import class_codes
from bouba.fuse.explanation import Explanation, explain
from bouba.fuse.integrated_gradients import overlay, saliency
from bouba.metrics import expected_calibration_error, reliability
from bouba.report.build import OTHERS, Method, cell_shown, row_name
from bouba.report.content import Case, Cell, Contribution, Judged
from bouba.report.wording import number

CLASSES_SHOWN = 24  # of a confusion matrix; the rarer ones become one
EXPLAINED = 2000  # rows, drawn at random above
STEPS = 32  # of the integrals behind pixels and words


def judged(method: Method, views: Views, *, mistakes: int = 9, random_state: int = 0) -> list[Judged]:
    """For each label that is predicted and known in two rows or more: confusion, calibration, what views added, and
    the mistakes of which the model was most sure.

    Args:
        method: whose model predicts labels. views: held-out rows.
        mistakes: how many are shown. random_state: which rows are explained where there are very many.
    """
    random = np.random.default_rng(random_state)
    out = []
    for label, values in method.model.outputs(views).items():
        labelled = ~np.array([is_missing(v) for v in views.y.get(label, [None] * len(views))], bool)
        rows = np.flatnonzero(labelled & np.any(list(views.present.values()), axis=0))
        if len(rows) < 2:
            continue
        part, outputs = views[rows], values[rows, 0]
        if values.ndim == 2:
            of_label = _judged_numbers(part, label, outputs)
        else:
            of_label = _judged_classes(part, label, outputs, method.model)
        drawn = part[np.sort(random.permutation(len(part))[:EXPLAINED])]
        worst = part[_worst(part, label, outputs, method.model)[:mistakes]]
        of_label = replace(of_label, method=method.name, cases=cases(method.model, worst, label))
        out.append(replace(of_label, **averages(explain(method.model, drawn, label=label))))
    return out


def cases(model: Any, views: Views, label: str) -> list[Case]:
    """Each row with its cells, what was predicted, and what each view, pixel and word added to that."""
    if not len(views):
        return []
    outputs, added = model.outputs(views)[label][:, 0], explain(model, views, label=label)
    truth = views.y.get(label, [None] * len(views))
    return [_case(model, views, label, row, outputs[row], truth[row], added.row(row)) for row in range(len(views))]


def _case(
    model: Any, views: Views, label: str, row: int, output: np.ndarray, truth: Any, added: Mapping[str, float]
) -> Case:
    present = [name for name in views.columns if views[name].present[row]]
    cells, name = [_cell(model, views, label, view, row) for view in present], row_name(views, row)
    if output.ndim == 0:
        true = None if is_missing(truth) else number(float(truth))
        return Case(cells, number(float(output)), true, None, added, name)
    guess, true = str(model.classes(label)[output.argmax()]), None if is_missing(truth) else class_name(truth)
    return Case(cells, guess, true, float(np.exp(output.max())), added, name)


def _cell(model: Any, views: Views, label: str, view: str, row: int) -> Cell:
    """A cell, with what its pixels or words added where the tower and Captum can say it."""
    text, picture = cell_shown(views, view, row)
    if views.modalities[view] not in ("image", "text"):
        return Cell(view, text, picture)
    try:
        parts = saliency(model, views[row], view, label=label, steps=STEPS)
    except (MissingExtraError, UsageError):  # no Captum, or a tower whose inputs cannot be changed by degrees
        return Cell(view, text, picture)
    if parts.heat is None or parts.picture is None:
        return Cell(view, text, picture, None, parts.words)
    return Cell(view, text, picture, overlay(parts.picture, parts.heat, side=168))


def averages(explanation: Explanation) -> dict[str, Any]:
    """What a Judged says of the views on average."""
    shares = [Contribution(s.view, s.size, s.low, s.high, s.n) for s in explanation.shares()]
    return {"unit": explanation.what, "contributions": shares}


def _judged_classes(views: Views, label: str, log_p: np.ndarray, model: Any) -> Judged:
    names = [str(name) for name in model.classes(label)]
    codes, p = class_codes(views.y[label], model.classes(label)), np.exp(log_p.astype(float))
    bins = reliability(codes, p)
    bars = [(float(c), float(a), int(n)) for c, a, n in zip(bins.confidence, bins.accuracy, bins.n)]
    classes, counts = _confusion(codes, p.argmax(1), names)
    return Judged(label, "", classes, counts, bars, expected_calibration_error(codes, p))


def _confusion(true: np.ndarray, guess: np.ndarray, names: list[str]) -> tuple[list[str], list[list[int]]]:
    """The commonest classes and how often each was called each; the rest, and classes never trained, are one."""
    common = np.argsort(-np.bincount(true[true >= 0], minlength=len(names)), kind="stable")[:CLASSES_SHOWN]
    common_codes = sorted(common.tolist())
    place = np.full(len(names) + 1, len(common_codes))  # -1, a class that training did not have, is the last
    place[common_codes] = np.arange(len(common_codes))
    counts = np.zeros((len(common_codes) + 1, len(common_codes) + 1), int)
    np.add.at(counts, (place[true], place[guess]), 1)
    common_names = [names[code] for code in common_codes]
    if counts[-1].any() or counts[:, -1].any():
        return [*common_names, OTHERS], counts.tolist()
    return common_names, counts[:-1, :-1].tolist()


def _judged_numbers(views: Views, label: str, guess: np.ndarray) -> Judged:
    truth = views.y[label].astype(float)
    return Judged(label, "", which="Farthest off", points=[(float(t), float(g)) for t, g in zip(truth, guess)])


def _worst(views: Views, label: str, outputs: np.ndarray, model: Any) -> np.ndarray:
    """Rows predicted wrongly, the most confident first; of numbers all rows, the farthest off first."""
    if outputs.ndim == 1:
        return np.argsort(-abs(views.y[label].astype(float) - outputs), kind="stable")
    wrong = np.flatnonzero(outputs.argmax(1) != class_codes(views.y[label], model.classes(label)))
    return wrong[np.argsort(-outputs[wrong].max(1), kind="stable")]
