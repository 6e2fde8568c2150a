"""What a translator needs of a run: its two views, the rows that have both, and a judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.errors import BoubaError, DataError, ModalityError, UsageError, nearest
from bouba.evaluation import Result, evaluate_translations

KINDS_MADE = ("image", "vector")
JUDGE = "judge"  # the folder of a run that holds it
JUDGED_BY = (
    "What was made is judged by linear CCA on simple features ({source} and {target}), fitted on the training rows, "
    "apart from every translator: a simple judge, whose numbers compare methods of one run and nothing else."
)


def named_views(method: str, views: Views, source: str | None, target: str | None) -> dict[str, str]:
    """Source and target, as named or by default: to the first pictures, else the last numbers; from the first words,
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
    made = target or next(iter([*pictures, *reversed(numbers)]), None)
    others = sorted((name for name in kinds if name != made), key=lambda name: kinds[name] != "text")
    condition = source or next(iter(others), None)
    if made is None or condition is None or condition == made or kinds[made] not in KINDS_MADE:
        listed = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UsageError(
            f"{method} makes pictures or numbers of one view from another view of the row, and the table has {listed}; "
            "name two: --from COLUMN --to COLUMN"
        )
    return {"source": condition, "target": made}


def paired_rows(views: Views, source: str, target: str) -> tuple[Views, list[str]]:
    """The rows that have both, and a sentence on the others where there are some.

    Raises:
        DataError: fewer than two rows have both.
    """
    both = views.present[source] & views.present[target]
    if both.sum() < 2:
        raise DataError(f"translation learns from rows with {source!r} and {target!r}, got {both.sum()}")
    lacking = int((~both).sum())
    remark = f"{lacking:,} of {len(views):,} rows lack {source} or {target}: nothing is learnt or measured on them."
    return views[np.flatnonzero(both)], [remark] if lacking else []


def judged(
    translators: Mapping[str, Any], training: Views, held_out: Views, folder: Path, say: Callable[[str], None]
) -> tuple[Result | None, str]:
    """Each translator's items for the same rows, and a sentence on who judged; the judge is saved in `folder`."""
    from bouba.align import LinearBaseline

    model = next(iter(translators.values()))
    try:
        judge = LinearBaseline().fit(training.select(model.source_, model.target_))
        result = sum((_judged(judge, name, one, held_out, training) for name, one in translators.items()), Result([]))
    except BoubaError as error:  # views that it cannot read, too few rows
        remark = f"What was made was not measured: {error}."
        say(remark)
        return None, remark
    judge.save(folder / JUDGE)
    return result, JUDGED_BY.format(source=model.source_, target=model.target_)


def judged_again(model: Any, name: str, folder: Path, held_out: Views) -> Result:
    """A translator's items for rows of another table, by the judge of its run.

    Raises:
        UsageError: no judge stands beside the model.
    """
    from bouba.persist import load

    if not (folder / JUDGE / "model.json").exists():
        raise UsageError(
            f"{folder} holds no judge: nothing was held out (--holdout), or too few rows were left to fit one; call "
            "bouba.evaluation.evaluate_translations with a judge of your own"
        )
    return _judged(load(folder / JUDGE), name, model, held_out)


def _judged(judge: Any, name: str, model: Any, held_out: Views, training: Views | None = None) -> Result:
    return evaluate_translations(model, held_out, judge=judge, training=training, method=name, seed=model.random_state)
