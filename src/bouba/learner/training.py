"""The rows of a fit through the one loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bouba.data.loader import Codes, Rows, Shuffled, loader
from bouba.learner.identity import identity_of
from bouba.learner.training_data import TrainingData
from bouba.nn.gather import rank, world_size
from bouba.train import Network, Saving, Schedule, accelerator, train
from bouba.train.progress import progress_bar


def train_network(
    module: Network,
    encoders: Mapping[str, Any],
    codes: Codes,
    data: TrainingData,
    schedule: Schedule,
    *,
    batch_size: int,
    random_state: int,
    title: str | None,
    specs: Mapping[str, Any],
    saving: Saving | None,
    on_epoch: Callable[[dict], None] | None,
) -> list[dict]:
    """Train a network on prepared rows, and give its history; a progress bar is shown where there is a title for it."""
    fabric = accelerator()  # first: it settles which process this is
    views, held_out = data.views, data.held_out
    sampler = Shuffled(
        len(views),
        batch_size,
        seed=random_state,
        target=data.is_target,
        target_size=max(2, batch_size // 2),
        rank=rank(),
        world=world_size(),
    )
    steps = {"rows": len(views), "batch_size": batch_size, "random_state": random_state}
    rows = Rows(views, encoders, codes)
    batches = loader(rows, sampler)
    judges = None
    if held_out is not None:
        judging_rows = Rows(held_out.select(*encoders), encoders, codes)
        judges = loader(judging_rows, list(np.array_split(np.arange(len(held_out)), -(-len(held_out) // 1024))))
    with contextlib.nullcontext() if title is None else progress_bar(title, schedule.epochs) as bar:

        def notify(row: dict) -> None:
            for listener in (bar, on_epoch):
                if listener is not None:
                    listener(row)

        history = train(
            fabric,
            module,
            batches,
            schedule,
            validation=judges,
            saving=saving,
            identity=None if saving is None else steps | identity_of(module, specs, codes, data),
            on_epoch=notify,
        )
    if codes.domains:  # each was normalised by its own batch in training
        module.measure_domains(rows)
    return history
