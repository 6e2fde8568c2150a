"""bouba bench mnist-halves: how well the left half of a handwritten digit predicts its right half.

The measurement of Andrew et al. 2013: fit 50 components on 60,000 images cut in the middle, project the halves of
10,000 others, add up the 50 correlations. 50 is the most there could be. Linear CCA, kernel CCA of random features and
Deep CCA stand beside the paper's three, and beside chance: linear CCA fitted to halves that do not belong together.

Settings were chosen with --judge validation, which fits on the first 50,000 training images and judges on the last
10,000; the test images had no part in it. One seed of initial weights moves Deep CCA's sum by about 0.1.
"""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align.cca import CCA
from bouba.align.deep_cca import DeepCCA
from bouba.align.kernel_cca import KernelCCA
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation import environment
from bouba.evaluation.table import text_table
from bouba.towers import MLP

HELD_OUT = 10_000
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
    data: Annotated[Path, typer.Option(help="mnist.npz with train_x and test_x, (n, height, width), 0 to 255.")],
    components: Annotated[int, typer.Option(help="How many correlations are added up.")] = 50,
    epochs: Annotated[int, typer.Option(help="Passes of Deep CCA over the training images.")] = 20,
    method: Annotated[
        list[str] | None, typer.Option(help="linear, kernel or deep, and again; all if left out.")
    ] = None,
    judge: Annotated[Judge, typer.Option(help="Test images, or the last 10,000 training images.")] = Judge.test,
    seed: Annotated[int, typer.Option(help="Of random features, initial weights and order.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Sum of held-out correlations of linear, kernel and Deep CCA, and what each costs."""
    methods = method or list(PAPER)
    for name in methods:
        if name not in PAPER:
            raise UsageError(f"no method {name!r}{nearest(name, PAPER)}")
    figures: dict[str, Any] = {"components": components, "judge": judge.value, "epochs": epochs}
    figures |= measure(*halves(data, judge), methods, components, epochs=epochs, seed=seed)
    typer.echo(page(figures))
    if out is not None:
        out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


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


def measure(training: Views, held_out: Views, methods: list[str], components: int, *, epochs: int, seed: int) -> dict:
    """Every method's sums of correlations and CPU-seconds of fitting, and the sum by chance."""
    by_method: dict[str, Any] = {}
    for method in methods:
        started = time.process_time()
        model = fit(method, training, components, epochs=epochs, seed=seed)
        by_method[method] = {
            "held_out": float(correlations(model, held_out).sum()),
            "training": float(model.correlations_.sum()),
            "paper": PAPER[method] if components == 50 else None,
            "cpu_s": time.process_time() - started,
        }
        sys.stderr.write(f"{method}: {by_method[method]['held_out']:.2f} in {by_method[method]['cpu_s']:.0f} CPU-s\n")
    strangers = np.random.default_rng(seed).permutation(len(training))
    mixed = training.replace(columns={"left": training["left"], "right": training["right"].take(strangers)})
    by_chance = correlations(fit("linear", mixed, components, epochs=epochs, seed=seed), held_out)
    return {"methods": by_method, "chance": float(by_chance.sum()), "environment": environment(seed)}


def correlations(model: CCA | KernelCCA | DeepCCA, views: Views) -> np.ndarray:
    """(k,) Pearson correlations between the two views' embeddings, 0 where one does not vary."""
    left, right = (z - z.mean(0) for z in model.embed(views).values())
    scale = np.sqrt((left**2).sum(0) * (right**2).sum(0))
    return np.divide((left * right).sum(0), scale, out=np.zeros_like(scale), where=scale > 0)


def page(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    header = ["method", figures["judge"], "training", "paper", "CPU-s"]
    lines = [
        [name, f"{row['held_out']:.2f}", f"{row['training']:.2f}", _text(row["paper"]), f"{row['cpu_s']:.0f}"]
        for name, row in figures["methods"].items()
    ]
    chance = f"By chance {figures['chance']:.2f}: linear CCA fitted to halves that do not belong together."
    return f"Sum of {figures['components']} correlations\n{text_table(header, lines, labels=1)}\n\n{chance}"


def _text(published: float | None) -> str:
    return "-" if published is None else f"{published:.1f}"
