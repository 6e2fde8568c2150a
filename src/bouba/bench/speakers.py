"""bouba bench speakers: spoken digits, understood from a voice whose recordings nobody labelled.

Free Spoken Digit Dataset: six speakers, 500 recordings each. Each speaker in turn is the target; the five others are
the source, one domain. Recordings 0 to 4 of each speaker and digit are the test, as the data set says: 450 recordings
of the target are seen without labels, 50 judge. Weights of the mix are those of the rehearsal of `bouba bench usps`,
and so is the criterion that takes a method for each speaker without labels.

Look: "masked" hides bands and stretches of time, crops and changes loudness in training (SpecAugment).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench import adaptation
from bouba.bench.adaptation import Figures, Task, Trainer, joined, read_arrays, rows, runs_in
from bouba.bench.adaptation_tables import several_tables
from bouba.bench.kept import print_tables
from bouba.data.views import Views
from bouba.evaluation.table import Table
from bouba.towers import CRNN

FILES = ("fsdd_8khz.npz",)
EPOCHS = 10
PLAIN = CRNN(rate=8000, seconds=1.0, mels=32, channels=8, width=32, augment=None)
LOOKS: dict[str, Any] = {"masked": CRNN(rate=8000, seconds=1.0, mels=32, channels=8, width=32)}
METHODS = adaptation.compared_methods(PLAIN, LOOKS, ())
del METHODS[adaptation.ON_TARGET]


def command(
    data: Annotated[Path, typer.Option(help="Folder with fsdd_8khz.npz.")] = Path("../shared/data"),
    seeds: Annotated[int, typer.Option(help="Training runs for each speaker.")] = 1,
    epochs: Annotated[int, typer.Option(help="Passes over the source.")] = EPOCHS,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file, continued where it exists.")] = None,
) -> None:
    """Accuracy on each speaker's digits, of every way to adapt to a voice without labels."""
    trainer = Trainer(out, [data / name for name in FILES])
    for seed in range(seeds):
        for task in tasks(data):
            trainer.train(task, METHODS, METHODS, seed, epochs)
    trainer.keeper.write(trainer.figures)
    print_tables(tables(trainer.figures))


def tables(figures: Figures) -> dict[str, Table]:
    """ "measured" and "criteria"."""
    return several_tables(runs_in(figures))


def tasks(folder: Path) -> list[Task]:
    """Each speaker as the target of all others.

    Raises:
        DataError: no fsdd_8khz.npz in the folder.
    """
    spoken = read_arrays(folder / "fsdd_8khz.npz", ("wave", "offset", "label", "speaker", "index"))
    sounds = [(spoken["wave"][start:stop], 8000) for start, stop in pairwise(spoken["offset"])]
    is_test = spoken["index"] < 5

    def part(of: np.ndarray, domain: str) -> Views:
        return rows("sound", "audio", [sounds[i] for i in np.flatnonzero(of)], spoken["label"][of], domain)

    def task(speaker: str) -> Task:
        theirs = spoken["speaker"] == speaker
        train, test = part(theirs & ~is_test, speaker), part(theirs & is_test, speaker)
        source = part(~theirs & ~is_test, "others")
        return Task(
            speaker,
            speaker,
            joined(source, train),
            part(~theirs & is_test, "others"),
            test,
            lambda seed: (train, test),
        )

    return [task(str(speaker)) for speaker in np.unique(spoken["speaker"])]
