"""bouba bench usps: handwriting read that was collected elsewhere, and how to choose a method without its labels.

Training digits of USPS (16 x 16) and of MNIST (28 x 28), shown dark on white and scaled to 28 x 28. In USPS a digit
fills its square, in MNIST it has a margin: much of the gap is that.

USPS -> MNIST is the rehearsal: 3,000 digits of either, judged on 5,000 other training digits of MNIST, whose labels
choose the weights of every method and the criterion for choosing without labels. MNIST -> USPS is measured: 7,291
labelled digits of MNIST, as many unlabelled ones of USPS. One run, with seed 0 and a quarter of the epochs, takes a
method by that criterion; runs of other seeds are judged on all 2,007 test digits of USPS.

Looks: "moved" zooms, turns and shifts the digits in training; "cropped" cuts the margin away, in training and after.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench import adaptation
from bouba.bench.adaptation import Figures, Method, Task, Trainer, joined, mix, read_arrays, rows, runs_in
from bouba.bench.adaptation_tables import choose_and_measure, choosing_tables, task_tables
from bouba.bench.kept import print_tables
from bouba.data.augment import Augment
from bouba.data.views import Views
from bouba.evaluation.table import Table
from bouba.terms import CORAL, MMD, DomainAdversarial
from bouba.towers import ConvNet

FILES = ("mnist.npz", "usps.npz")
EPOCHS = 8
REHEARSED, REHEARSAL_TEST = 3_000, 5_000
MOVED = Augment(flip=0.0, color=0.0)
PLAIN = ConvNet(size=28, channels=12, augment=None)
LOOKS: dict[str, Any] = {
    "moved": replace(PLAIN, augment=MOVED),
    "cropped, moved": replace(PLAIN, augment=MOVED, crop=True),
}
METHODS = adaptation.compared_methods(PLAIN, LOOKS, ("own statistics", "DANN", "MMD"))
NAME, REHEARSAL = "MNIST -> USPS", "USPS -> MNIST"


def rehearsed_methods(plain: Any = PLAIN, moved: Any = LOOKS["moved"]) -> dict[str, Method]:
    """Name -> method: the weights that the rehearsal chooses among."""
    predict = adaptation.PREDICT
    by_name = adaptation.compared_methods(plain, {"moved": moved}, ("own statistics",))
    del by_name[adaptation.ON_TARGET], by_name["moved + mix"]
    for weight in (0.1, 0.3, 1.0):
        by_name[f"DANN {weight}"] = Method(predict + weight * DomainAdversarial(), plain)
    by_name |= {f"MMD {weight}": Method(predict + weight * MMD(), plain) for weight in (1.0, 3.0)}
    by_name |= {f"CORAL {weight}": Method(predict + weight * CORAL(), plain) for weight in (10.0, 100.0)}
    by_name |= {f"CDAN {weight}": Method(adaptation.cdan(weight), plain) for weight in (0.1, 0.3)}
    for adversary in (0.0, 0.1, 0.3):
        by_name[f"moved + mix, adversary {adversary}"] = Method(mix(adversary), moved)
    return by_name


def command(
    data: Annotated[Path, typer.Option(help="Folder with mnist.npz and usps.npz.")] = Path("../shared/data"),
    seeds: Annotated[int, typer.Option(help="Runs that are reported, after the one that chooses.")] = 3,
    epochs: Annotated[
        int, typer.Option(help="Passes over the source; a quarter of them where methods are chosen.")
    ] = EPOCHS,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file, continued where it exists.")] = None,
) -> None:
    """Accuracy on the other collection's digits, of every way to adapt."""
    trainer = Trainer(out, [data / name for name in FILES])
    rehearsed = rehearsed_methods()
    trainer.train(rehearsal(data), rehearsed, rehearsed, 0, max(1, epochs // 2))
    choose_and_measure(trainer, task(data), METHODS, seeds, epochs)
    trainer.keeper.write(trainer.figures)
    print_tables(tables(trainer.figures))


def tables(figures: Figures) -> dict[str, Table]:
    """ "rehearsal methods" and "rehearsal criteria"; "methods", "criteria" and "measured" of the task."""
    runs = runs_in(figures)
    rehearsed = {f"rehearsal {name}": table for name, table in choosing_tables(runs, REHEARSAL).items()}
    return rehearsed | task_tables(runs, NAME)


def task(folder: Path) -> Task:
    """MNIST as source, USPS as target.

    Raises:
        DataError: no mnist.npz or usps.npz in the folder.
    """
    usps, mnist = _collections(folder)
    drawn = _order(mnist)[: len(usps["x_train"])]
    target = _dark_on_white(usps["x_train"], usps["y_train"], "usps")
    test = _dark_on_white(usps["x_test"], usps["y_test"], "usps")
    return Task(
        NAME,
        "usps",
        joined(_dark_on_white(mnist["train_x"][drawn], mnist["train_y"][drawn], "mnist"), target),
        _dark_on_white(mnist["test_x"], mnist["test_y"], "mnist"),
        test,
        lambda seed: (target, test),
    )


def rehearsal(folder: Path) -> Task:
    """USPS as source, MNIST as target; training digits only, of either.

    Raises:
        DataError: no mnist.npz or usps.npz in the folder.
    """
    usps, mnist = _collections(folder)
    order = _order(mnist)[::-1]  # the others than `task` trains on
    target, test = (
        _dark_on_white(mnist["train_x"][part], mnist["train_y"][part], "mnist")
        for part in (order[:REHEARSED], order[REHEARSED : REHEARSED + REHEARSAL_TEST])
    )
    source = _dark_on_white(usps["x_train"], usps["y_train"], "usps")
    judges = np.arange(len(source)) % 2 == 1
    train = source[np.flatnonzero(~judges)[:REHEARSED]]
    return Task(
        REHEARSAL,
        "mnist",
        joined(train, target),
        source[np.flatnonzero(judges)],
        test,
        lambda seed: (target, test),
    )


def _collections(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    usps = read_arrays(folder / "usps.npz", ("x_train", "y_train", "x_test", "y_test"))
    return usps, read_arrays(folder / "mnist.npz", ("train_x", "train_y", "test_x", "test_y"))


def _order(mnist: dict[str, np.ndarray]) -> np.ndarray:
    """MNIST's training rows in a fixed random order."""
    return np.random.default_rng(0).permutation(len(mnist["train_x"]))


def _dark_on_white(x: np.ndarray, y: np.ndarray, domain: str) -> Views:
    return rows("image", "image", 255 - x, y, domain)
