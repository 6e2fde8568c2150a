"""bouba bench mnist-halves: how well the left half of a handwritten digit predicts its right half.

The measurement of Andrew et al. 2013: fit 50 components on 60,000 images cut in the middle, project the halves of
10,000 others, add up the 50 correlations. 50 is the most there could be. Linear CCA, kernel CCA of random features and
Deep CCA stand beside the paper's three, and beside chance: linear CCA fitted to halves that do not belong together.

Settings were chosen with --judge validation, which fits on the first 50,000 training images and judges on the last
10,000; the test images had no part in it. One seed of initial weights moves Deep CCA's sum by about 0.1.
"""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align.cca import CCA
from bouba.align.deep_cca import DeepCCA
from bouba.align.kernel_cca import KernelCCA
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import SECONDS, mean, mean_cost, means, runs_of, seeds_note
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.towers import MLP

HELD_OUT = 10_000
HELD_OUT_SUM, TRAINING_SUM = "held-out correlations", "training correlations"
PAPER = {"linear": 28.0, "kernel": 33.0, "deep": 39.7}
"""Andrew et al. 2013, table 1, test."""
RIDGE = 1e-4  # of 0 and 1e-4 to 0.2 the best on the last 10,000 training images
KERNEL: dict[str, Any] = {"approximation": "fourier", "n_features": 6000, "ridge": 1e-4}
HIDDEN = (1024, 1024, 1024)
DEEP: dict[str, Any] = {"batch_size": 500, "lr": 5e-3, "weight_decay": 1.0}


class Judge(StrEnum):
    """Which images the correlations are added up on."""

    test = "test"
    validation = "validation"


def command(
    data: Annotated[
        Path, typer.Option(help="Folder of mnist.npz with train_x and test_x, (n, height, width), 0 to 255.")
    ],
    components: Annotated[int, typer.Option(help="How many correlations are added up.")] = 50,
    epochs: Annotated[int, typer.Option(help="Passes of Deep CCA over the training images.")] = 20,
    method: Annotated[
        list[str] | None, typer.Option(help="linear, kernel or deep, and again; all if left out.")
    ] = None,
    judge: Annotated[Judge, typer.Option(help="Test images, or the last 10,000 training images.")] = Judge.test,
    seeds: Annotated[int, typer.Option(help="Of random features, initial weights and order: 0, 1, ...")] = 3,
    out: Out = None,
) -> None:
    """Sum of held-out correlations of linear, kernel and Deep CCA, and what each costs."""
    methods = method or list(PAPER)
    for name in methods:
        if name not in PAPER:
            raise UsageError(f"no method {name!r}{nearest(name, PAPER)}")
    file = data / "mnist.npz"
    training, held_out = halves(file, judge)
    keeper = Keeper(out, lambda: fingerprint(file))
    result = keeper.records
    for seed, name in product(range(seeds), methods):
        if not result.where(method=name, seed=seed):
            result = result + measured(name, training, held_out, components, epochs, seed)
            keeper.write(result)
    print_tables(tables(result))


def halves(path: Path, judge: Judge = Judge.test) -> tuple[Views, Views]:
    """Training and held-out images as views "left" and "right", pixels from 0 to 1.

    Raises:
        DataError: no such file, or it lacks the images.
    """
    try:
        arrays = np.load(path)
        training, held_out = arrays["train_x"], arrays["test_x"]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is no .npz file with train_x and test_x ({error})") from error
    if judge is Judge.validation:
        training, held_out = training[:-HELD_OUT], training[-HELD_OUT:]
    return _cut(training), _cut(held_out)


def _cut(images: np.ndarray) -> Views:
    pixels, middle = images.astype(np.float32) / 255, images.shape[2] // 2
    cut = {"left": pixels[:, :, :middle], "right": pixels[:, :, middle:]}
    return Views({name: half.reshape(len(half), -1) for name, half in cut.items()})


def fit(method: str, training: Views, components: int, *, epochs: int, seed: int) -> CCA | KernelCCA | DeepCCA:
    """Linear, kernel or Deep CCA of pixels."""
    if method == "linear":
        return CCA(components, ridge=RIDGE).fit(training)
    if method == "kernel":
        return KernelCCA(components, random_state=seed, **KERNEL).fit(training)
    towers = dict.fromkeys(training.columns, MLP(HIDDEN, dropout=0.0))
    return DeepCCA(towers, dim=components, epochs=epochs, random_state=seed, **DEEP).fit(training)


def measured(name: str, training: Views, held_out: Views, components: int, epochs: int, seed: int) -> Result:
    """Sums of correlations of held-out and of training images, and CPU-seconds of fitting. Chance is the sum of linear
    CCA fitted to halves that do not belong together."""
    started = time.process_time()
    model = fit(name, training, components, epochs=epochs, seed=seed)
    spent = time.process_time() - started
    strangers = np.random.default_rng(seed).permutation(len(training))
    mixed = training.replace(columns={"left": training["left"], "right": training["right"].take(strangers)})
    chance = float(correlations(fit("linear", mixed, components, epochs=epochs, seed=seed), held_out).sum())
    values = {HELD_OUT_SUM: float(correlations(model, held_out).sum()), TRAINING_SUM: float(model.correlations_.sum())}
    sys.stderr.write(f"seed {seed}, {name}: {values[HELD_OUT_SUM]:.2f} in {spent:.0f} CPU-s\n")
    facts = {HELD_OUT_SUM: (chance, len(held_out)), TRAINING_SUM: (None, len(training)), SECONDS: (None, len(training))}
    labels = (name, f"{components} components", "mnist", "left, right")
    return Result(
        [
            Record(*labels, metric, x, None, None, *facts[metric], seed)
            for metric, x in {**values, SECONDS: spent}.items()
        ]
    )


def correlations(model: CCA | KernelCCA | DeepCCA, views: Views) -> np.ndarray:
    """(k,) Pearson correlations between the two views' embeddings, 0 where one does not vary."""
    left, right = (z - z.mean(0) for z in model.embed(views).values())
    scale = np.sqrt((left**2).sum(0) * (right**2).sum(0))
    return np.divide((left * right).sum(0), scale, out=np.zeros_like(scale), where=scale > 0)


def tables(result: Result) -> dict[str, Table]:
    """ "correlations": sums by method."""
    first = next(iter(result))
    names = [name for name in PAPER if result.where(method=name)]
    cells = {
        metric: {name: runs_of(result, method=name, metric=metric) for name in names}
        for metric in (HELD_OUT_SUM, TRAINING_SUM, SECONDS)
    }
    held_out = means(cells[HELD_OUT_SUM], 2)
    published = {name: f"{PAPER[name]:.1f}" if first.split == "50 components" else "-" for name in names}
    lines = [
        [name, held_out[name], mean(cells[TRAINING_SUM][name], 2), published[name], mean_cost(cells[SECONDS][name])]
        for name in names
    ]
    chance = np.mean([record.chance for record in result.where(metric=HELD_OUT_SUM) if record.chance is not None])
    note = (
        f"Sums of correlations, {first.split}, {first.n:,} held-out images. {seeds_note(result)} By chance "
        f"{chance:.2f}: linear CCA fitted to halves that do not belong together. Paper: Andrew et al. 2013, table 1. "
        "Settings were chosen on the last 10,000 training images."
    )
    return {"correlations": Table(["method", "held out", "training", "paper", "CPU-s"], lines, note=note)}
