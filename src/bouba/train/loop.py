"""The only training loop."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import nn

from bouba import durable
from bouba.batch import Batch
from bouba.data.batches import Batches
from bouba.data.loader import Shuffled
from bouba.device import random_state_kept
from bouba.errors import DataError, Stopped, UsageError
from bouba.nn.gather import world_size
from bouba.train.averaging import WeightAverage
from bouba.train.checkpoint import changing, has_checkpoint, load_checkpoint, refuse_infinite, save_checkpoint
from bouba.train.diagnosis import verdicts
from bouba.train.network import Network
from bouba.train.processes import others_watched
from bouba.train.step import Schedule, Stepping, compiled, optimizer_for
from bouba.train.stopping import Stopping, signals_noted

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger("bouba")
Row = dict[str, float]
"""One epoch of history: epoch, loss, the terms and their parts, validation, seconds."""


@dataclass(frozen=True)
class Saving:
    """Where checkpoints go, and how often one is written within an epoch; after each epoch one is written anyway.

    Args:
        folder: where checkpoint/ and history.jsonl go. resume: continue from the checkpoint there, if there is one.
        minutes: at most between two checkpoints; None for no limit. steps: the same in steps of training.
    """

    folder: Path
    resume: bool = False
    minutes: float | None = 10.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is not None and not self.minutes > 0) or (self.steps is not None and self.steps < 1):
            raise UsageError(
                "checkpoints are written every so many minutes above 0, or steps of 1 or more, got "
                f"checkpoint_minutes={self.minutes} and checkpoint_steps={self.steps}"
            )

    @property
    def checkpoint(self) -> Path:
        """The folder of the checkpoint."""
        return self.folder / "checkpoint"


@dataclass
class Progress:
    """How far training has come, and its best weights so far.

    Args:
        epoch: epochs that are done. step: steps that are done of the epoch under way; sums, counts: of what they
            logged, by name; seconds: that they took.
        history: a row an epoch. average: of the weights, which is then what is judged and kept.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)
    best: float = math.inf
    best_epoch: int = 0
    best_weights: dict | None = None
    warned: set[str] = field(default_factory=set)
    saved: tuple[float, int] = (0.0, 0)
    average: WeightAverage | None = None

    @property
    def kept_weights(self) -> dict:
        """What training ends with: the best weights, else averaged ones; {} for those that it has."""
        return self.best_weights or ({} if self.average is None else self.average.values)

    def facts(self) -> dict:
        """What a checkpoint holds of it as JSON."""
        names = ("epoch", "step", "sums", "counts", "seconds", "history", "best", "best_epoch")
        return {name: getattr(self, name) for name in names}

    def restore(self, facts: Mapping) -> None:
        """Become what `facts` gave."""
        for name in self.facts():
            setattr(self, name, facts.get(name, getattr(self, name)))

    def end_epoch(self) -> None:
        """One more is done, and nothing of the next."""
        self.epoch, self.step, self.sums, self.counts, self.seconds = self.epoch + 1, 0, {}, {}, 0.0


