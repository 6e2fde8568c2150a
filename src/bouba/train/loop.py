"""The only training loop."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader

from bouba.errors import BoubaError
from bouba.train.checkpoint import changing, has_checkpoint, load_checkpoint, save_checkpoint
from bouba.train.diagnosis import verdicts
from bouba.train.network import Network

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger("bouba")
Row = dict[str, float]
"""One epoch of history: epoch, loss, the terms and their parts, validation, seconds."""


@dataclass(frozen=True)
class Schedule:
    """How to step: AdamW, linear warm-up then cosine to zero, gradients clipped.

    Args:
        epochs: passes over the source rows. lr: peak learning rate. weight_decay: on matrices only, never on
        biases, norms or temperatures. warmup: share of all steps. clip: largest gradient norm. patience: epochs
        without a better validation loss before stopping; None never stops.
    """

    epochs: int = 30
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 5.0
    patience: int | None = None

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the training done, in [0, 1]."""
        if progress < self.warmup:
            return self.lr * (progress / self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


@dataclass
class Progress:
    """How far training has come, and its best weights so far."""

    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    best_weights: dict | None = None
    warned: set[str] = field(default_factory=set)


def optimizer_for(network: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW that decays matrices only."""
    scales = {p: 1.0 for p in network.parameters() if p.requires_grad}
    for module in network.modules():
        scale = getattr(module, "lr_scale", 1.0)
        scales |= {p: scale for p in module.parameters() if p.requires_grad and scale != 1.0}
    decay = lambda p: schedule.weight_decay if p.dim() > 1 else 0.0  # noqa: E731
    kinds = list(dict.fromkeys((scale, decay(p)) for p, scale in scales.items()))
    groups = [
        {"params": [p for p, s in scales.items() if (s, decay(p)) == kind], "scale": kind[0], "weight_decay": kind[1]}
        for kind in kinds
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, fused=True)  # one pass over each matrix instead of five


def accelerator() -> Accelerator:
    """Join the other processes, if there are any: call it before batches are cut by rank.

    bf16 where the GPU has it, float32 elsewhere; several processes under torchrun or `accelerate launch`.
    """
    from accelerate import Accelerator  # here, for a model that is loaded does not train
    from accelerate.utils import DistributedDataParallelKwargs

    cuda = torch.cuda.is_available()
    fabric = Accelerator(
        cpu=not (cuda or torch.backends.mps.is_available()),  # else several processes on CPUs would not form a group
        mixed_precision="bf16" if cuda and torch.cuda.is_bf16_supported() else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if dist.is_initialized():
        atexit.register(_leave)  # a process that ends while its group stands aborts now and then
    return fabric


def _leave() -> None:
    """Leave together: a process that goes first takes connections down under the others. One that died of an error
    does not wait, so that its launcher sees the error."""
    if not dist.is_initialized() or getattr(sys, "last_value", None) is not None:
        return
    with contextlib.suppress(RuntimeError):  # another one has already failed and reports it
        dist.barrier()
    dist.destroy_process_group()


def train(
    fabric: Accelerator,
    network: Network,
    batches: DataLoader,
    schedule: Schedule,
    *,
    validation: DataLoader | None = None,
    folder: Path | None = None,
    resume: bool = False,
    fingerprint: str = "",
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Train in place and return the history, one row an epoch.

    Args:
        fabric: from `accelerator()`.
        network: towers and objective; left with the best validation weights if there is validation, else the last.
        batches: the training batches; their batch sampler's `epoch` is set before each epoch.
        schedule: how long and how fast.
        validation: batches judged after each epoch by the terms that validate.
        folder: where checkpoint/ and history.jsonl go; nothing is written without.
        resume: continue from the checkpoint in `folder`; to the bit the weights of an unbroken run on one CPU.
        fingerprint: of the rows and how they are drawn; a checkpoint of others is refused.
        on_epoch: called with each history row.

    Raises:
        BoubaError: the loss is not finite; the message names the epoch and the terms.
    """
    optimizer = optimizer_for(network, schedule)
    model, optimizer = fabric.prepare(network, optimizer)
    progress = Progress()
    shapes = {name: list(p.shape) for name, p in network.named_parameters()}
    same = {"schedule": vars(schedule), "data": fingerprint, "shapes": shapes}
    history: list[Row] = []
    if resume and folder and has_checkpoint(folder / "checkpoint"):
        facts, progress.best_weights = load_checkpoint(
            folder / "checkpoint", network=fabric.unwrap_model(model), optimizer=optimizer, same=same
        )
        history = facts["history"]
        progress.epoch, progress.best, progress.best_epoch = facts["epoch"], facts["best"], facts["best_epoch"]
        log.info("resumed after epoch %d", progress.epoch)
    while progress.epoch < schedule.epochs and not _out_of_patience(progress, schedule):
        started = time.perf_counter()
        row = {"epoch": progress.epoch + 1} | _epoch(fabric, model, optimizer, batches, schedule, progress.epoch)
        if validation is not None:
            row["validation"] = validate(fabric, model, validation)
            _keep_best(progress, row["validation"], fabric.unwrap_model(model))
        row["seconds"] = round(time.perf_counter() - started, 3)
        progress.epoch += 1
        if progress.epoch >= max(3, schedule.epochs // 5):
            _warn(row, progress)
        history.append(row)
        if folder and fabric.is_main_process:
            facts = {"epoch": progress.epoch, "best": progress.best, "best_epoch": progress.best_epoch}
            facts |= {"history": history} | same
            unwrapped = fabric.unwrap_model(model)
            save_checkpoint(
                folder / "checkpoint", network=unwrapped, optimizer=optimizer, best=progress.best_weights, facts=facts
            )
            (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history), encoding="utf-8")
        on_epoch(row)
    if progress.best_weights is not None:
        network.load_state_dict(progress.best_weights, strict=False)
    network.eval()
    return history


def _keep_best(progress: Progress, validation: float, network: nn.Module) -> None:
    """Note the weights of this epoch if they judge held-out rows better than those of any epoch before."""
    if validation < progress.best:
        progress.best, progress.best_epoch = validation, progress.epoch + 1
        progress.best_weights = {name: tensor.clone() for name, tensor in changing(network).items()}


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


def _epoch(fabric: Accelerator, model, optimizer, batches: DataLoader, schedule: Schedule, epoch: int) -> Row:
    model.train()
    network: Network = fabric.unwrap_model(model)
    batches.batch_sampler.epoch = epoch  # type: ignore[union-attr]
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for step, batch in enumerate(batches):
        progress = (epoch + step / len(batches)) / schedule.epochs
        rate = schedule.rate(progress + 1 / (len(batches) * schedule.epochs) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        with fabric.autocast():
            loss, parts = model(batch.to(fabric.device).replace(progress=progress))
        if not torch.isfinite(loss):
            named = network.objective.names()
            terms = ", ".join(f"{name} = {float(value):g}" for name, value in parts.items() if name in named)
            raise BoubaError(
                f"the loss is {float(loss.detach())} in epoch {epoch + 1} ({terms}); lower lr or check the inputs"
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_grad_norm_(model.parameters(), schedule.clip)
        optimizer.step()
        network.after_step()
        for name, value in ({"loss": loss.detach()} | parts).items():
            sums[name] = sums.get(name, 0.0) + float(value)
            counts[name] = counts.get(name, 0) + 1
    return {name: sums[name] / counts[name] for name in sums}  # a part may be missing from some batches


@torch.no_grad()
def validate(fabric: Accelerator, model, batches: DataLoader) -> float:
    """Mean validation loss over held-out batches, weighted by their rows."""
    model.eval()
    total, rows = 0.0, 0
    with torch.random.fork_rng():
        torch.manual_seed(0)  # twins are changed at random: by the same draws in every epoch, on every process
        for batch in batches:
            with fabric.autocast():
                loss, _ = model(batch.to(fabric.device))
            total, rows = total + float(loss) * len(batch), rows + len(batch)
    return total / rows
