"""bouba bench few-pairs: FewPairs against its candidates, cca-zoo and trained towers, over the number of pairs.

Captioned emoji of one style, read once by efficientnet-lite0 and multilingual-e5-small. A fifth of the concepts, the
same for every number of pairs, judges; the pairs are drawn from the others. recall@10 is the mean of both directions.

    few-pairs            chooses on its training pairs alone
    ... alone            the same with one family of candidates, whose setting is chosen likewise
    cca-zoo              its RidgeCCA (`pip install 'bouba[bench]'`; left out where it is missing)
    heads                CLIP on the same features: one linear layer a view, or one hidden layer, HEAD_EPOCHS passes
    clip                 CLIP from scratch as it comes, which sees pictures and letters and no features

The best single candidate is each alignment at a fixed setting, with or without hubness corrected, of which the one with
the largest mean over seeds on the very rows that judge is taken: no one could have known it. CPU-seconds are those of a
fit, its features at hand. HEAD_EPOCHS was chosen of 5, 10, 20, 60 and 200 on seed 1000, which is not reported; between
a SHRINKAGE of .1 and .99 cca-zoo differs there by half a point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import permutations
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP, FewPairs
from bouba.align.choosing import FAMILIES, Problem, joined
from bouba.align.encoded import Encoded
from bouba.align.things import Things
from bouba.bench.frozen_emoji import TOWERS, captioned_drawings
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import SECONDS, Runs, gain, mean, mean_cost, means, runs_of, seeds_note
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.evaluation import Record, Result
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.metrics import retrieval
from bouba.metrics.hubs import as_gallery, as_questions, csls_offsets
from bouba.metrics.similarity import unit_rows
from bouba.runs import methods
from bouba.towers import MLP

STYLE = "noto"
SIZES = (50, 100, 200, 400, 800, 1200)
HEAD_EPOCHS = 5
SHRINKAGE = 0.5
FEW_PAIRS = methods.FEW_PAIRS.name
SCRATCH = methods.CLIP.name
BEST = "best single candidate"
SINGLE = "single: "  # begins the name of a candidate at a fixed setting
ALONE = " alone"  # ends that of a family
RECALL = "recall@10"
Embedded = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Pairs:
    """The same rows twice: the cells themselves, and what frozen encoders give of them, (n, d) vectors."""

    cells: Views
    features: Views

    def __getitem__(self, rows: Any) -> Pairs:
        return Pairs(self.cells[rows], self.features[rows])

    def __len__(self) -> int:
        return len(self.cells)


def command(
    seeds: Annotated[int, typer.Option(help="Draws of the pairs and of the rows that judge.")] = 3,
    pairs: Annotated[
        list[int] | None, typer.Option(help=f"A number of pairs, and again; {', '.join(map(str, SIZES))}.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help=f"{FEW_PAIRS}, cca, {SCRATCH}, ..., and again; all.")] = None,
    out: Out = None,
) -> None:
    """recall@10 and CPU-seconds over the number of pairs."""
    fits = chosen_fits(method)
    sizes = tuple(pairs or SIZES)
    keeper = Keeper(out, lambda: fingerprint(captioned_drawings(STYLE)))
    result = keeper.records
    for seed in range(seeds):
        training, judged = drawn(seed)
        refuse_sizes(sizes, len(training))
        for n in sizes:
            present = {record.method for record in result.where(split=f"{n} pairs", seed=seed)}
            for name, fit in fits.items():
                if name not in present:
                    result = result + measured(name, fit, training[:n], judged, seed)
            if not any(name.startswith(SINGLE) for name in present):
                result = result + single_candidates(training[:n], judged, seed)
            keeper.write(result)
            line = ", ".join(f"{name} {recall(result, name, f'{n} pairs')[seed]:.1f}" for name in fits)
            typer.echo(f"seed {seed}, {n} pairs: {line}", err=True)
    print_tables(tables(result))


def drawn(seed: int) -> tuple[Pairs, Pairs]:
    """Pairs to draw from, in random order, and those that judge. Encoders learn from the first what they learn."""
    part = split(captioned_drawings(STYLE), {"train": 0.8, "test": 0.2}, random_state=seed)
    train, test = part["train"], part["test"]
    features: tuple[dict[str, np.ndarray], ...] = ({}, {})
    for view, kind in train.modalities.items():
        encoder = Encoded.of(view, TOWERS, kind, [train[view][row] for row in range(len(train))])
        for of, rows in zip(features, (train, test), strict=True):
            of[view] = encoder([rows[view][row] for row in range(len(rows))])
    first, judged = (Pairs(rows, Views(of, key=rows.key)) for rows, of in zip((train, test), features, strict=True))
    return first[np.random.default_rng(seed).permutation(len(first))], judged


Fit = Callable[[Pairs, int], Callable[[Pairs], tuple[Embedded, Embedded]]]
"""Pairs and a seed -> what embeds others: view -> (n, d), and view -> (n,) offsets of hubness, if any."""


def chosen_fits(names: list[str] | None) -> dict[str, Fit]:
    """Name -> fit, of all methods whose library is there, or of those that are named.

    Raises:
        UsageError: no such method.
    """
    fits: dict[str, Fit] = {FEW_PAIRS: few_pairs(None)}
    fits |= {f"{family}{ALONE}": few_pairs(family) for family in FAMILIES}
    if find_spec("cca_zoo") is not None:
        fits["cca-zoo"] = cca_zoo
    fits |= {"linear heads": heads(()), "mlp heads": heads((512,)), SCRATCH: scratch}
    for name in names or ():
        if name not in fits:
            raise UsageError(f"no method {name!r}{nearest(name, fits)}")
    return fits if names is None else {name: fits[name] for name in names}


def refuse_sizes(sizes: tuple[int, ...], most: int) -> None:
    """UsageError for a number of pairs that nobody can draw."""
    for n in sizes:
        if not 2 <= n <= most:
            raise UsageError(f"{n} pairs cannot be drawn; between 2 and {most:,} can")


def few_pairs(family: str | None) -> Fit:
    """FewPairs, of one family or of all."""

    def fit(training: Pairs, seed: int):
        model = FewPairs(candidates=None if family is None else [family], random_state=seed).fit(training.features)

        def embed(rows: Pairs) -> tuple[Embedded, Embedded]:
            z = model.embed(rows.features)
            return z, model.hub_offsets(z)

        return embed

    return fit


def heads(hidden: tuple[int, ...], epochs: int = HEAD_EPOCHS) -> Fit:
    """Heads on the features, trained by InfoNCE."""

    def fit(training: Pairs, seed: int):
        towers = dict.fromkeys(training.features.modalities, MLP(hidden=hidden))
        model = CLIP(towers, epochs=epochs, random_state=seed).fit(training.features)
        return lambda rows: (model.embed(rows.features), {})

    return fit


def scratch(training: Pairs, seed: int):
    """CLIP with its usual towers, on the cells."""
    model = CLIP(random_state=seed).fit(training.cells)
    return lambda rows: (model.embed(rows.cells), {})


def cca_zoo(training: Pairs, seed: int):
    """RidgeCCA of cca-zoo with as many variates as there can be, 256 at most, compared by cosine."""
    from cca_zoo.linear import RidgeCCA

    model = RidgeCCA(min(256, len(training) - 1), shrinkage=SHRINKAGE).fit(list(arrays(training)))

    def embed(rows: Pairs) -> tuple[Embedded, Embedded]:
        return dict(zip(TOWERS, model.transform(list(arrays(rows))), strict=True)), {}

    return embed


def arrays(rows: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Features of both views, (n, d) each."""
    first, second = (np.stack(list(rows.features[view])) for view in TOWERS)
    return first, second


