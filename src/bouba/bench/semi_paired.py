"""bouba bench semi-paired: what cells without a partner are worth, beside a few pairs and without any.

With pairs: Noto drawings and their English captions as frozen encoders see them; a fifth of the concepts is held out
for the test, some of the others are pairs, and of the rest both cells are there in rows of their own, shuffled.
FewPairs with self-learning reads all of these, the other methods the pairs. Settings were chosen on OpenMoji drawings
with Chinese captions.

Without any pair: points on a tree with three arms of unequal length, seen through two maps into 1,000 and 2,000
columns with noise, or two arrays of your own (--data). SCOT is its published recipe: 50 nearest neighbours (a fifth of
the rows at most) by correlation, steps over that graph, entropic Gromov-Wasserstein through POT with 0.001, every cell
at the mean of those it goes to. FOSCTTM, lower is better; 0.5 is chance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CCA, FewPairs, GromovWasserstein
from bouba.bench.frozen_emoji import captioned_drawings, frozen_emoji
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import gain, means, runs_of, seeds_note
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import DataError, require
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.metrics import foscttm, retrieval, summarise
from bouba.metrics.hubs import as_gallery, as_questions

ROUNDS = 2
RECALL, FAR = "recall@10", "foscttm"
METHODS: dict[str, Callable[[], Any]] = {
    "CCA, ridge 0.5": lambda: CCA(ridge=0.5),
    "CCA, ridge 0.9": lambda: CCA(ridge=0.9),
    "FewPairs": FewPairs,
    "FewPairs + single cells": lambda: FewPairs(self_learning=ROUNDS),
}
TOGETHER = "FewPairs + single cells"
SCOT_NEIGHBOURS, SCOT_EPSILON = 50, 1e-3


def command(
    pairs: Annotated[int, typer.Option(help="Pairs that are known; the rest is unpaired.")] = 200,
    seeds: Annotated[int, typer.Option(help="Cuts, and drawn trees.")] = 3,
    rows: Annotated[int, typer.Option(help="Points of each tree, or rows of --data.")] = 200,
    data: Annotated[Path | None, typer.Option(help="An .npz file of two arrays (n, d), row by row the same.")] = None,
    out: Out = None,
) -> None:
    """Recall@10 with a few pairs and many single cells, and FOSCTTM without a pair."""
    keeper = Keeper(out, lambda: fingerprint(data or captioned_drawings()))
    result = keeper.records
    for seed in range(seeds):
        if not data and not result.where(metric=RECALL, seed=seed):
            result = result + with_pairs(frozen_emoji(), pairs, seed)
        if not result.where(metric=FAR, seed=seed):
            a, b = drawn(data, rows, seed) if data else tree(rows, seed)
            result = result + without_pairs(a, b, data.stem if data else "trees", seed)
        keeper.write(result)
        sys.stderr.write(f"seed {seed} is done\n")
    print_tables(tables(result))


def with_pairs(views: Views, pairs: int, seed: int) -> Result:
    """recall@10 of held-out pairs in percent by method, hubness corrected where the method does."""
    parts = split(views, {"train": 0.8, "test": 0.2}, random_state=seed)
    test, training = parts["test"], parts["train"]
    training = training[np.random.default_rng(seed).permutation(len(training))].replace(key=None, group=None)
    records = []
    for name, make in METHODS.items():
        taught = single_cells(training, pairs, seed) if name == TOGETHER else training[np.arange(pairs)]
        value = recall_at_10(make().fit(taught), test)
        chance, n = 1000 / len(test), len(test)
        records.append(Record(name, f"{pairs} pairs", "noto", "both", RECALL, value, None, None, chance, n, seed))
    return Result(records)


def single_cells(views: Views, pairs: int, seed: int) -> Views:
    """The first rows as they are; of each other row the two cells in rows of their own, shuffled."""
    (a, x), (b, y) = views.columns.items()
    rest = np.arange(pairs, len(views))
    rows = {a: np.r_[:pairs, rest, rest], b: np.r_[:pairs, rest, np.random.default_rng(seed).permutation(rest)]}
    gone = {a: np.r_[np.zeros(len(views), bool), np.ones(len(rest), bool)]}
    gone[b] = np.r_[np.zeros(pairs, bool), np.ones(len(rest), bool), np.zeros(len(rest), bool)]
    return Views({name: column.take(rows[name]).without(gone[name]) for name, column in ((a, x), (b, y))})


def recall_at_10(model: Any, test: Views) -> float:
    """Percent of rows whose partner is among the ten best, mean of both directions."""
    z = {name: e / np.linalg.norm(e, axis=1, keepdims=True) for name, e in model.embed(test).items()}
    offsets = {name: model.hub_offsets(z).get(name, np.zeros(len(test))) for name in z}
    row, (a, b) = np.arange(len(test)), z
    found = [
        retrieval(as_questions(z[q]), as_gallery(z[g], offsets[g]), row, row, similarity="dot", ks=(10,))
        for q, g in ((a, b), (b, a))
    ]
    return 100 * float(np.mean([summarise(each)["recall@10"] for each in found]))


def without_pairs(a: np.ndarray, b: np.ndarray, name: str, seed: int) -> Result:
    """FOSCTTM by method on two clouds (n, d), row by row the same."""
    shuffled = np.random.default_rng(seed).permutation(len(b))
    model = GromovWasserstein(cells=len(a), random_state=seed).fit([a, b[shuffled]])
    embedded = {"SCOT": scot(a, b), "GromovWasserstein": tuple(model.embed([a, b]).values())}
    far = {method: foscttm(*z) for method, z in embedded.items()}
    return Result([Record(m, "no pair", name, "both", FAR, x, None, None, 0.5, len(a), seed) for m, x in far.items()])


def scot(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both clouds in the space of b, as SCOT lays them: rows of length one, see the head of this file."""
    from scipy.sparse.csgraph import shortest_path
    from sklearn.neighbors import kneighbors_graph
    from sklearn.preprocessing import normalize

    ot = require("ot", "transport")
    clouds, ways = [normalize(a), normalize(b)], []
    for cloud in clouds:
        k = min(SCOT_NEIGHBOURS, len(cloud) // 5)
        graph = kneighbors_graph(cloud, k, mode="connectivity", metric="correlation", include_self=True)
        steps = shortest_path(graph, directed=False)
        longest = steps[np.isfinite(steps)].max()
        ways.append(np.where(np.isfinite(steps), steps, longest) / longest)
    p, q = ot.unif(len(a)), ot.unif(len(b))
    with np.errstate(all="ignore"):
        plan = ot.gromov.entropic_gromov_wasserstein(*ways, p, q, "square_loss", epsilon=SCOT_EPSILON, warn=False)
    return plan @ clouds[1] / np.maximum(plan.sum(1, keepdims=True), np.finfo(float).tiny), clouds[1]


def tree(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on three arms of unequal lengths and shares, in 1,000 and 2,000 columns."""
    random = np.random.default_rng(seed)
    arm = random.choice(3, rows, p=[0.2, 0.3, 0.5])
    along, angle = random.random(rows) * np.array([1.0, 2.0, 3.5])[arm], np.array([0.0, 2.1, 4.2])[arm]
    latent = np.c_[along * np.cos(angle), along * np.sin(angle)] + 0.05 * random.normal(size=(rows, 2))
    bent = np.c_[latent, (latent**2).sum(1) / 4]
    a, b = np.tanh(latent @ random.normal(size=(2, 1000)) / 3), bent @ random.normal(size=(3, 2000))
    return a + 0.1 * random.normal(size=a.shape), b + 0.1 * random.normal(size=b.shape)


def drawn(path: Path, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of the two arrays of a file, each as (rows, d).

    Raises:
        DataError: no such file, or not two arrays of the same rows.
    """
    try:
        arrays = dict(np.load(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no .npz file ({error})") from error
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(arrays) != 2 or len({shape[0] for shape in shapes.values()}) != 1:
        raise DataError(f"{path} shall hold two arrays of the same rows, it has {shapes}; save two with np.savez")
    a, b = (array.reshape(len(array), -1).astype(float) for array in arrays.values())
    chosen = np.random.default_rng(seed).permutation(len(a))[:rows]
    return a[chosen], b[chosen]


def tables(result: Result) -> dict[str, Table]:
    """ "pairs": recall@10 with some pairs, left out where it was not measured. "no pair": FOSCTTM without any."""
    found = {}
    if recall := result.where(metric=RECALL):
        first = next(iter(recall))
        runs = {name: runs_of(recall, method=name) for name in METHODS}
        cells = means(runs)
        lines = [[m, cells[m], "" if m == TOGETHER else gain(runs[TOGETHER], runs[m])] for m in METHODS]
        note = (
            f"{seeds_note(recall)} {first.split} of drawings and captions, the rest unpaired; mean of both directions "
            f"among {first.n} new drawings, by chance {first.chance or 0:.1f}. Settings were chosen on another "
            "style and language."
        )
        found["pairs"] = Table(["recall@10, percent", "of held-out pairs", "single cells add"], lines, note=note)
    far = result.where(metric=FAR)
    first = next(iter(far))
    runs = {name: runs_of(far, method=name) for name in dict.fromkeys(record.method for record in far)}
    cells = means(runs, 3, lowest=True)
    note = f"{seeds_note(far)} {first.n} points of each view, no pair is known; lower is better, by chance 0.5."
    header = [f"FOSCTTM, {first.domain}", "mean", "lowest seed", "highest seed"]
    lines = [[m, cells[m], *(f"{end(of.values()):.3f}" for end in (min, max))] for m, of in runs.items()]
    return found | {"no pair": Table(header, lines, note=note)}
