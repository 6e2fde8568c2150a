"""Two processes that hold half of the rows each, against one that holds all; and one of two that dies."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file

import bouba.terms
from bouba.nn.gather import gather
from bouba.terms import Objective, Term
from bouba.terms.contract import SPACE, a_batch
from scripts.reliability.experiment import Experiment

FILLED = {
    "anchor": "a",
    "source": "a",
    "target": "b",
    "a": "a",
    "b": "b",
    "query": "a",
    "positive": "b",
    "negatives": ("c",),
    "teacher": "taught",
    "inner": bouba.terms.InfoNCE(),
    "dims": (2,),
}
"""Arguments without which a term cannot be made of embeddings of four numbers, by name."""
TERMS = [
    thing
    for thing in (getattr(bouba.terms, name) for name in bouba.terms.__all__)
    if isinstance(thing, type) and issubclass(thing, Term) and not inspect.isabstract(thing)
]
ROWS = 17  # odd, so that the halves differ


def make(term: type) -> Term:
    """A term by its defaults."""
    required = [p.name for p in inspect.signature(term).parameters.values() if p.default is p.empty or p.name == "dims"]
    return term(**{name: FILLED[name] for name in required})


def gradients(rank: int, processes: int, name: str, seed: int, file: str) -> None:
    """Save loss and gradients of one term, as the process of this rank has them in training."""
    torch.set_num_threads(1)
    if processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{file}.group", rank=rank, world_size=processes)
    term = make(getattr(bouba.terms, name))
    torch.manual_seed(seed)
    state = Objective.of(term).state(SPACE)
    whole = a_batch(term, SPACE, size=ROWS, seed=seed)
    mine = torch.arange(ROWS)[rank::processes]  # as the sampler deals them
    batch = whole.map(lambda column: column.detach()[mine].requires_grad_(column.requires_grad))
    torch.manual_seed(seed)
    loss, _ = Objective.of(term).loss(gather(batch), state)
    loss.backward()
    found = {"loss": loss.detach().reshape(1)}
    for part in ("z", "twin", "predicted", "predicted_twin"):
        found |= {
            f"{part}.{view}": x.grad / processes for view, x in getattr(batch, part).items() if x.grad is not None
        }
    if batch.fused is not None and batch.fused.grad is not None:
        found["fused"] = batch.fused.grad / processes
    found |= {f"state.{name}": p.grad for name, p in state.named_parameters() if p.grad is not None}
    torch.save(found, f"{file}.{processes}.{rank}")
    if processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def term_trial(seed: int, folder: Path) -> str | None:
    name, fork = TERMS[seed % len(TERMS)].__name__, multiprocessing.get_context("fork")
    file = str(folder / "found")
    ranks = [(0, 1), (0, 2), (1, 2)]
    started = [fork.Process(target=gradients, args=(*rank, name, seed, file)) for rank in ranks]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        return f"{name}: a process ended with {[process.exitcode for process in started]}"
    one, first, second = (torch.load(f"{file}.{processes}.{rank}") for rank, processes in ranks)
    for part, expected in one.items():
        if part == "loss" or part.startswith("state"):
            halves = (first[part] + second[part]) / 2  # DistributedDataParallel's mean
        else:
            halves = torch.empty_like(expected)
            halves[::2], halves[1::2] = first[part], second[part]
        if not torch.allclose(halves, expected, rtol=1e-4, atol=1e-6):
            return f"{name}: {part} differs by {float((halves - expected).abs().max()):.3g}"
    return None


FITTED = {
    "ConditionalGAN": "ConditionalGAN('left', 'right', towers=towers, epochs=3, dim=4, batch_size=61)",
    "FlowTranslator": "FlowTranslator('left', 'right', towers=towers, epochs=3, dim=4, batch_size=61)",
    "FusionClassifier": "FusionClassifier(towers, fusion=GatedFusion(drop=0.4), epochs=3, dim=4, batch_size=61)",
    "CLIP": "CLIP(towers, epochs=3, dim=4, batch_size=61)",
}
SCRIPT = """
import os, signal, sys
import numpy as np
from bouba import *
from bouba import Views
random = np.random.default_rng(0)
left = random.normal(size=(150, 6))
kinds = np.where(left[:, 0] > 0, "x", "y")
views = Views({{"left": left, "right": left @ random.normal(size=(6, 5))}}, y={{"kind": kinds}})
towers = {{"left": MLP((8,), dropout=0.0), "right": MLP((8,), dropout=0.0)}}
rank = int(os.environ.get("RANK", 0))
model = {model}
def watch(row):
    if rank == 1 and row["epoch"] == {dies}:
        os.kill(os.getpid(), signal.SIGKILL)
