"""bouba bench towers: frozen packaged encoders against towers from scratch, over the number of rows.

Three tasks on tables of growing size, judged on rows that no size trains on:

    pairs     captioned emoji (Noto): an English caption of a new concept finds its drawing, recall@10 among 319
    classes   the same rows: group of a drawing with its caption, accuracy
    digits    MNIST, with --data: the digit in a picture, accuracy on 2,000 of the test pictures

From scratch are the default towers (ConvNet, NGrams) under CLIP and FusionClassifier as they come; frozen are
efficientnet-lite0 and multilingual-e5-small under FewPairs and the same FusionClassifier. CPU-seconds are those of a
fit whose features are kept; the first encoding costs some 15 ms a picture and as much a text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP, FewPairs
from bouba.bench.adaptation import read_arrays, rows
from bouba.bench.frozen_emoji import TOWERS
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.evaluation import evaluate
from bouba.evaluation.table import text_table
from bouba.fuse import FusionClassifier

STYLE = "noto"
SIZES = {
    "pairs": (100, 200, 400, 800, 1275),
    "classes": (100, 200, 400, 800, 1275),
    "digits": (100, 300, 1000, 3000, 10_000),
}
JUDGED = 2000  # test pictures of MNIST
Fit = Callable[[Views, int], Any]


def command(
    data: Annotated[Path | None, typer.Option(help="Folder with mnist.npz; without it two tasks.")] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", help=f"{', '.join(SIZES)}, and again; all.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the rows, each with weights of its own.")] = 3,
    most: Annotated[int, typer.Option(help="Leave larger tables out.")] = 10_000,
) -> None:
    """Scores over the number of rows, and where the lines cross."""
    table = []
    for task in tasks or [name for name in SIZES if name != "digits" or data is not None]:
        for n in (n for n in SIZES[task] if n <= most):
            scores: dict[str, list[float]] = {"scratch": [], "frozen": []}
            seconds = dict.fromkeys(scores, 0.0)
            for seed in range(seeds):
                training, judged = _rows(task, n, seed, data)
                for way, fit in _ways(task).items():
                    started = time.process_time()
                    model = fit(training, seed)
                    seconds[way] += time.process_time() - started
                    scores[way].append(_score(task, model, judged))
            table.append([task, f"{n:,}", *_cells(scores, seconds, seeds)])
            typer.echo(" ".join(table[-1]), err=True)
    header = ["task", "rows", "scratch", "CPU-s", "frozen", "CPU-s", "gain, each seed"]
    typer.echo(text_table(header, table, labels=1))


def _cells(scores: dict[str, list[float]], seconds: dict[str, float], seeds: int) -> Iterator[str]:
    for way, values in scores.items():
        yield f"{100 * np.mean(values):.1f}"
        yield f"{seconds[way] / seeds:.1f}"
    gains = 100 * np.subtract(scores["frozen"], scores["scratch"])
    yield " ".join(f"{gain:+.1f}" for gain in gains)


def _rows(task: str, n: int, seed: int, data: Path | None) -> tuple[Views, Views]:
    """n training rows of a task, drawn by a seed, and the rows that judge; those are the same for every n."""
    random = np.random.default_rng(seed)
    if task == "digits":
        assert data is not None, "only with --data"
        mnist = read_arrays(data / "mnist.npz", ("train_x", "train_y", "test_x", "test_y"))
        drawn = random.permutation(len(mnist["train_x"]))[:n]
        judged = np.random.default_rng(0).permutation(len(mnist["test_x"]))[:JUDGED]
        parts = ((mnist["train_x"][drawn], mnist["train_y"][drawn]), (mnist["test_x"][judged], mnist["test_y"][judged]))
        first, second = (rows("image", "image", 255 - x, y, "mnist") for x, y in parts)
        return first, second
    views = samples.emoji()
    part = split(views[views.domain == STYLE].select("image", "en"), {"train": 0.8, "test": 0.2}, random_state=seed)
    return part["train"][random.permutation(len(part["train"]))[:n]], part["test"]


def _ways(task: str) -> dict[str, Fit]:
    """scratch and frozen -> how a model is fitted."""
    if task == "pairs":
        return {
            "scratch": lambda views, seed: CLIP(random_state=seed).fit(views),
            "frozen": lambda views, seed: FewPairs(towers=TOWERS, random_state=seed).fit(views),
        }
    towers = {"image": TOWERS["image"]} if task == "digits" else TOWERS
    label = _label(task)
    return {
        "scratch": lambda views, seed: FusionClassifier(label=label, random_state=seed).fit(views),
        "frozen": lambda views, seed: FusionClassifier(towers, label=label, random_state=seed).fit(views),
    }


def _label(task: str) -> str:
    return "digit" if task == "digits" else "group"


def _score(task: str, model: Any, judged: Views) -> float:
    if task == "pairs":
        result = evaluate(model, judged, method="", split="test")
        return next(iter(result.where(metric="recall@10", direction="en->image"))).value
    return model.score(judged)