def measured(name: str, fit: Fit, training: Pairs, judged: Pairs, seed: int) -> Result:
    """Fit once and judge."""
    started = time.process_time()
    embed = fit(training, seed)
    spent = time.process_time() - started
    values = [(direction, RECALL, value) for direction, value in recall_of(*embed(judged)).items()]
    return _records(name, [*values, ("", SECONDS, spent)], len(training), len(judged), seed)


def _records(name: str, values: Iterable[tuple[str, str, float]], pairs: int, n: int, seed: int) -> Result:
    """Of directions, metrics and their values."""
    split = f"{pairs} pairs"
    chance = {RECALL: min(1.0, 10 / n)}
    return Result([Record(name, split, STYLE, way, m, x, None, None, chance.get(m), n, seed) for way, m, x in values])


def recall_of(z: Embedded, offsets: Embedded) -> dict[str, float]:
    """Direction -> recall@10 of embeddings whose rows are pairs."""
    unit = {view: unit_rows(np.asarray(values, float)) for view, values in z.items()}
    found = {}
    for asked, view in permutations(unit, 2):
        questions = as_questions(unit[asked])
        gallery = as_gallery(unit[view], offsets.get(view, np.zeros(len(unit[view]))))
        key = np.arange(len(gallery))
        values = retrieval(questions, gallery, key, key, similarity="dot", ks=(10,))
        found[f"{asked}->{view}"] = float(values["recall@10"].mean())
    return found