model.fit(views, folder={folder!r} if {dies} != -2 else None, resume={resume}, on_epoch=watch)
if rank == 0:
    model.save({out!r})
"""


def launched(
    folder: Path, model: str, processes: int, *, dies: int = -1, resume: bool = False
) -> list[subprocess.Popen]:
    """A fit by several processes, started without a launcher that would end them together."""
    script, work = folder / "fit.py", folder / f"work{processes}"
    work.mkdir(exist_ok=True)
    code = SCRIPT.format(model=model, dies=dies, folder=str(work), resume=resume, out=str(folder / f"model{processes}"))
    script.write_text(code, encoding="utf-8")
    from torch.distributed import TCPStore

    port = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False).port  # free again once this is forgotten
    group = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1"}
    group["MASTER_PORT"] = str(port)
    environments = [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    return [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=os.environ | (environment if processes > 1 else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in environments
    ]


def ends(started: list[subprocess.Popen], seconds: float) -> list[tuple[int | None, str]]:
    """(exit code, errors) of each; None for one that had to be killed."""
    found: list[tuple[int | None, str]] = []
    for process in started:
        try:
            errors = process.communicate(timeout=seconds)[1]
            found.append((process.returncode, errors.strip()))
        except subprocess.TimeoutExpired:
            process.kill()
            found.append((None, process.communicate()[1].strip()))
    return found


def fit_trial(seed: int, folder: Path) -> str | None:
    name = list(FITTED)[seed % len(FITTED)]
    for processes in (1, 2):
        codes = ends(launched(folder, FITTED[name], processes), 120)
        if any(code for code, _ in codes):
            return f"{name}: {processes} processes end with {codes}"
    one, two = (load_file(folder / f"model{processes}" / "model.safetensors") for processes in (1, 2))
    for part, expected in one.items():
        if not torch.allclose(two[part].float(), expected.float(), rtol=1e-3, atol=5e-5):
            return f"{name}: {part} differs by {float((two[part].float() - expected.float()).abs().max()):.3g}"
    return None


def dying_trial(seed: int, folder: Path) -> str | None:
    """One of two processes is killed after an epoch."""
    name, dies = list(FITTED)[seed % len(FITTED)], 1 + seed % 2
    whole = folder / "whole"
    whole.mkdir()
    if any(code for code, _ in ends(launched(whole, FITTED[name], 2), 120)):
        return f"{name}: two processes fail undisturbed"
    started = launched(folder, FITTED[name], 2, dies=dies)
    started[1].wait(120)
    since = time.monotonic()
    (code, errors), _ = ends(started, 90)
    if code in (0, None):
        return f"{name}: the other process {'ends with 0' if code == 0 else 'still waits after 90 s'}"
    if not errors:
        return f"{name}: the other process ends with {code} without a word after {time.monotonic() - since:.0f} s"
    codes = ends(launched(folder, FITTED[name], 2, resume=True), 120)
    if any(code for code, _ in codes):
        return f"{name}: resuming ends with {[(code, errors[-200:]) for code, errors in codes]}"
    one, two = (load_file(place / "model2" / "model.safetensors") for place in (whole, folder))
    differing = [part for part in one if not torch.allclose(one[part], two[part], rtol=1e-5, atol=1e-7)]
    return f"{name}: resumed, {differing[:3]} differ" if differing else None


PROCESSES = Experiment(
    "terms",
    f"every term ({len(TERMS)}, found by looking) with {ROWS} rows in one process, and in two that share them",
    "loss and gradients are those of one process",
    term_trial,
    trials=2 * len(TERMS),
    few=len(TERMS) // 4,
    seconds=90,
    clock=60,
)
SHARED_FITS = Experiment(
    "fits",
    f"{', '.join(FITTED)} (noise, flows, dropped views) trained by one process and by two",
    "the weights are those of one process",
    fit_trial,
    trials=len(FITTED),
    few=1,
    seconds=120,
    clock=240,
)
DYING_RANK = Experiment(
    "rank",
    "one of two processes is killed after an epoch",
    "the other ends within 90 s with a message; the checkpoint resumes to the weights of an unbroken fit",
    dying_trial,
    trials=4,
    few=0,
    seconds=90,
    clock=300,
)
