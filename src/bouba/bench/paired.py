"""Methods compared seed by seed, for the tables of benches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.evaluation import paired_over_seeds
from bouba.evaluation.table import with_interval

Runs = Mapping[Any, float]
"""Seed -> value."""


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
    seeds = [seed for seed in best if seed in following]
    ours, theirs = (np.array([values[seed] for seed in seeds]) for values in (best, following))
    sure = len(seeds) > 1 and paired_over_seeds(ours, theirs)[1] > 0
    return ranked[0] if sure else None, with_interval(ours - theirs)
