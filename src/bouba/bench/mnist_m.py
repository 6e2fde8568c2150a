"""bouba bench mnist-m: digits learnt in black and white, read in colour.

10,000 labelled digits of MNIST, of which a tenth judges the source; 10,000 digits of MNIST-M without labels, each drawn
over a patch of a photograph (Ganin et al. 2016: the difference of both, channel by channel). Judged on 10,000 other
digits of MNIST-M. They are MNIST's own test digits, whose labels therefore must not choose anything: weights and the
criterion for choosing without labels come from the rehearsal of `bouba bench usps`. One run, with seed 0 and a quarter
of the epochs, takes a method by that criterion; runs of other seeds are reported. No label of the target's training
digits is in the file; "trained on the target" learns from four fifths of its test digits, the last fifth judges.

Looks: "recoloured" gives half of the pictures two random colours in place of black and white; "blended" mixes up to 45%
of another picture of the batch into each, of the source, and of the target where the method reads it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench import adaptation
from bouba.bench.adaptation import Figures, Task, Trainer, joined, read_arrays, rows, runs_in
from bouba.bench.adaptation_tables import choose_and_measure, task_tables
from bouba.bench.kept import print_tables
from bouba.data.augment import Augment
from bouba.data.views import Views
from bouba.evaluation.table import Table
from bouba.towers import ConvNet

FILES = ("mnist_m.npz",)
EPOCHS = 8
FOLDS = 5
RECOLOURED = Augment((1.0, 1.0), 0.0, 0.0, 0.0, flip=0.0, color=0.0, recolor=0.5, border="edge")
BLENDED = replace(RECOLOURED, blend=0.45)
PLAIN = ConvNet(size=28, channels=12, augment=None)
LOOKS: dict[str, Any] = {
    "recoloured": replace(PLAIN, augment=RECOLOURED),
    "recoloured, blended": replace(PLAIN, augment=BLENDED),
}
METHODS = adaptation.compared_methods(PLAIN, LOOKS, ("DANN",))
NAME = "MNIST -> MNIST-M"


def command(
    data: Annotated[Path, typer.Option(help="Folder with mnist_m.npz.")] = Path("../shared/data"),
    seeds: Annotated[int, typer.Option(help="Runs that are reported, after the one that chooses.")] = 3,
    epochs: Annotated[
        int, typer.Option(help="Passes over the source; a quarter of them where methods are chosen.")
    ] = EPOCHS,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file, continued where it exists.")] = None,
) -> None:
    """Accuracy on coloured digits, of every way to adapt."""
    trainer = Trainer(out, [data / name for name in FILES])
    choose_and_measure(trainer, task(data), METHODS, seeds, epochs)
    trainer.keeper.write(trainer.figures)
    print_tables(tables(trainer.figures))


def tables(figures: Figures) -> dict[str, Table]:
    """ "methods", "criteria" and "measured"."""
    return task_tables(runs_in(figures), NAME)


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
