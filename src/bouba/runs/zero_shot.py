"""Rows of a table under classes named in words: no label is needed, and where there are some, they judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align.zero_shot import ZeroShotClassifier
from bouba.data.loader import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.intervals import interval
from bouba.evaluation.result import Record, Result
from bouba.files import read_text


@dataclass(frozen=True)
class Classified:
    """What rows of a table show, of some classes.

    Args:
        records: a row each: "row", "class", "probability", "class_2", "probability_2", ...; None where the row lacks
            the view.
        classes: that were named. view: that was classified. text: the view that read the names.
        result: accuracy of the first, and of the first few, among rows whose label is known; None where none is.
        unnamed: labels of the table that are none of the classes; their rows are not judged.
    """

    records: list[dict[str, Any]]
    classes: tuple[str, ...]
    view: str
    text: str
    result: Result | None = None
    unnamed: tuple[str, ...] = ()


def classified(
    run: Any,
    table: Any,
    classes: Sequence[str] = (),
    *,
    label: str | None = None,
    templates: Sequence[str] = ("{}",),
    view: str | None = None,
    text: str | None = None,
    top: int = 5,
    **named: Any,
) -> Classified:
    """Classes named in words for each row (zero-shot), the prompts of several templates averaged a class.

        p(c | x) = softmax_c  cos(z(x), z(c)) / tau,    z(c) = mean over templates t of z(t(c)) / |z(t(c))|

    Args:
        run: a Run whose model aligns a view of text with another. table, **named: as for Run.read.
        classes: names, two or more; the labels of the table where () is given.
        label: column of what is true, which is judged; a whole number in it is a place, from 0, among `classes` that
            are words. None: the only label column of the table, where there is one.
        templates: sentences with {} where the name goes, "a photo of a {}".
        view: which is classified; the only one that is no text when None. text: the view that reads the names.
        top: how many classes a row; its accuracy is that the true one is among them.

    Returns:
        See Classified. Records of the result: "LABEL_zero_shot" and "LABEL_zero_shot_top5", with 95% intervals.

    Raises:
        UsageError: a model whose views share no space, too few classes, no such label. ModalityError: no text view.

    Reference: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, 3.1.
    """
    if not run.model.aligns:
        raise UsageError(f"this {type(run.model).__name__} aligns no views, so that words name nothing; fit a clip")
    columns = {} if label is None or isinstance(table, Views) else {"label": label}
    views = run.read(table, **named, **columns)
    label = _label(views, label, needed=not classes)
    truth = (
        None if label is None else np.array(["" if is_missing(v) else class_name(v) for v in views.y[label]], object)
    )
    names = [str(name) for name in classes] or sorted(set(truth[truth != ""]))  # type: ignore[index]
    if top < 1:
        raise UsageError(f"top is a number of classes, 1 or more, got {top}")
    classifier = ZeroShotClassifier(run.model, names, templates=templates, view=view, text=text).fit()
    view, top = classifier.view_of(views), min(top, len(classifier.classes_))
    if view not in views.columns:
        raise ModalityError(f"the table has no view {view!r}{nearest(view, views.columns)}")
    has = np.flatnonzero(views.present[view])
    if not len(has):
        raise DataError(f"no row has a {view!r}")
    p = classifier.predict_proba(views[has].select(view))  # (m, C)
    best = np.argsort(-p, axis=1, kind="stable")[:, :top]
    records = _records(views, has, p, best, classifier.classes_)
    found = Classified(records, tuple(classifier.classes_.tolist()), view, classifier.text_)
    return found if truth is None else _judged(found, run, views, has, best, _named(truth, names), str(label))


def names_in(words: Sequence[str]) -> list[str]:
    """Names as a command is given them: with commas between them, or a file with one a line.

    >>> names_in(["cat, dog", "owl"])
    ['cat', 'dog', 'owl']
    """
    names = [name.strip() for word in words for name in (_lines(word) or word.split(","))]
    return [name for name in names if name]


def templates_in(words: Sequence[str]) -> list[str]:
    """Sentences as a command is given them: each by itself, or a file with one a line; {c} stands for {}, too."""
    return [line.replace("{c}", "{}") for word in words for line in _lines(word) or [word]]


def _lines(word: str) -> list[str]:
    """The lines of the file of that name; none where there is no such file."""
    if "\0" in word or len(word) > 250 or not Path(word).is_file():
        return []
    return [line.strip() for line in read_text(Path(word)).splitlines() if line.strip()]


def _label(views: Views, label: str | None, *, needed: bool) -> str | None:
    """The label column that is judged. UsageError where none is, and classes would be taken from it."""
    if label is not None and label not in views.y:
        raise UsageError(f"no label column {label!r}{nearest(label, views.y)}")
    if label is None and len(views.y) == 1:
        return next(iter(views.y))
    if label is None and needed:
        raise UsageError("name classes, or the column of labels to take them from: classes=[...] or label=...")
    return label


def _named(truth: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Labels in the words of the classes: whole numbers are places among them, where no class is called so."""
    known = set(truth[truth != ""])
    numbered = all(value.isdigit() and int(value) < len(names) for value in known)
    if not numbered or known & set(names):
        return truth
    return np.array([names[int(value)] if value else "" for value in truth], object)


def _records(views: Views, has: np.ndarray, p: np.ndarray, best: np.ndarray, classes: np.ndarray) -> list[dict]:
    columns = [name for k in range(best.shape[1]) for name in _columns(k)]
    records = [{"row": int(row)} | dict.fromkeys(columns) for row in views.rows]
    for place, row in enumerate(has.tolist()):
        for k, code in enumerate(best[place].tolist()):
            name, share = _columns(k)
            records[row] |= {name: str(classes[code]), share: float(p[place, code])}
    return records


def _columns(k: int) -> tuple[str, str]:
    return ("class", "probability") if k == 0 else (f"class_{k + 1}", f"probability_{k + 1}")


def _judged(
    found: Classified, run: Any, views: Views, has: np.ndarray, best: np.ndarray, truth: np.ndarray, label: str
) -> Classified:
    """With the accuracy on rows that have the view and a label among the classes."""
    unnamed = tuple(sorted(set(truth[truth != ""]) - set(found.classes)))
    guesses = np.array(found.classes, object)[best]  # (m, top)
    judged = np.flatnonzero(np.isin(truth[has].astype(str), found.classes))
    if not len(judged):
        return Classified(**vars(found) | {"unnamed": unnamed})
    hits = (guesses == truth[has][:, None])[judged]
    keys = views.things[has][judged]
    records = []
    for k in dict.fromkeys((1, hits.shape[1])):
        correct = hits[:, :k].any(1).astype(float)
        low, high = interval(correct, groups=keys, bounds=(0.0, 1.0)) if len(set(keys.tolist())) > 1 else (None, None)
        metric = f"{label}_zero_shot" + ("" if k == 1 else f"_top{k}")
        chance = k / len(found.classes)
        values: dict[str, Any] = {"value": float(correct.mean()), "low": low, "high": high, "chance": chance}
        records.append(Record(run.name, "test", "all", found.view, metric, **values, n=len(judged)))
    result = Result(records, environment(None, fingerprint(views)))
    return Classified(**vars(found) | {"result": result, "unnamed": unnamed})
