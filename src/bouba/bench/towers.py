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
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP, FewPairs
from bouba.bench.adaptation import read_arrays, rows
from bouba.bench.frozen_emoji import TOWERS, captioned_drawings
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import SECONDS, gain, mean_cost, means, runs_of, seeds_note
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.evaluation import Record, Result, evaluate
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.fuse import FusionClassifier
from bouba.metrics import majority_chance

STYLE = "noto"
WAYS = ("scratch", "frozen")
SIZES = {
    "pairs": (100, 200, 400, 800, 1275),
    "classes": (100, 200, 400, 800, 1275),
    "digits": (100, 300, 1000, 3000, 10_000),
}
JUDGED = 2000  # test pictures of MNIST
NAMES = {
    "pairs": "a caption finds its drawing, recall@10",
    "classes": "group of a captioned drawing, accuracy",
    "digits": "digit (MNIST), accuracy",
}
Fit = Callable[[Views, int], Any]


def command(
    data: Annotated[Path | None, typer.Option(help="Folder with mnist.npz; without it two tasks.")] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", help=f"{', '.join(SIZES)}, and again; all.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the rows, each with weights of its own.")] = 3,
    most: Annotated[int, typer.Option(help="Leave larger tables out.")] = 10_000,
    out: Out = None,
) -> None:
    """Scores over the number of rows, and where the lines cross."""
    chosen = tasks or [name for name in SIZES if name != "digits" or data is not None]
    for task in chosen:
        if task not in SIZES:
            raise UsageError(f"no task {task!r}{nearest(task, SIZES)}")
        if task == "digits" and data is None:
            raise UsageError("digits are those of MNIST; give --data FOLDER with mnist.npz")
    files = [data / "mnist.npz"] if data is not None and "digits" in chosen else []
    keeper = Keeper(out, lambda: fingerprint(captioned_drawings(STYLE), *files))
    result = keeper.records
    for seed, task in product(range(seeds), chosen):
        for n in (n for n in SIZES[task] if n <= most):
            if not result.where(domain=task, split=f"{n} rows", seed=seed):
                result = result + measured(task, n, seed, data)
                keeper.write(result)
    print_tables(tables(result))


def measured(task: str, n: int, seed: int, data: Path | None) -> Result:
    """Score, in percent, and CPU-seconds of both ways."""
    training, judged = _rows(task, n, seed, data)
    records = []
    for way, fit in _ways(task).items():
        started = time.process_time()
        model = fit(training, seed)
        spent = time.process_time() - started
        value, chance = _score(task, model, training, judged)
        labels = (way, f"{n} rows", task, "en->image" if task == "pairs" else _label(task))
        records.append(
            Record(*labels, NAMES[task].split()[-1], 100 * value, None, None, 100 * chance, len(judged), seed)
        )
        records.append(Record(*labels, SECONDS, spent, None, None, None, n, seed))
        typer.echo(f"seed {seed}, {task}, {n} rows, {way}: {100 * value:.1f}, {spent:.1f} CPU-s", err=True)
    return Result(records)


def tables(result: Result) -> dict[str, Table]:
    """ "towers": a line a task and number of rows."""
    lines = []
    for task in (task for task in SIZES if result.where(domain=task)):
        for split_name in dict.fromkeys(r.split for r in result.where(domain=task)):
            of = result.where(domain=task, split=split_name)
            scores = of.where(metric=NAMES[task].split()[-1])
            runs = {way: runs_of(scores, method=way) for way in WAYS}
            spent = {way: mean_cost(runs_of(of, metric=SECONDS, method=way)) for way in WAYS}
            cells = means(runs)
            chance = np.mean([record.chance for record in scores if record.chance is not None])
            shown = [text for way in WAYS for text in (cells[way], spent[way])]
            rows_text = f"{int(split_name.split()[0]):,}"
            lines.append([NAMES[task], rows_text, f"{chance:.1f}", *shown, gain(runs["frozen"], runs["scratch"])])
    note = f"{seeds_note(result)} CPU-seconds of a fit whose features are kept. Judged are rows of no training."
    header = ["percent", "rows", "chance", *(text for way in WAYS for text in (way, "CPU-s")), "frozen gains"]
    return {"towers": Table(header, lines, labels=2, note=note)}


def _rows(task: str, n: int, seed: int, data: Path | None) -> tuple[Views, Views]:
    """n training rows of a task, drawn by a seed, and the rows that judge; those are the same for every n."""
    random = np.random.default_rng(seed)
    if task == "digits":
        assert data is not None, "the command refuses it"
        mnist = read_arrays(data / "mnist.npz", ("train_x", "train_y", "test_x", "test_y"))
        drawn = random.permutation(len(mnist["train_x"]))[:n]
        judged = np.random.default_rng(0).permutation(len(mnist["test_x"]))[:JUDGED]
        parts = ((mnist["train_x"][drawn], mnist["train_y"][drawn]), (mnist["test_x"][judged], mnist["test_y"][judged]))
        first, second = (rows("image", "image", 255 - x, y, "mnist") for x, y in parts)
        return first, second
    part = split(captioned_drawings(STYLE), {"train": 0.8, "test": 0.2}, random_state=seed)
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


def _score(task: str, model: Any, training: Views, judged: Views) -> tuple[float, float]:
    """Of a model, and of chance."""
    if task == "pairs":
        result = evaluate(model, judged, method="", split="test")
        record = next(iter(result.where(metric="recall@10", direction="en->image")))
        return record.value, record.chance or 0.0
    y, truth = (views.y[_label(task)].astype(str) for views in (training, judged))
    return model.score(judged), majority_chance(y, truth)
