"""What the processes of a run share: one model on all of them, and a solution whose parts add up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bouba.align.cca import CCA
from bouba.align.moments import Moments
from bouba.data.views import Views
from bouba.learner import BaseLearner
from bouba.persist import load
from bouba.runs.processes import Processes
from bouba.runs.spooled import AT_ONCE

LEARNT = 20_000
"""Rows that features of pictures and texts are learnt from, at most, where processes solve together."""
FEATURES = ("kinds_", "widths_", "reducers_", "alphabets_", "schema_")


def same_model(model: Any, processes: Processes, folder: Path | None = None) -> Any:
    """The model of the first process, on each: statistics of batches differ between processes that trained together.

    Args:
        model: fitted, but for one that is solved on the others. folder: that the first has saved it in.
    """
    if processes.count == 1:
        return model
    if isinstance(model, BaseLearner):
        weights = processes.share(lambda: {name: x.cpu() for name, x in model.module_.state_dict().items()})
        model.module_.load_state_dict(weights)
        return model
    return model if processes.first or folder is None else load(folder)


def same_models(models: Mapping[str, Any], processes: Processes) -> dict[str, Any]:
    """The same of several, by name."""
    return {name: same_model(model, processes) for name, model in models.items()}


def solve_together(model: CCA, training: Views, processes: Processes) -> None:
    """Fit CCA, each process adding up moments over a share of the rows; the first solves.

    It gives what `fit` gives, up to rounding, where there are LEARNT rows or fewer, or all views are vectors; else the
    features of pictures and texts are those of a sample.
    """
    sample = np.linspace(0, len(training) - 1, min(len(training), LEARNT)).round().astype(int)
    processes.lead(lambda: model.learn(training[sample]))
    features = processes.share(lambda: {name: getattr(model, name) for name in FEATURES})
    model.__dict__.update(features)
    starts = range(0, len(training), AT_ONCE)

    def summed(number: int) -> Moments | None:
        total: Moments | None = None
        for start in starts[number :: processes.count]:
            more = model.moments(training[start : start + AT_ONCE])
            total = more if total is None else total + more
        return total

    parts = processes.deal(range(processes.count), summed) or []
    processes.lead(lambda: model.solve([part for part in parts if part is not None]))
