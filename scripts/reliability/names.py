"""Hostile names of columns, labels, keys and views, from a table to a search with a filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import bouba
from bouba.errors import BoubaError
from bouba.search import Index
from scripts.reliability.experiment import Experiment

PIECES = [
    "'",
    '"',
    "--",
    ";",
    "%",
    "_",
    ".",
    "`",
    "\\",
    "/",
    "<b>",
    "&amp;",
    "${x}",
    "{}",
    "猫",
    "e\u0301",
    "\u202e",
    " ",
]
PIECES += [
    "\n",
    "\t",
    "select",
    "OR 1=1",
    "x" * 300,
    "0",
    "-1",
    "*",
    "[a]",
    "#",
    "=1+1",
    "None",
    "row",
    "view",
    "vector",
]


def trial(seed: int, folder: Path) -> str | None:
    """A name is a label, a value that is filtered by, the column of both, and a view."""
    random = np.random.default_rng(seed)
    count, view, column = 12, "a", "name"
    names = ["".join(random.choice(PIECES, int(random.integers(1, 5)))) + str(number) for number in range(count)]
    if seed % 3 == 1:
        view = names[0]
    if seed % 3 == 2:
        column = names[0]
    left = random.normal(size=(count, 4))
    label = np.array(names, dtype=object)
    try:
        views = bouba.Views({view: left, "b": left[:, :3]}, y={column: label}, key=label)
        bouba.CCA(n_components=2).fit(views).save(folder / "model")
        model = bouba.load(folder / "model")
        z = model.embed(views)
        Index.create(folder / "index", {name: np.asarray(x) for name, x in z.items()}, columns={column: names})
        index = Index.open(folder / "index")
        for row in random.integers(0, count, 3):
            hits = index.search(np.ones(index.dim), k=50, view=view, equals={index.columns[0]: names[row]})
            if [hit.row for hit in hits] != [row]:
                return f"the filter {names[row]!r} finds rows {[hit.row for hit in hits]}, not {row}"
    except BoubaError as error:
        return f"{column!r}, {view!r}: {' '.join(str(error).split())[:150]}"
    return None


NAMES = Experiment(
    "names",
    "labels, keys, views and columns of quotes, separators, SQL, HTML, control letters: fit, save, load, index",
    "a search that filters by the name finds exactly its row",
    trial,
    trials=200,
    few=10,
    seconds=60,
    clock=30,
)