def single_candidates(training: Pairs, judged: Pairs, seed: int) -> Result:
    """recall@10 of each alignment at a fixed setting, without and with hubness corrected, mean of both directions."""
    rows, cells = np.arange(len(training)), arrays(training)
    problem = Problem.of(*cells, rows, rows, Things(rows, rows), seed)
    result = Result([])
    for family, ways in FAMILIES.items():
        for way in ways:
            maps = dict(zip(TOWERS, joined(problem, [(family, way, 1.0)])[0], strict=True))
            known = {view: unit_rows(maps[view](values)) for view, values in zip(TOWERS, cells, strict=True)}
            z = {view: unit_rows(maps[view](values)) for view, values in zip(TOWERS, arrays(judged), strict=True)}
            others = dict(zip(TOWERS, reversed(TOWERS), strict=True))
            offsets = {view: csls_offsets(z[view], known[others[view]]) for view in z}
            for name, correction in (
                (f"{SINGLE}{family}, {way}", {}),
                (f"{SINGLE}{family}, {way}, corrected", offsets),
            ):
                value = ("both", RECALL, float(np.mean(list(recall_of(z, correction).values()))))
                result = result + _records(name, [value], len(training), len(judged), seed)
    return result


def recall(result: Result, method: str, split: str) -> Runs:
    """Seed -> percent, mean of both directions."""
    return runs_of(result, scale=100, method=method, split=split, metric=RECALL)


def tables(result: Result) -> dict[str, Table]:
    """ "recall": methods by numbers of pairs, and what FewPairs gains, by seed paired. "seconds": CPU time of a fit."""
    splits = list(dict.fromkeys(record.split for record in result))
    header = [f"{int(split.split()[0]):,} pairs" for split in splits]
    everything = list(dict.fromkeys(record.method for record in result))
    names = [name for name in everything if not name.startswith(SINGLE)]
    runs = {split: {name: recall(result, name, split) for name in everything} for split in splits}
    best = {split: best_of(runs[split], [name for name in everything if name.startswith(SINGLE)]) for split in splits}
    cells = [means({name: runs[split][name] for name in names}) for split in splits]
    lines = [[name, *(column[name] for column in cells)] for name in names]
    lines.append([BEST, *(mean(runs[split][best[split]]) for split in splits)])
    if FEW_PAIRS in names:
        rivals = {BEST: best, **{name: dict.fromkeys(splits, name) for name in ("cca-zoo", SCRATCH) if name in names}}
        families = [name for name in names if name.endswith(ALONE)]
        if families:
            rivals = {"best family alone": {split: best_of(runs[split], families) for split in splits}} | rivals
        for rival, which in rivals.items():
            gains = [gain(runs[split][FEW_PAIRS], runs[split][which[split]]) for split in splits]
            lines.append([f"{FEW_PAIRS} less {rival}", *gains])
    spent = [
        [name, *(mean_cost(runs_of(result, method=name, split=split, metric=SECONDS)) for split in splits)]
        for name in names
    ]
    first = next(iter(result))
    note = (
        f"{seeds_note(result)} Mean of both directions among {first.n} new drawings; by chance "
        f"{100 * (first.chance or 0):.1f}. Best family and {BEST} are those that did best on these very rows. "
        f"The {BEST}: {'; '.join(f'{split} {best[split].removeprefix(SINGLE)}' for split in splits)}."
    )
    return {
        "recall": Table(["recall@10, percent", *header], lines, note=note),
        "seconds": Table(["CPU-s of a fit", *header], spent, note="Features at hand; means over seeds, one thread."),
    }


def best_of(runs: Mapping[str, Runs], names: Iterable[str]) -> str:
    """The one with the highest mean over seeds."""
    return max(names, key=lambda name: float(np.mean(list(runs[name].values()))))
