"""Methods compared seed by seed, for the tables of benches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.bench.fresh import cost_text
from bouba.evaluation import Record, Result, interval, paired_over_seeds, seeds_interval
from bouba.evaluation.table import bold, with_interval

Runs = Mapping[Any, float]
"""Seed -> value."""
SECONDS = "CPU-s"
"""Metric of records that say what a fit cost."""


def seeds_note(result: Result, *, bold: bool = True) -> str:
    """What the numbers of a table are, for its note.

    Args:
        bold: whether some stand out, as `means` and `gain` have it.
    """
    seeds = len({record.seed for record in result})
    if seeds < 2:
        return "One seed."
    text = f"Means of {seeds} seeds with 95% intervals (Student t)."
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


def mean_cost(runs: Runs) -> str:
    """Over seeds, without an interval: seconds differ by machine more than by seed."""
    return cost_text(float(np.mean(list(runs.values()))) if runs else None)


def means(runs: Mapping[str, Runs], digits: int = 1, *, lowest: bool = False) -> dict[str, str]:
    """Method -> mean over seeds with its interval; the best stands out where it is ahead of the next for sure.

    Args:
        lowest: whether lower is better.
    """
    sign = -1 if lowest else 1
    best, _ = ahead_of_next({m: {seed: sign * x for seed, x in of.items()} for m, of in runs.items() if of})
    return {name: bold(mean(of, digits)) if name == best else mean(of, digits) for name, of in runs.items()}


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
OVER_ROWS = (
    "Intervals (95%) are over seeds and rows. Bold: ahead of the next best, or other than 0, by a paired difference "
    "over both whose interval leaves out 0."
)
"""What cells of rows are, for the note of a table."""


def mean_of_rows(rows: Rows, groups: ArrayLike | None = None, digits: int = 1) -> str:
    """Percent right with its interval over seeds and rows.

    Args:
        groups: (n,) of rows that are drawn together.
    """
    several = len(rows) > 1
    low, high = seeds_interval(rows, groups=groups)[1:] if several else interval(rows[0], groups=groups)
    return _percent(float(rows.mean()), low, high, digits)


def means_of_rows(rows: Mapping[str, Rows], groups: ArrayLike | None = None, digits: int = 1) -> dict[str, str]:
    """Method -> percent right; the best stands out where it is ahead of the next by a paired difference over seeds and
    rows."""
    cells = {name: mean_of_rows(of, groups, digits) for name, of in rows.items()}
    best, *others = sorted(rows, key=lambda name: -rows[name].mean())
    if others and paired_over_seeds(rows[best], rows[others[0]], groups=groups)[1] > 0:
        cells[best] = bold(cells[best])
    return cells


def gain_of_rows(rows: Rows, rival: Rows, groups: ArrayLike | None = None, digits: int = 1) -> str:
    """Difference in percent right, paired over seeds and rows; it stands out where its interval leaves out 0."""
    difference, low, high, _ = paired_over_seeds(rows, rival, groups=groups)
    text = _percent(difference, low, high, digits)
    return bold(text) if low > 0 or high < 0 else text


def _percent(value: float, low: float, high: float, digits: int) -> str:
    return f"{100 * value:.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"
