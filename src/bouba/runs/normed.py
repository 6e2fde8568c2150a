"""A classifier of the source whose BatchNorm knows the target: "source only" without its artefact."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from bouba.data.loader import Rows
from bouba.data.target import Target, hide, name_of
from bouba.data.views import Views


def with_target_statistics(model: Any, training: Views, target: Target) -> Any | None:
    """A copy of a fitted network that normalises rows of the target by their own mean and variance; all else stays.

    A network trained on one domain normalises every other by the mean and variance of the first, and where the two
    differ in brightness it may do far worse than a network without BatchNorm would. No label, caption or pair of the
    target is read, and nothing is trained.

    Args:
        model: fitted on the source alone. training: rows of all domains. target: see `hide`.

    Returns:
        The copy; None where no layer of BatchNorm learns, or the target has fewer than two cells to read.

    Reference: Li et al. 2017, Revisiting Batch Normalization For Practical Domain Adaptation (AdaBN).
    """
    from bouba.nn.domain_norm import DomainStatistics

    model = copy.deepcopy(model)
    hidden, of_target = hide(training, target, random_state=model.random_state or 0)
    cells = hidden[np.flatnonzero(of_target)].select(*(view for view in hidden.columns if view in model.kinds_))
    model.codes_ = replace(model.codes_, domains=(*model.codes_.domains, name_of(target)))
    code = len(model.codes_.domains) - 1
    towers = dict.fromkeys(model.module_.towers.values())
    for tower in towers:
        before, tower.statistics = tower.statistics, DomainStatistics(tower.encoder, code + 1)
        if before and len(before.values) == code:
            tower.statistics.values[:code], tower.statistics.measured[:code] = before.values, before.measured
    if not any(tower.statistics for tower in towers):
        return None
    encoders = {view: model.module_.towers[view].encoder for view in cells.columns}
    model.module_.measure_domains(Rows(cells, encoders, model.codes_))  # of the one domain that these rows are of
    return model if any(bool(tower.statistics.measured[code]) for tower in towers) else None
