"""What a translator needs on the command line: its two views and its judge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align import LinearBaseline
from bouba.data.views import Views
from bouba.errors import BoubaError, DataError, ModalityError, UsageError, nearest
from bouba.evaluation import Result, evaluate_translations
from bouba.transfer import Translator

MAKES = ("image", "vector")  # kinds that can be made
JUDGE = "judge"  # the folder of a run that holds it
JUDGED_BY = (
    "What was made is judged by linear CCA on simple features ({source} and {target}), fitted on the training rows, "
    "apart from every translator: a simple judge, whose numbers compare methods of one run and nothing else."
)


def name_views(method: str, views: Views, source: str | None, target: str | None) -> dict[str, str]:
    """Source and target, as said or by default: to the first pictures, else the last numbers; from the first words,
    else whatever comes first.

    Raises:
        ModalityError: no such view. UsageError: no two views of which one can be made.
    """
    kinds = views.modalities
    for name in (source, target):
        if name is not None and name not in kinds:
            raise ModalityError(f"no view {name!r}{nearest(name, kinds)}")
    numbers = [name for name, kind in kinds.items() if kind == "vector" and name != source]
    pictures = [name for name, kind in kinds.items() if kind == "image" and name != source]
    to = target or next(iter([*pictures, *reversed(numbers)]), None)
    others = sorted((name for name in kinds if name != to), key=lambda name: kinds[name] != "text")
    told = source or next(iter(others), None)
    if to is None or told is None or told == to or kinds[to] not in MAKES:
        there = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UsageError(
            f"{method} makes pictures or numbers of one view from another view of the row, and the table has {there}; "
            "name two: --from COLUMN --to COLUMN"
        )
    return {"source": told, "target": to}


def refuse_unread(method: str, said: Mapping[str, Any], patience: int | None) -> None:
    """UsageError for what would do nothing, or harm: of several epochs a GAN keeps the last."""
    if "target" in said:
        raise UsageError(f"{method} learns from pairs alone and takes no --target; leave the rows of that domain out")
    asked = "--validation" if "validation" in said else None if patience is None else "--patience"
    if asked and method == "gan":
        raise UsageError(f"gan has no loss that says which epoch was best and takes no {asked}; leave it out")


def pairs(views: Views, source: str, target: str) -> tuple[Views, list[str]]:
    """The rows that have both, and a sentence on the others where there are some.

    Raises:
        DataError: fewer than two rows have both.
    """
    both = views.present[source] & views.present[target]
    if both.sum() < 2:
        raise DataError(f"translation learns from rows with {source!r} and {target!r}, got {both.sum()}")
    lost = int((~both).sum())
    said = f"{lost:,} of {len(views):,} rows lack {source} or {target}: nothing is learnt or measured on them."
    return views[np.flatnonzero(both)], [said] if lost else []


def judged(
    translators: Mapping[str, Translator], training: Views, held_out: Views, folder: Path
) -> tuple[Result | None, str]:
    """Each translator's items for the same rows, and a sentence on who judged; the judge is saved in `folder`."""
    model = next(iter(translators.values()))
    try:
        judge = LinearBaseline().fit(training.select(model.source_, model.target_))
        result = sum((_judged(judge, name, one, held_out, training) for name, one in translators.items()), Result([]))
    except BoubaError as error:  # views that it cannot read, too few rows
        said = f"What was made was not measured: {error}."
        sys.stderr.write(f"{said}\n")
        return None, said
    judge.save(folder / JUDGE)
    return result, JUDGED_BY.format(source=model.source_, target=model.target_)


def judged_again(model: Translator, run: Path, held_out: Views) -> Result:
    """A translator's items for rows of another table, by the judge of its run.

    Raises:
        UsageError: no judge stands beside the model.
    """
    from bouba.learner import load

    judges = [folder / JUDGE for folder in (run, run.parent) if (folder / JUDGE / "model.json").exists()]
    if not judges:
        raise UsageError(
            f"{run} holds no judge: nothing was held out (--holdout), or there are no simple features of "
            f"{model.source_!r} to judge by; call bouba.evaluation.evaluate_translations with a judge of your own"
        )
    return _judged(load(judges[0]), type(model).__name__.lower(), model, held_out)


def _judged(judge: Any, name: str, model: Translator, held_out: Views, training: Views | None = None) -> Result:
    said: dict[str, Any] = {"judge": judge, "training": training, "method": name, "seed": model.random_state}
    return evaluate_translations(model, held_out, **said)
