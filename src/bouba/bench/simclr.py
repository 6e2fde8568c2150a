"""bouba bench simclr: how much of a class shows in what SimCLR learnt without label, caption or key."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bouba.align.simclr import STRONG, SimCLR
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import gain, means, runs_of, seeds_note
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Column, Views
from bouba.errors import DataError
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.metrics import accuracy, knn, linear_probe, majority_chance
from bouba.runs import methods
from bouba.towers import CRNN, ConvNet, EncoderSpec

SIMCLR = methods.SIMCLR.name
EPOCHS = 30
JUDGES: dict[str, Callable] = {"linear probe": linear_probe, "kNN": knn}
TRAINED = (SIMCLR, "projected")
Pair = tuple[np.ndarray, np.ndarray]  # of the training rows, of the test rows


@dataclass(frozen=True)
class Task:
    """The training data, and the labels that embeddings are judged by.

    Args:
        view: the one view, of kind `kind`. labels: the label columns that are probed, never used in training.
        tower: its encoder. cut: seed -> training and test rows.
        plain: cells of the training and the test rows -> numbers that need no network, by method.
    """

    view: str
    labels: tuple[str, ...]
    tower: EncoderSpec
    cut: Callable[[int], tuple[Views, Views]]
    plain: Callable[[Column, Column], dict[str, Pair]]


def command(
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own cut and initial weights.")] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the training rows.")] = EPOCHS,
    data: Annotated[
        Path | None,
        typer.Option(help="Instead of drawings: folder of fsdd_8khz.npz (wave, offset, label, speaker, index)."),
    ] = None,
    out: Out = None,
) -> None:
    """Linear probe and kNN accuracy on features of SimCLR, of the same network untrained, and of plain numbers."""
    file = None if data is None else data / "fsdd_8khz.npz"
    task = drawings() if file is None else digits(file)
    keeper = Keeper(out, lambda: fingerprint(file or samples.emoji()))
    result = keeper.records
    for seed in range(seeds):
        if not result.where(seed=seed):
            started = time.process_time()
            result = result + judge(task, seed, epochs=epochs)
            keeper.write(result)
            sys.stderr.write(f"seed {seed}: {(time.process_time() - started) / 60:.1f} CPU-minutes\n")
    print_tables(tables(result))


def drawings() -> Task:
    """Emoji drawings in four styles, cut by concept, so that no concept of the test was seen in any style."""

    def cut(seed: int) -> tuple[Views, Views]:
        parts = split(samples.emoji(), {"train": 0.8, "test": 0.2}, random_state=seed)
        return parts["train"], parts["test"]

    tower = ConvNet(size=32, channels=24, augment=STRONG, crop=True)
    return Task("image", ("subgroup", "group"), tower, cut, _pixels)


def _pixels(train: Column, test: Column) -> dict[str, Pair]:
    """Drawings cropped as the network sees them: 16 x 16 RGB, and 32 x 32 RGB by its 256 principal components."""
    from sklearn.decomposition import PCA

    small, large = (
        [encoder.prepare(list(column))["pixels"].flatten(1).numpy() / np.float32(255) for column in (train, test)]
        for encoder in (ConvNet(size=side, crop=True).build({}) for side in (16, 32))
    )
    reduction = PCA(256, random_state=0).fit(large[0])
    return {
        "16 x 16": (small[0], small[1]),
        "32 x 32 PCA": (reduction.transform(large[0]), reduction.transform(large[1])),
    }


def digits(path: Path) -> Task:
    """Spoken digits; recordings 0 to 4 of each speaker and digit are the test, as the data set says."""
    try:
        archive = np.load(path, allow_pickle=False)
        wave, offset, label, index = (archive[name] for name in ("wave", "offset", "label", "index"))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} holds no spoken digits ({error}); give an .npz with wave, offset, label, index"
        ) from error
    sounds = [(wave[start:stop], 8000) for start, stop in pairwise(offset)]
    views = Views({"sound": Column.of(sounds, "audio")}, y={"digit": label.astype(str)})
    tower = CRNN(rate=8000, seconds=1.0)

    def plain(train: Column, test: Column) -> dict[str, Pair]:
        encoder = tower.build(tower.learn(list(train)))
        train_z, test_z = (encoder.raw(encoder.prepare(list(column))).numpy() for column in (train, test))
        return {"log-mel": (train_z, test_z)}  # averaged over 16 slices of the clip

    return Task("sound", ("digit",), tower, lambda seed: (views[index >= 5], views[index < 5]), plain)


def judge(task: Task, seed: int, *, epochs: int) -> Result:
    """Accuracies of every method for one seed."""
    train, test = task.cut(seed)
    records = []
    for method, (train_x, test_x) in _methods(task, train, test, seed, epochs):
        for label in task.labels:
            train_y, test_y = train.y[label].astype(str), test.y[label].astype(str)
            chance = majority_chance(train_y, test_y)
            for name, judged_by in JUDGES.items():
                value = accuracy(test_y, judged_by(train_x, train_y, test_x))
                labels = (method, "test", "all", task.view, f"{label}, {name}")
                records.append(Record(*labels, value, None, None, chance, len(test), seed))
    return Result(records)


def _methods(task: Task, train: Views, test: Views, seed: int, epochs: int) -> Iterator[tuple[str, Pair]]:
    """method -> numbers of the training and the test rows; the network saw cells of the training rows and no more."""
    training, held_out = (Views({task.view: views[task.view]}) for views in (train, test))
    towers = {task.view: task.tower}
    model = SimCLR(towers, epochs=epochs, random_state=seed).fit(training)
    yield SIMCLR, (model.features(training)[task.view], model.features(held_out)[task.view])
    yield "projected", (model.embed(training)[task.view], model.embed(held_out)[task.view])
    # the same initial weights; three epochs without a step let BatchNorm measure its statistics
    untrained = SimCLR(towers, epochs=3, lr=0.0, random_state=seed).fit(training)
    yield "untrained", (untrained.features(training)[task.view], untrained.features(held_out)[task.view])
    yield from task.plain(training[task.view], held_out[task.view]).items()


def tables(result: Result) -> dict[str, Table]:
    """ "accuracy": a line for each label and way to judge, a column for each method, and what SimCLR gains."""
    names = list(dict.fromkeys(record.method for record in result))
    lines = []
    for metric in dict.fromkeys(record.metric for record in result):
        of = result.where(metric=metric)
        runs = {name: runs_of(of, scale=100, method=name) for name in names}
        rivals = [runs[name] for name in names if name not in TRAINED]
        strongest = {seed: max(rival[seed] for rival in rivals) for seed in runs[SIMCLR]}
        chance = 100 * np.mean([record.chance for record in of.where(method=SIMCLR) if record.chance is not None])
        lines.append([metric, f"{chance:.1f}", *means(runs).values(), gain(runs[SIMCLR], strongest)])
    note = (
        f"{seeds_note(result)} {SIMCLR}: features before the projection; projected: after it; untrained: the same "
        "network with its initial weights. The best rival is chosen anew for every seed."
    )
    return {"accuracy": Table(["percent right", "chance", *names, f"{SIMCLR} less best rival"], lines, note=note)}
