"""The rows of a fit through the one loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bouba.data.batches import Batches
from bouba.data.block_shuffle import block_of
from bouba.data.loader import Codes, Rows, Shuffled
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
    device: str,
    compiles: bool,
    batch_size: int,
    random_state: int,
    title: str | None,
    specs: Mapping[str, Any],
    saving: Saving | None,
    on_epoch: Callable[[dict], None] | None,
) -> list[dict]:
    """Train a network on prepared rows, and give its history; a progress bar is shown where there is a title for it."""
    fabric = accelerator(device)  # first: it settles which process this is
    module.average()  # of the towers as they start
    views, held_out = data.views, data.held_out
    sampler = Shuffled(
        len(views),
        batch_size,
        seed=random_state,
        target=data.is_target,
        target_size=max(2, batch_size // 2),
        rank=rank(),
        world=world_size(),
        block=block_of(views),
    )
    steps = {"rows": len(views), "batch_size": batch_size, "random_state": random_state}
    rows = Rows(views, encoders, codes)
    with contextlib.ExitStack() as ending:
        batches = ending.enter_context(Batches(rows, sampler, fabric.device))
        judges = None
        if held_out is not None:
            judging_rows = Rows(held_out.select(*encoders), encoders, codes)
            parts = np.array_split(np.arange(len(held_out)), -(-len(held_out) // 1024))
            judges = ending.enter_context(Batches(judging_rows, parts, fabric.device))
        bar = None if title is None else ending.enter_context(progress_bar(title, schedule.epochs))

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
            compiles=compiles,
            saving=saving,
            identity=None if saving is None else steps | identity_of(module, specs, codes, data),
            on_epoch=notify,
        )
    if codes.domains:  # each was normalised by its own batch in training
        module.measure_domains(rows)
    return history
