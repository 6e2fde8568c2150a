"""What a run predicts, explains and makes of the rows of a table."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.faults import lose_faults
from bouba.data.views import Views
from bouba.errors import DataError, UsageError
from bouba.runs.methods import CLASSIFIER, GAN
from bouba.runs.settings import LEVEL, refuse_outside

CARDS = 12  # rows on a page of explanations
log = logging.getLogger("bouba")


def predictions(model: Any, views: Views, *, proba: bool = False, level: float = 0.9) -> list[dict[str, Any]]:
    """One record a row: its number; for each label the guess with its probability, or with the ends of its interval;
    and the views that the row has.

    Args:
        model: fitted, one that predicts. proba: also the probability of every class.
        level: probability with which the interval of a number holds the truth.

    Raises:
        UsageError: a level that is no probability between 0 and 1.
    """
    refuse_outside(LEVEL, level, "level")
    columns: dict[str, Any] = {"row": views.rows.tolist()}
    for label, values in model.outputs(views).items():
        columns |= (
            _numbers_predicted(model, views, label, values, level)
            if values.ndim == 2
            else _classes_predicted(model, label, values, proba)
        )
    present = views.present
    names = [[name for name in present if present[name][row]] for row in range(len(views))]
    columns["views"] = [" + ".join(of_row) or "none" for of_row in names]
    return [dict(zip(columns, cells)) for cells in zip(*columns.values())]


def refuse_unless_predicts(model: Any) -> None:
    """UsageError for a model that predicts no label."""
    if not model.predicts:
        raise UsageError(
            f"this {type(model).__name__} predicts no label; fit one that does: "
            f"bouba fit TABLE --method {CLASSIFIER.name} --label COLUMN -o RUN"
        )


def refuse_unless_translates(model: Any) -> None:
    """UsageError for a model that makes no view from another."""
    if not (model.translates or model.generates):
        raise UsageError(
            f"this {type(model).__name__} makes no view from another; fit one that does: "
            f"bouba fit TABLE --method {GAN.name} -o RUN"
        )


def _classes_predicted(model: Any, label: str, values: np.ndarray, proba: bool) -> dict[str, list]:
    """Log probabilities (n, 1, C) as guesses and their probabilities."""
    p, classes = np.exp(values[:, 0].astype(float)), model.classes(label).tolist()
    columns = {label: [classes[place] for place in p.argmax(1)], f"{label}_probability": p.max(1).tolist()}
    return columns | ({f"{label}={name}": p[:, i].tolist() for i, name in enumerate(classes)} if proba else {})


def _numbers_predicted(model: Any, views: Views, label: str, values: np.ndarray, level: float) -> dict[str, list]:
    """Numbers (n, 1) and the ends of their intervals, where enough rows were held out to say."""
    from bouba.fuse.fuser import Fuser

    columns = {label: values[:, 0].astype(float).tolist()}
    if not isinstance(model, Fuser):
        return columns
    try:
        ends = model.predict_interval(views, label=label, level=level)
    except UsageError as error:
        log.warning("no interval: %s", error)
        return columns
    return columns | {f"{label}_low": ends[:, 0].tolist(), f"{label}_high": ends[:, 1].tolist()}


def explanations(
    model: Any, views: Views, *, row: int | None = None, label: str | None = None, of: str = "predicted"
) -> tuple[Views, dict[str, Any]]:
    """The rows that are explained, and label -> Explanation.

    Args:
        row: one row only, by its number in the table. label: one label only.
        of: "predicted", "truth" or a class, whose probability is explained.

    Raises:
        UsageError: no such row.
    """
    from bouba.fuse import explain

    if row is not None:
        if row not in views.rows:
            raise UsageError(f"no row {row} that can be read; there are rows {views.rows[0]} to {views.rows[-1]}")
        views = views[np.flatnonzero(views.rows == row)]
    labels = [label] if label is not None else list(model.outputs(views[:1]))
    return views, {name: explain(model, views, label=name, of=of) for name in labels}


def write_explanations(path: Path, model: Any, views: Views, explained: Mapping[str, Any]) -> None:
    """A page of the averages and the first rows; pixels and words where Captum is installed."""
    from bouba import report
    from bouba.report.predictions import averages, cases

    which = "The row" if len(views) == 1 else f"The first {min(CARDS, len(views))} rows"
    judged = [
        report.Judged(label, "", cases=cases(model, views[:CARDS], label), which=which, **averages(explanation))
        for label, explanation in explained.items()
    ]
    notes = [] if importlib.util.find_spec("captum") else ["Pixels and words need Captum: pip install 'bouba[explain]'"]
    title = f"What each view said about {' and '.join(explained)}"
    report.write(report.Report(title, judged=judged, notes=notes), path)


@dataclass(frozen=True)
class Translation:
    """What was made of the rows that have the source.

    Args:
        rows: (m,) their numbers in the table.
        items: (m, draws, ...) pictures as uint8 or numbers.
        lacking: rows without the source, for which nothing was made. source: its name.
        files: {"row", "file"} of each that was written.
    """

    rows: np.ndarray
    items: np.ndarray
    lacking: int
    source: str
    files: Sequence[dict[str, Any]] = ()

    @classmethod
    def of(cls, model: Any, views: Views, draws: int, random_state: int, to: str | None = None) -> Translation:
        """Draws for every row of views that has the source. DataError where none has."""
        if not isinstance(draws, int) or draws < 1:
            raise UsageError(f"draws={draws!r} is not a whole number from 1")
        if not isinstance(random_state, int) or not 0 <= random_state < 2**32:
            raise UsageError(f"random_state={random_state!r} is not a whole number from 0 to {2**32 - 1:,}")
        if model.generates:
            return cls._generated(model, views, draws, random_state, to)
        source = model.source_
        if to not in (None, model.target_):
            raise UsageError(f"the model makes {model.target_!r} of {source!r}, not {to!r}; leave --to out")
        has_view = source in views.columns  # else translate says what is lacking
        if has_view:
            lose_faults(views.select(source))
        present = views.present[source] if has_view else np.ones(len(views), bool)
        if not present.any():
            raise DataError(f"no row of the table has {source!r}, which the model is told")
        items = model.translate(views[np.flatnonzero(present)], draws, random_state=random_state)
        return cls(views.rows[present], items, int((~present).sum()), source)

    @classmethod
    def _generated(cls, model: Any, views: Views, draws: int, random_state: int, to: str | None) -> Translation:
        """One view from whichever others a row has: `to`, else the only one of the model that the table lacks."""
        lacking = [name for name in model.kinds_ if name not in views.columns]
        if to is None and len(lacking) != 1:
            raise UsageError(f"which view is to be drawn? say --to; the model has {', '.join(model.kinds_)}")
        target = lacking[0] if to is None else to
        sources = [name for name in views.columns if name in model.kinds_ and name != target]
        if sources:
            lose_faults(views.select(*sources))
        present = np.any([views.present[name] for name in sources] or [np.zeros(len(views), bool)], axis=0)
        named = " or ".join(map(repr, sources or [name for name in model.kinds_ if name != target]))
        if not present.any():
            raise DataError(f"no row of the table has {named}, from which {target!r} could be drawn")
        told = views[np.flatnonzero(present)].select(*sources)
        items = model.translate(told, draws, to=target, random_state=random_state)
        return cls(views.rows[present], items, int((~present).sum()), named)

    def write(self, folder: Path) -> list[dict[str, Any]]:
        """Files ROW.png, ROW-DRAW.png of several, ROW.npy, and which row each is of."""
        folder.mkdir(parents=True, exist_ok=True)
        return [file for row, items in zip(self.rows, self.items) for file in _written(folder, int(row), items)]


def _written(folder: Path, row: int, items: np.ndarray) -> Iterator[dict[str, Any]]:
    """One row's pictures, a file each, or its numbers (draws, width) in one file."""
    from PIL import Image

    if items.ndim == 2:
        np.save(folder / f"{row}.npy", items)
        yield {"row": row, "file": f"{row}.npy"}
        return
    for draw, picture in enumerate(items):
        name = f"{row}.png" if len(items) == 1 else f"{row}-{draw}.png"
        Image.fromarray(picture).save(folder / name)
        yield {"row": row, "file": name}
