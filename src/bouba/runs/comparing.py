"""Two runs side by side: paired on rows that both held out, or on a table of new rows; else their stored numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.errors import BoubaError, DataError, UsageError
from bouba.evaluation import Result, evaluate
from bouba.evaluation.differences import RowValues
from bouba.report.comparison import Comparison, Line
from bouba.runs.duplicates import held_out_again, seen_in_training
from bouba.runs.folder import changed_settings
from bouba.runs.measuring import best_known
from bouba.runs.reading import read_table

log = logging.getLogger("bouba")
FEWEST = 2  # rows that a difference is measured on
Pair = tuple[Views, Views]


def compare(one: Any, other: Any, table: Any = None, named: Mapping[str, Any] | None = None) -> Comparison:
    """Two Runs side by side.

    Args:
        table: rows that neither was trained on; None for those that both held out.
        named: as in `Run.read`.

    Raises:
        UsageError: nothing that both were judged by. DataError: a table without rows that both read.
    """
    names = _names(one, other)
    if table is not None:
        pair, rows, remarks = _of_table(one, other, names, table, named or {})
        return _paired(one, other, names, pair, rows, remarks)
    pair_or_reason = _held_out_by_both(one, other)
    if isinstance(pair_or_reason, str):
        return _side_by_side(one, other, names, pair_or_reason)
    rows = f"Both were judged on the {len(pair_or_reason[0]):,} rows that both held out."
    return _paired(one, other, names, pair_or_reason, rows, [])


def _names(one: Any, other: Any) -> tuple[str, str]:
    """The names of two folders; where they are one, with the folders around them, and where all are, with a number."""
    paths = [run.path.absolute() for run in (one, other)]
    for depth in (1, 2, 3):
        a, b = ("/".join(path.parts[-depth:]) for path in paths)
        if a != b:
            return a, b
    return f"{paths[0].name} (1)", f"{paths[1].name} (2)"


def _of_table(
    one: Any, other: Any, names: tuple[str, str], table: Any, named: Mapping[str, Any]
) -> tuple[Pair, str, list[str]]:
    """The rows of a table that both read, a sentence on them, and what to know."""
    for run, name in zip((one, other), names, strict=True):
        if run.model.translates:
            raise UsageError(f"{name} makes a view and is judged by a judge of its own run; leave the table out")
    pair = _common(one.read(table, **named), other.read(table, **named))
    if len(pair[0]) < FEWEST:
        raise DataError(f"{names[0]} and {names[1]} read {len(pair[0])} rows of this table both; two are needed")
    remarks = [
        f"{name}: {seen}."
        for run, name, views in zip((one, other), names, pair, strict=True)
        if (seen := seen_in_training(run.path, views))
    ]
    return pair, f"Both were judged on the same {len(pair[0]):,} rows of the table.", remarks


def _common(one: Views, other: Views) -> Pair:
    """The rows of one table, read twice, that are in both."""
    _, first, second = np.intersect1d(one.rows, other.rows, return_indices=True)
    return one[np.sort(first)], other[np.sort(second)]


def _held_out_by_both(one: Any, other: Any) -> Pair | str:
    """The rows that both Runs held out, as each reads them; where that is not known, why."""
    if one.model.translates or other.model.translates:
        return "what a translator makes is judged by a judge of its own run"
    tables = [run.facts.get("table") for run in (one, other)]
    if None in tables:
        return "a run does not know the table that it was made of"
    if tables[0] != tables[1]:
        return "they were made of different tables"
    parts = []
    for run in (one, other):
        try:
            held_out = held_out_again(run.path, read_table(run.facts["table"], run.recipe.get("read", {})))
        except BoubaError as error:
            return f"the table cannot be read again ({error})"
        if held_out is None:
            return f"{run.path} does not know which rows it held out, or its table has changed"
        parts.append(held_out.select(*(view for view in held_out.columns if view in run.model.kinds_)))
    pair = _common(*parts)
    return pair if len(pair[0]) >= FEWEST else "they held out other rows"


def _paired(one: Any, other: Any, names: tuple[str, str], pair: Pair, rows: str, remarks: list[str]) -> Comparison:
    """Both judged anew on the same rows."""
    values, results = RowValues(), []
    for run, name, views in zip((one, other), names, pair, strict=True):
        results.append(evaluate(run.model, views, method=name, row_values=values))
    differences = {(d.domain, d.direction, d.metric): d for d in values.differences(names[0])}
    lines = _lines((results[0], results[1]), differences)
    if not differences:
        tasks = " and ".join(f"{name} ({', '.join(run.model.kinds_)})" for run, name in zip((one, other), names))
        raise UsageError(f"no direction or label was judged for both {tasks}; compare runs over the same columns")
    return _complete(one, other, names, lines, rows, remarks, paired=True)


def _side_by_side(one: Any, other: Any, names: tuple[str, str], reason: str) -> Comparison:
    """The numbers that were measured when they were made."""
    results = []
    for run, name in zip((one, other), names, strict=True):
        if run.result is None:
            raise UsageError(
                f"{name} holds no numbers, and {reason}; give rows that neither was trained on: bouba compare "
                f"{one.path} {other.path} TABLE"
            )
        results.append(run.result.where(method=run.name))
    lines = _lines((results[0], results[1]), {})
    if not any(line.one and line.other for line in lines):
        raise UsageError(f"{names[0]} and {names[1]} have no number in common, and {reason}; give a table: ... TABLE")
    rows = (
        f"The numbers are those of each run on its own held-out rows, and no difference is paired: {reason}. For "
        "paired differences give rows that neither was trained on: bouba compare A B TABLE."
    )
    return _complete(one, other, names, lines, rows, [], paired=False)


def _lines(results: tuple[Result, Result], differences: Mapping[tuple[str, str, str], Any]) -> list[Line]:
    """What both were judged by first, the best known numbers alone."""
    by_run = [
        {(r.domain, r.direction, r.metric): r for r in best_known(result)} if len(result) else {} for result in results
    ]
    tasks = sorted(
        dict.fromkeys([*by_run[0], *by_run[1]]), key=lambda task: not (task in by_run[0] and task in by_run[1])
    )
    return [Line(*task, by_run[0].get(task), by_run[1].get(task), differences.get(task)) for task in tasks]


def _complete(
    one: Any, other: Any, names: tuple[str, str], lines: list[Line], rows: str, remarks: list[str], *, paired: bool
) -> Comparison:
    facts = [facts_of(run) for run in (one, other)]
    return Comparison(
        names,
        (str(one.path), str(other.path)),
        lines,
        rows,
        paired,
        changed_settings(one.recipe, other.recipe),
        {name: (facts[0].get(name, "-"), facts[1].get(name, "-")) for name in {**facts[0], **facts[1]}},
        remarks,
    )


def facts_of(run: Any) -> dict[str, str]:
    """Method, rows, time and size of a Run, for people."""
    from bouba.persist import model_folder, read_sizes

    folder = model_folder(run.path)
    numbers = sum(int(np.prod(shape)) for shape in read_sizes(folder / "model.safetensors").values())
    facts = {"method": run.name if run.method is None else run.method.title}
    facts |= {"rows of its table": f"{run.facts['rows']:,}"} if "rows" in run.facts else {}
    if seconds := sum(float(row.get("seconds", 0.0)) for row in run.history):
        facts |= {"epochs": f"{len(run.history)}", "training": _duration(seconds)}
    facts |= {"numbers of the model": f"{numbers:,}", "size of the model": _bytes(folder)}
    return facts | ({"size of the index": _bytes(run.path / "index")} if (run.path / "index").is_dir() else {})


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _bytes(folder: Path) -> str:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{size / 1e6:.1f} MB"