def train(
    fabric: Accelerator,
    network: Network,
    batches: Batches,
    schedule: Schedule,
    *,
    validation: Batches | None = None,
    compiles: bool = False,
    saving: Saving | None = None,
    identity: Mapping[str, object] | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Train in place and return the history, one row an epoch.

    A run that is resumed with more epochs goes on at the rate that the longer schedule has at that step: a finished
    run's rate rises once more, and falls to zero at the new end.

    Args:
        fabric: from `accelerator()`.
        network: towers and objective; left with the best validation weights if there is validation, else the last.
        batches: the training batches, on its device; their sampler's `epoch` and `start` are set before each epoch.
        schedule: how long and how fast.
        validation: batches judged after each epoch by the terms that validate.
        compiles: whether towers go through torch.compile, which takes a minute and pays in long trainings.
        saving: where checkpoints go; nothing is written without. Resumed are to the bit the weights of an unbroken run
            on one CPU.
        identity: name -> what must be as it was for a checkpoint to be continued.
        on_epoch: called with each history row.

    Raises:
        BoubaError: a loss, a gradient or a weight is not finite; the message names the step and the terms. It comes
            within Meter.STEPS steps, the weights are left as they were before that one, and none is saved. Another
            process has ended.
        DataError: the checkpoint is damaged, or of another run. StorageError: a checkpoint cannot be written.
        Stopped: Ctrl-C or a signal, where there is `saving`; a checkpoint was written before.
    """
    model = fabric.prepare(network)
    optimizer = optimizer_for(network, schedule)
    stepping = Stepping(fabric, model, network, optimizer, schedule)
    progress = Progress(average=None if schedule.ema is None else WeightAverage(network, schedule.ema))
    shapes = {name: list(p.shape) for name, p in network.named_parameters()}
    same = {**(identity or {}), "schedule": vars(schedule), "shapes": shapes}
    _resume(fabric, model, optimizer, schedule, saving, same, progress)
    progress.saved = (time.monotonic(), progress.step)

    def save() -> None:
        stepping.read()
        if saving is not None and fabric.is_main_process:
            refuse_infinite(network, f"after step {progress.step} of epoch {progress.epoch + 1}")
            _save(saving, network, optimizer, progress, same)
        progress.saved = (time.monotonic(), progress.step)

    def after_step() -> None:
        """Between two steps: stop, or save what is done of the epoch."""
        if saving is None or (progress.step == len(batches) and validation is None):
            return
        number = stopping.agreed(fabric.device, now=stepping.is_read)
        if number or _is_due(saving, progress):
            save()
        if number:
            stopping.number = number
            raise _stopped(stopping, saving, progress.epoch + 1)

    kept = "" if saving is None else f" what was saved in {saving.folder} is kept, go on with resume=True"
    with signals_noted(saving) as stopping, others_watched(kept or "start again"), compiled(network, wanted=compiles):
        while progress.epoch < schedule.epochs and not _out_of_patience(progress, schedule):
            row = _epoch(stepping, batches, progress, after_step)
            if validation is not None:
                row["validation"] = _judge(fabric, model, validation, progress)
            row["seconds"] = round(progress.seconds, 3)
            progress.end_epoch()
            if progress.epoch >= max(3, schedule.epochs // 5):
                _warn(row, progress)
            progress.history.append(row)
            save()
            on_epoch(row)
            if saving is not None and (number := stopping.agreed(fabric.device)):
                stopping.number = number
                raise _stopped(stopping, saving, progress.epoch)
    network.load_state_dict(progress.kept_weights, strict=False)
    network.eval()
    return progress.history


def _resume(
    fabric: Accelerator, model, optimizer, schedule: Schedule, saving: Saving | None, same: dict, progress: Progress
) -> None:
    """Put everything back as the checkpoint has it, where that is wanted. DataError where it does not fit."""
    if saving is None or not saving.resume or not has_checkpoint(saving.checkpoint):
        return
    facts, progress.best_weights = load_checkpoint(
        saving.checkpoint,
        network=fabric.unwrap_model(model),
        optimizer=optimizer,
        same=same,
        average=None if progress.average is None else progress.average.values,
    )
    progress.restore(facts)
    before = facts["schedule"]["epochs"]
    if schedule.epochs < progress.epoch + (progress.step > 0):
        raise DataError(
            f"the checkpoint {saving.checkpoint} has trained for {progress.epoch} epochs"
            f"{' and a part' if progress.step else ''}, more than epochs={schedule.epochs}; resume with {before} or "
            "more, or start again without resume"
        )
    if facts.get("format", 1) == 1:
        log.warning("the checkpoint is of an earlier bouba and does not note its rows; see that they are the same")
    within = f" and {progress.step} steps of the next" if progress.step else ""
    log.info("resumed after epoch %d%s", progress.epoch, within)
    if schedule.epochs != before:
        log.info(
            "made for %d epochs, goes on to %d: the learning rate is that of %d epochs from here on, now %.2g",
            before,
            schedule.epochs,
            schedule.epochs,
            schedule.rate(min(1.0, progress.epoch / schedule.epochs)),
        )
        if _out_of_patience(progress, schedule):
            log.info("no epoch is added: none was better for %d epochs; raise patience", schedule.patience)
    if fabric.is_main_process:
        _write_history(saving, progress)


def _save(saving: Saving, network: nn.Module, optimizer, progress: Progress, same: dict) -> None:
    facts = progress.facts() | same
    save_checkpoint(
        saving.checkpoint,
        network=network,
        optimizer=optimizer,
        best=progress.best_weights,
        facts=facts,
        average=None if progress.average is None else progress.average.values,
    )
    _write_history(saving, progress)


def _write_history(saving: Saving, progress: Progress) -> None:
    text = "".join(json.dumps(row) + "\n" for row in progress.history)
    durable.write_text(saving.folder / "history.jsonl", text)


def _is_due(saving: Saving, progress: Progress) -> bool:
    """Whether to save within the epoch."""
    when, step = progress.saved
    enough = saving.steps is not None and progress.step - step >= saving.steps
    return enough or (saving.minutes is not None and time.monotonic() - when >= 60 * saving.minutes)


def _stopped(stopping: Stopping, saving: Saving, epoch: int) -> Stopped:
    go_on = f"what was trained is kept; go on with fit(..., folder={str(saving.folder)!r}, resume=True)"
    return Stopped(f"{stopping.name} in epoch {epoch}; {go_on}", signal=stopping.number)


def _of_first(value: float, device: torch.device) -> float:
    """The number of the first process, so that all decide alike."""
    if world_size() == 1:
        return value
    number = torch.tensor(value, device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
    dist.broadcast(number, 0)
    return float(number)


def _judge(fabric: Accelerator, model, validation: Batches, progress: Progress) -> float:
    """The validation loss of this epoch, whose weights are kept if it is lower than that of any epoch before; of
    averaged weights, where these are kept."""
    started = time.perf_counter()
    with nullcontext() if progress.average is None else progress.average.inside():
        loss = _of_first(validate(fabric, model, validation), fabric.device)
        if loss < progress.best:
            progress.best, progress.best_epoch = loss, progress.epoch + 1
            weights = changing(fabric.unwrap_model(model))
            progress.best_weights = {name: tensor.clone() for name, tensor in weights.items()}
    progress.seconds += time.perf_counter() - started
    return loss


def _warn(row: Row, progress: Progress) -> None:
    """Log what looks wrong, each problem once."""
    for problem, warning in verdicts(row).items():
        if problem not in progress.warned:
            progress.warned.add(problem)
            log.warning("epoch %d: %s", progress.epoch, warning)


def _out_of_patience(progress: Progress, schedule: Schedule) -> bool:
    if schedule.patience is None or not progress.best_epoch:
        return False
    return progress.epoch - progress.best_epoch >= schedule.patience


def _epoch(stepping: Stepping, batches: Batches, progress: Progress, after_step: Callable[[], None]) -> Row:
    """The steps of an epoch that are still to do, and its row of history."""
    sampler: Shuffled = batches.sampler  # type: ignore[assignment]
    sampler.epoch, sampler.start = progress.epoch, progress.step
    stepping.begin(progress.sums, progress.counts, epoch=progress.epoch + 1, step=progress.step)
    for batch in _from_here(batches, progress):
        started = time.perf_counter()
        done = (progress.epoch + progress.step / len(batches)) / stepping.schedule.epochs
        length = 1 / (len(batches) * stepping.schedule.epochs)
        stepping.step(batch.replace(progress=done), length=length)
        if progress.average is not None:
            progress.average.update(progress.epoch * len(batches) + progress.step)
        progress.step += 1
        progress.seconds += time.perf_counter() - started
        after_step()
    started = time.perf_counter()
    stepping.read()  # which waits for the device
    progress.seconds += time.perf_counter() - started
    means = {name: total / progress.counts[name] for name, total in progress.sums.items()}  # some batches lack a part
    return {"epoch": progress.epoch + 1} | means


def _from_here(batches: Batches, progress: Progress) -> Iterator[Batch]:
    """The batches of an epoch that are left; what they cost is counted too. A whole epoch begins with a number drawn,
    as it did when the checkpoints were written that are continued."""
    if not progress.step:
        torch.empty((), dtype=torch.int64).random_()
    iterator = iter(batches)
    while True:
        started = time.perf_counter()
        batch = next(iterator, None)
        progress.seconds += time.perf_counter() - started
        if batch is None:
            return
        yield batch


@torch.no_grad()
def validate(fabric: Accelerator, model, batches: Batches) -> float:
    """Mean validation loss over held-out batches, weighted by their rows."""
    model.eval()
    losses, sizes = [], []
    with random_state_kept(fabric.device):
        torch.manual_seed(0)  # twins are changed at random: by the same draws in every epoch, on every process
        for batch in batches:
            with fabric.autocast():
                losses.append(model(batch)[0])
            sizes.append(len(batch))
    total = 0.0
    for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True):
        total += loss * size
    return total / sum(sizes)
