"""bouba bench usps: handwriting read that was collected elsewhere, MNIST -> USPS and USPS -> MNIST.

All 7,291 training digits of USPS (16 x 16) and as many of MNIST (28 x 28), drawn from a fixed seed, one side labelled
and the other not; judged on all 2,007 and 10,000 test digits. Both are shown dark on white and scaled to 28 x 28. In
USPS a digit fills its square, in MNIST it has a margin: much of the gap is that.

Looks: "moved" zooms, turns and shifts the digits in training; "cropped" cuts the margin away, in training and after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bouba.bench import adaptation
from bouba.bench.adaptation import Task, joined, read_arrays, rows
from bouba.data.augment import Augment
from bouba.data.views import Views
from bouba.towers import ConvNet, EncoderSpec

EPOCHS = 4
MOVED = Augment((0.7, 1.3), 10.0, 0.1, 0.15, flip=0.0, color=0.0)
PLAIN = ConvNet(size=28, channels=8, augment=None)
LOOKS: dict[str, EncoderSpec] = {
    "moved": ConvNet(size=28, channels=8, augment=MOVED),
    "cropped": ConvNet(size=28, channels=8, augment=MOVED, crop=True),
}
METHODS = adaptation.compared_methods(PLAIN, LOOKS)
WAYS = ("MNIST -> USPS", "USPS -> MNIST")


def command(
    data: Annotated[Path, typer.Option(help="Folder with mnist.npz and usps.npz.")] = Path("../shared/data"),
    methods: Annotated[
        list[str] | None, typer.Option("--method", help=f"{', '.join(METHODS)}, and again; all.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own initial weights and order.")] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the source.")] = EPOCHS,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """Accuracy on the other collection's digits, both ways, of every way to adapt."""
    selected = adaptation.chosen(METHODS, methods)
    result = adaptation.run(tasks(data), selected, seeds=seeds, epochs=epochs, out=out)
    typer.echo(adaptation.page(result, selected, WAYS, seeds, "Chance 10.0."))


def tasks(folder: Path) -> list[Task]:
    """Both ways between MNIST and USPS.

    Raises:
        DataError: no mnist.npz or usps.npz in the folder.
    """
    usps = read_arrays(folder / "usps.npz", ("x_train", "y_train", "x_test", "y_test"))
    mnist = read_arrays(folder / "mnist.npz", ("train_x", "train_y", "test_x", "test_y"))
    drawn = np.random.default_rng(0).permutation(len(mnist["train_x"]))[: len(usps["x_train"])]
    sides = {
        "mnist": (
            _dark_on_white(mnist["train_x"][drawn], mnist["train_y"][drawn], "mnist"),
            _dark_on_white(mnist["test_x"], mnist["test_y"], "mnist"),
        ),
        "usps": (
            _dark_on_white(usps["x_train"], usps["y_train"], "usps"),
            _dark_on_white(usps["x_test"], usps["y_test"], "usps"),
        ),
    }
    return [_task(name, sides) for name in WAYS]


def _dark_on_white(x: np.ndarray, y: np.ndarray, domain: str) -> Views:
    return rows("image", "image", 255 - x, y, domain)  # dark on white


def _task(name: str, sides: dict[str, tuple[Views, Views]]) -> Task:
    source, target = name.lower().split(" -> ")
    train, test = sides[source]
    return Task(name, target, joined(train, sides[target][0]), test, sides[target][1], lambda seed: sides[target])
