"""bouba bench mnist-m: digits learnt in black and white, read in colour.

10,000 labelled digits of MNIST, of which a tenth judges the source; 10,000 digits of MNIST-M without labels, each drawn
over a patch of a photograph (Ganin et al. 2016: the difference of both, channel by channel). Judged on 10,000 other
digits of MNIST-M. They are MNIST's own test digits, whose labels therefore must not choose anything. No label of the
target's training digits is in the file; "trained on the target" learns from four fifths of its test digits and is
judged on the last fifth, another one for each seed.

Looks: "colour" gives half of the pictures two random colours in place of black and white; "blended colour" gives them
to seven in ten, and mixes up to 0.4 of another picture of the batch into each, of source or target.
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

EPOCHS = 8
FOLDS = 5
COLOUR = Augment((1.0, 1.0), 0.0, 0.05, 0.0, flip=0.0, color=0.0, recolor=0.5, border="edge")
BLENDED = Augment((1.0, 1.0), 0.0, 0.05, 0.0, flip=0.0, color=0.0, recolor=0.7, blend=0.4, border="edge")
PLAIN = ConvNet(size=28, channels=16, augment=None)
LOOKS: dict[str, EncoderSpec] = {
    "colour": ConvNet(size=28, channels=16, augment=COLOUR),
    "blended colour": ConvNet(size=28, channels=16, augment=BLENDED),
}
METHODS = adaptation.compared_methods(PLAIN, LOOKS)
NAME = "MNIST -> MNIST-M"


def command(
    data: Annotated[Path, typer.Option(help="Folder with mnist_m.npz.")] = Path("../shared/data"),
    methods: Annotated[
        list[str] | None, typer.Option("--method", help=f"{', '.join(METHODS)}, and again; all.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own initial weights and order.")] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the source.")] = EPOCHS,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """Accuracy on coloured digits, of every way to adapt."""
    selected = adaptation.chosen(METHODS, methods)
    result = adaptation.run([task(data)], selected, seeds=seeds, epochs=epochs, out=out)
    typer.echo(adaptation.page(result, selected, [NAME], seeds, "Chance 10.0."))


def task(folder: Path) -> Task:
    """MNIST as source, MNIST-M as target.

    Raises:
        DataError: no mnist_m.npz in the folder.
    """
    names = [f"source_{part}" for part in ("train_x", "train_y", "test_x")]
    names += [f"target_{part}" for part in ("train_x", "test_x", "test_y")]
    arrays = read_arrays(folder / "mnist_m.npz", names)
    test_x, test_y = arrays["target_test_x"], arrays["target_test_y"]
    held_out = np.arange(len(arrays["source_train_x"])) % 10 == 9
    x, y = arrays["source_train_x"], arrays["source_train_y"]

    def on_target(seed: int) -> tuple[Views, Views]:
        judges = np.arange(len(test_x)) % FOLDS == seed % FOLDS
        return tuple(  # type: ignore[return-value]
            rows("image", "image", test_x[part], test_y[part], "mnist-m") for part in (~judges, judges)
        )

    source = rows("image", "image", x[~held_out], y[~held_out], "mnist")
    target = rows("image", "image", arrays["target_train_x"], None, "mnist-m")
    return Task(
        NAME,
        "mnist-m",
        joined(source, target),
        rows("image", "image", x[held_out], y[held_out], "mnist"),
        rows("image", "image", test_x, test_y, "mnist-m"),
        on_target,
    )
