"""Methods compared seed by seed, for the tables of benches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bouba.evaluation import Record, Result, interval, paired_over_seeds, seeds_interval
from bouba.evaluation.table import bold, with_interval

Runs = Mapping[Any, float]
"""Seed -> value."""
SECONDS = "CPU-s"
"""Metric of records that say what a fit cost."""


def seeds_note(result: Result, *, bold: bool = True, rows: bool = False) -> str:
    """What the numbers of a table are, for its note.

    Args:
        bold: whether some stand out, as `means` and `gain` have it.
        rows: whether intervals of means are over rows as well, as `mean_of_records` has it.
    """
    seeds = len({record.seed for record in result})
    if seeds < 2:
        return "One seed."
    text = f"Means of {seeds} seeds with 95% intervals {'over seeds and rows' if rows else '(Student t)'}."
    sure = (
        "Bold: ahead of the next best, or other than 0, by paired differences whose interval over seeds leaves out 0."
    )
    return f"{text} {sure}" if bold else text


def runs_of(result: Result, *, scale: float = 1.0, **labels: Any) -> Runs:
    """Seed -> value of the records with these labels, times `scale`; the mean over their rows where a seed has several.

    Args:
        labels: fields of the records, see `Result.where`.
    """
    by_seed: dict[Any, list[Record]] = {}
    for record in result.where(**labels):
        by_seed.setdefault(record.seed, []).append(record)
    return {
        seed: scale * float(np.average([r.value for r in each], weights=[r.n for r in each]))
        for seed, each in by_seed.items()
    }


def mean(runs: Runs, digits: int = 1) -> str:
    """Over seeds, with its interval; "-" where there is none."""
    return with_interval(list(runs.values()), digits) if runs else "-"


def mean_of_records(result: Result, digits: int = 1, *, scale: float = 1.0, **labels: Any) -> str:
    """Over seeds that were judged on the same rows, times `scale`; the interval is over seeds and rows where each
    record with these labels has one over rows."""
    runs = sorted(result.where(**labels), key=lambda record: record.seed or 0)
    ends = [(scale * r.low, scale * r.high) for r in runs if r.low is not None and r.high is not None]
    return with_interval(
        [scale * record.value for record in runs], digits, ends=ends if len(ends) == len(runs) else None
    )


def means(
    runs: Mapping[str, Runs], digits: int = 1, *, lowest: bool = False, cells: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Method -> mean over seeds with its interval; the best stands out where it is ahead of the next for sure.

    Args:
        lowest: whether lower is better.
        cells: what stands for each method, where that is not `mean`.
    """
    sign = -1 if lowest else 1
    best, _ = ahead_of_next({m: {seed: sign * x for seed, x in of.items()} for m, of in runs.items() if of})
    shown = {name: mean(of, digits) for name, of in runs.items()} if cells is None else cells
    return {name: bold(text) if name == best else text for name, text in shown.items()}


def gain(runs: Runs, rival: Runs, digits: int = 1) -> str:
    """Mean difference over the seeds that both have, with its interval; it stands out where that leaves out 0."""
    difference = [value - rival[seed] for seed, value in runs.items() if seed in rival]
    if len(difference) < 2:
        return mean(dict(enumerate(difference)), digits)
    _, low, high = seeds_interval(difference)
    text = with_interval(difference, digits)
    return bold(text) if low > 0 or high < 0 else text


def paired(runs: Runs, rival: Runs) -> str:
    """Difference over the seeds that both have with its interval, what share of the rival it is, and the p-value of a
    paired t-test: "+9.8 [7.2, 12.5], +25%, p = .002"."""
    seeds = [seed for seed in runs if seed in rival]
    ours, theirs = (np.array([values[seed] for seed in seeds]) for values in (runs, rival))
    text = f"{with_interval(ours - theirs)}, {100 * (ours.mean() / theirs.mean() - 1):+.0f}%"
    if len(seeds) < 2 or (ours == theirs).all():
        return text
    return f"{text}, p = {paired_over_seeds(ours, theirs)[3]:.1g}"


def ahead_of_next(runs: Mapping[str, Runs]) -> tuple[str | None, str]:
    """The method with the best mean where it is ahead of the next best for sure, else None; and by how much.

    For sure: the interval over seeds of the paired difference leaves out 0.
    """
    ranked = sorted(runs, key=lambda name: -float(np.mean(list(runs[name].values()))))
    if len(ranked) < 2:
        return None, ""
    best, following = (runs[name] for name in ranked[:2])
    difference = [best[seed] - following[seed] for seed in best if seed in following]
    sure = len(difference) > 1 and seeds_interval(difference)[1] > 0
    return ranked[0] if sure else None, with_interval(difference)


Rows = NDArray[np.float64]
"""(seeds, n): one number a seed and a row, the same rows in every seed."""


def means_of_rows(rows: Mapping[str, Rows], digits: int = 1) -> dict[str, str]:
    """Method -> percent right with its interval over seeds and rows; the best stands out where it is ahead for sure, by
    the paired difference over seeds and rows."""
    cells = {name: f"{100 * of.mean():.{digits}f} [{_ends(of, digits)}]" for name, of in rows.items()}
    best, *others = sorted(rows, key=lambda name: -rows[name].mean())
    if others and paired_over_seeds(rows[best], rows[others[0]])[1] > 0:
        cells[best] = bold(cells[best])
    return cells


def _ends(of: Rows, digits: int) -> str:
    low, high = seeds_interval(of)[1:] if len(of) > 1 else interval(of[0])
    return f"{100 * low:.{digits}f}, {100 * high:.{digits}f}"
