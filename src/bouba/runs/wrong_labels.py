"""Labels of a table that are probably wrong: judged by a run, or where it learnt them, by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, UsageError
from bouba.evaluation.label_errors import label_errors
from bouba.runs.duplicates import seen_in_training
from bouba.runs.suspicion import views_of

Probabilities = tuple[np.ndarray, list[str]]
"""(n, C), and the classes."""


@dataclass(frozen=True)
class WrongLabel:
    """A label that is probably wrong.

    Args:
        row: its number in the table. label: the name of the column. given: what stands there. likely: the class that
            fits. confidence: probability of `likely`. doubt: by how much that exceeds the probability of `given`.
    """

    row: int
    label: str
    given: str
    likely: str
    confidence: float
    doubt: float


@dataclass(frozen=True)
class Judgement:
    """The labels of some rows, judged.

    Args:
        views: the rows. wrong: the most doubtful first. judged: how many labels were. by: a sentence on how.
    """

    views: Views
    wrong: list[WrongLabel]
    judged: int
    by: str


def judged_labels(run: Any, table: Any, named: Mapping[str, Any]) -> Judgement:
    """The labels that a Run predicts, in a table or in the one that it was made of. Rows that it was trained on are
    judged by the strongest simple predictor, each by one that was fitted on other rows; new rows by its own model.

    Raises:
        UsageError: it predicts no class. DataError: no row has a label.
    """
    run.refuse_unless("predicts")
    views = views_of(run, table, named)
    labels = class_labels(run.model, views)
    if table is None or _is_own(run, table) or seen_in_training(run.path, views):
        p, name = _left_out(run, views, labels)
        judgement = _judged(views, p, f"each was judged by {name} fitted on other rows")
    else:
        judgement = judged_by_model(run.model, views, labels)
    if not judgement.judged:
        raise DataError(f"no row has a label {' or '.join(labels)} that is known; name its column with label=...")
    return judgement


def judged_by_model(model: Any, views: Views, labels: Sequence[str]) -> Judgement:
    """Labels of rows that a fitted model never saw, by its own probabilities."""
    outputs = model.outputs(views)
    p = {label: (np.exp(outputs[label][:, 0].astype(float)), model.classes(label).tolist()) for label in labels}
    return _judged(views, p, "the model, which never saw these rows, judged each")


def _judged(views: Views, p: Mapping[str, Probabilities], by: str) -> Judgement:
    wrong: list[WrongLabel] = []
    judged = 0
    for label, (of_label, classes) in p.items():
        found, count = _wrong(views, label, of_label, classes)
        wrong, judged = wrong + found, judged + count
    return Judgement(views, sorted(wrong, key=lambda one: (-one.doubt, one.row)), judged, by)


def class_labels(model: Any, views: Views) -> list[str]:
    """The labels of a table that a model predicts as classes.

    Raises:
        UsageError: none.
    """
    predicted = {label: values.ndim for label, values in model.outputs(views[:1]).items()}
    labels = [label for label, width in predicted.items() if width > 2 and label in views.y]
    if not labels:
        named = ", ".join(label for label, width in predicted.items() if width > 2)
        if not named:
            raise UsageError("only classes are judged, and this model predicts numbers")
        raise UsageError(f"the model predicts {named}, which the table lacks; name its column with label=...")
    return labels


def _is_own(run: Any, table: Any) -> bool:
    """Whether a table is the file that the run was made of."""
    if isinstance(table, list | tuple) and len(table) == 1:
        table = table[0]
    known = run.facts.get("table")
    if isinstance(known, list | tuple) and len(known) == 1:
        known = known[0]
    try:
        return known is not None and Path(known).resolve() == Path(table).resolve()
    except TypeError:
        return False


def _left_out(run: Any, views: Views, labels: Sequence[str]) -> tuple[dict[str, Probabilities], str]:
    """Of each label, each row by a predictor fitted on others; and its name."""
    from bouba.runs.solved_rivals import Baselines

    best = Baselines(run.method, run.model, views).strongest()
    return {label: (np.exp(best.left_out(views, label)), best.classes(label).tolist()) for label in labels}, best.name


def _wrong(views: Views, label: str, p: np.ndarray, classes: list[str]) -> tuple[list[WrongLabel], int]:
    """Of one label; and how many rows have it."""
    code = {name: place for place, name in enumerate(classes)}
    given = [-1 if is_missing(value) else code.get(class_name(value), -1) for value in views.y[label]]
    rows = np.flatnonzero(np.array(given, int) >= 0)
    codes = np.array(given, int)[rows]
    if not len(rows):
        return [], 0
    found = []
    for place, likely in zip(*label_errors(p[rows], codes), strict=True):
        row, own = int(rows[place]), int(codes[place])
        sure, of_given = float(p[row, likely]), float(p[row, own])
        number = int(views.rows[row])
        found.append(WrongLabel(number, label, classes[own], classes[likely], sure, sure - of_given))
    return found, len(rows)
