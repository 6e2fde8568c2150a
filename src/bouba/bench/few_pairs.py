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

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP, FewPairs
from bouba.align.choosing import FAMILIES, Problem, joined
from bouba.align.encoded import Encoded
from bouba.bench.frozen_emoji import TOWERS
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.evaluation import environment
from bouba.evaluation.table import text_table, with_interval
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


@dataclass
class Figures:
    """Of one method and one number of pairs, a value a seed: recall@10 by direction, and CPU-seconds of a fit."""

    recall: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def means(self) -> np.ndarray:
        """(seeds,) percent, over both directions."""
        return 100 * np.mean(list(self.recall.values()), axis=0)

    def add(self, recall: Mapping[str, float]) -> None:
        for direction, value in recall.items():
            self.recall.setdefault(direction, []).append(value)


def command(
    seeds: Annotated[int, typer.Option(help="Draws of the pairs and of the rows that judge.")] = 3,
    pairs: Annotated[
        list[int] | None, typer.Option(help=f"A number of pairs, and again; {', '.join(map(str, SIZES))}.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help=f"{FEW_PAIRS}, cca, {SCRATCH}, ..., and again; all.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")] = None,
) -> None:
    """recall@10 and CPU-seconds over the number of pairs."""
    fits = chosen_fits(method)
    sizes = tuple(pairs or SIZES)
    figures: dict[int, dict[str, Figures]] = {n: {} for n in sizes}
    singles: dict[int, dict[str, Figures]] = {n: {} for n in sizes}
    for seed in range(seeds):
        training, judged = drawn(seed)
        refuse_sizes(sizes, len(training))
        for n in sizes:
            for name, fit in fits.items():
                measure(figures[n].setdefault(name, Figures()), fit, training[:n], judged, seed)
            for name, recall in single_candidates(training[:n], judged, seed):
                singles[n].setdefault(name, Figures()).add(recall)
            line = ", ".join(f"{name} {of.means[-1]:.1f}" for name, of in figures[n].items())
            typer.echo(f"seed {seed}, {n} pairs: {line}", err=True)
    best = {n: max(of.items(), key=lambda item: item[1].means.mean()) for n, of in singles.items()}
    typer.echo(page(figures, best))
    if out is not None:
        out.write_text(json.dumps(as_json(figures, singles, best), indent=1), encoding="utf-8")


def drawn(seed: int) -> tuple[Pairs, Pairs]:
    """Pairs to draw from, in random order, and those that judge. Encoders learn from the first what they learn."""
    views = samples.emoji()
    part = split(views[views.domain == STYLE].select(*TOWERS), {"train": 0.8, "test": 0.2}, random_state=seed)
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
    fits |= {f"{family} alone": few_pairs(family) for family in FAMILIES}
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


def measure(figures: Figures, fit: Fit, training: Pairs, judged: Pairs, seed: int) -> None:
    """Fit once and judge."""
    started = time.process_time()
    embed = fit(training, seed)
    figures.seconds.append(time.process_time() - started)
    figures.add(recall_of(*embed(judged)))


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


def single_candidates(training: Pairs, judged: Pairs, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Name of each alignment at a fixed setting, without and with hubness corrected, and its recall@10."""
    rows, cells = np.arange(len(training)), arrays(training)
    problem = Problem.of(*cells, rows, rows, rows, seed)
    for family, ways in FAMILIES.items():
        for way in ways:
            maps = dict(zip(TOWERS, joined(problem, [(family, way, 1.0)])[0], strict=True))
            known = {view: unit_rows(maps[view](values)) for view, values in zip(TOWERS, cells, strict=True)}
            z = {view: unit_rows(maps[view](values)) for view, values in zip(TOWERS, arrays(judged), strict=True)}
            others = dict(zip(TOWERS, reversed(TOWERS), strict=True))
            offsets = {view: csls_offsets(z[view], known[others[view]]) for view in z}
            yield f"{family}, {way}", recall_of(z, {})
            yield f"{family}, {way}, corrected", recall_of(z, offsets)


def page(figures: Mapping[int, Mapping[str, Figures]], best: Mapping[int, tuple[str, Figures]]) -> str:
    """Two tables, recall and seconds, and FewPairs less the best single candidate."""
    sizes = list(figures)
    names = list(figures[sizes[0]])
    header = ["recall@10, percent", *(f"{n:,} pairs" for n in sizes)]
    lines = [[name, *(with_interval(figures[n][name].means) for n in sizes)] for name in names]
    lines.append([BEST, *(with_interval(best[n][1].means) for n in sizes)])
    if FEW_PAIRS in names:
        gains = [with_interval(figures[n][FEW_PAIRS].means - best[n][1].means) for n in sizes]
        lines.append([f"{FEW_PAIRS} less that", *gains])
    spent = [[name, *(f"{np.mean(figures[n][name].seconds):.2f}" for n in sizes)] for name in names]
    seconds = text_table(["CPU-s of a fit", *header[1:]], spent, labels=1)
    which = "\n".join(f"  {n:,} pairs: {best[n][0]}" for n in sizes)
    note = f"Mean of both directions [95% interval over seeds, Student t]. The {BEST}, chosen by these very figures:"
    return f"{text_table(header, lines, labels=1)}\n\n{seconds}\n\n{note}\n{which}"


def as_json(figures, singles, best) -> dict[str, Any]:
    """All figures, seed by seed."""
    return {
        "pairs": {n: {name: asdict(each) for name, each in of.items()} for n, of in figures.items()},
        "single_candidates": {n: {name: each.recall for name, each in of.items()} for n, of in singles.items()},
        "best_single_candidate": {n: name for n, (name, _) in best.items()},
        "environment": environment(0),
    }
