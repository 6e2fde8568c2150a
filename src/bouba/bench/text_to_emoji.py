"""bouba bench text-to-emoji: drawings from names nobody drew in training, and drawings redrawn in another style.

A fifth of the concepts is held out, always with the common words of the grid among them. Every translator sees the
names (or, with --from, the drawings of one style) and the drawings (--to) of the others, and draws the held-out ones.
All but the nearest neighbour give principal components, measured on the training drawings, and are judged beside
drawings with all their pixels.

They are judged in the space of an aligner of names and drawings that was trained apart, on all concepts in all four
styles: it knows what it judges, and no translator has seen it.

    R-precision@10  is the true drawing among the 10 held-out ones most like the one made? Chance is 10 / rows.
    Frechet         distance of what was made from the true drawings, times 1000; beside that of training drawings.
    diversity       mean distance of two drawings for one name, as a share of that of two true drawings.
    novelty         distance to the nearest training drawing, as a share of that of true held-out drawings; 0 is a copy.

Names that were never seen ask for knowledge of words: --text takes a pretrained sentence encoder. Without it n-grams
only recognise words that other names have too.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import SECONDS, mean, mean_cost, means, runs_of, seeds_note
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.evaluation import Result, evaluate_translations
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table
from bouba.persist import load
from bouba.runs import methods
from bouba.towers import ConvNet, EncoderSpec, NGrams, Pretrained, ResNet
from bouba.transfer import ConditionalGAN, FlowTranslator, NearestTranslator, RegressionTranslator, Translator

REGRESSION, GAN, FLOW = (method.name for method in (methods.REGRESSION, methods.GAN, methods.FLOW))
SIDE, DRAWS = 32, 3
COMPONENTS = 128  # numbers for the 3072 of a drawing's pixels; the judge finds 99 of 100 drawings by them
SOURCE, TARGET = "source", "image"  # as the judge calls drawings
METRICS = ("r_precision@10", "frechet_distance", "diversity", "novelty")
SHOWN = {"r_precision@10": 100.0, "frechet_distance": 1000.0}  # percent, thousandths
METHODS: dict[str, tuple[type[Translator], dict[str, Any]]] = {
    "nearest": (NearestTranslator, {}),
    REGRESSION: (RegressionTranslator, {"hidden": 512, "depth": 3, "epochs": 30, "batch_size": 64}),
    GAN: (
        ConditionalGAN,
        {"hidden": 512, "depth": 3, "epochs": 60, "batch_size": 64, "pull": 1.0, "mismatched": True}
        | {"instance_noise": 1.0},
    ),
    FLOW: (
        FlowTranslator,
        {"hidden": 384, "epochs": 200, "batch_size": 128, "steps": 6, "guidance": 2.0, "jitter": 1.0},
    ),
}
JUDGE_EPOCHS = 8
WORDS = (
    "red heart",
    "grinning face",
    "cat face",
    "red apple",
    "sun",
    "pizza",
    "house",
    "rose",
    "basketball",
    "automobile",
    "blue book",
    "man",
)


def command(
    to: Annotated[str, typer.Option("--to", help="The style to draw in: noto, twemoji, fluent or openmoji.")] = "noto",
    source: Annotated[str | None, typer.Option("--from", help="A style to redraw; names are drawn without.")] = None,
    text: Annotated[Path | None, typer.Option(help="Directory of a sentence encoder; n-grams without.")] = None,
    method: Annotated[list[str] | None, typer.Option(help=f"{', '.join(METHODS)}, and again; all.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs, each with its own held-out concepts.")] = 1,
    effort: Annotated[float, typer.Option(help="Epochs of every method, as a share of the usual.")] = 1.0,
    judge: Annotated[Path | None, typer.Option(help="Folder of the judge: written once, then read.")] = None,
    grid: Annotated[
        Path | None, typer.Option(help="Draw common words into this PNG, by all methods that are trained on seed 0.")
    ] = None,
    out: Out = None,
) -> None:
    """R-precision, Frechet distance, diversity and novelty of every translator on held-out concepts."""
    chosen = method or list(METHODS)
    for name in chosen:
        if name not in METHODS:
            raise UsageError(f"no method {name!r}{nearest(name, METHODS)}")
    keeper = Keeper(out, lambda: fingerprint(samples.emoji()))
    result = keeper.records
    judging = aligner(max(1, round(JUDGE_EPOCHS * effort)), judge)
    for seed in range(seeds):
        train, test = cut(pairs(source, to), seed)
        made: dict[str, np.ndarray] = {}
        for name in (name for name in chosen if not result.where(method=name, seed=seed)):
            started = time.process_time()
            model = fitted(name, train, text, seed, effort)
            made[name] = model.translate(test.select(SOURCE), DRAWS, random_state=seed)
            spent = time.process_time() - started
            options: dict[str, Any] = {"training": train, "made": made[name], "method": name, "by_domain": False}
            records = list(evaluate_translations(model, test, judge=judging, seed=seed, **options))
            cost = replace(records[0], metric=SECONDS, value=spent, low=None, high=None, chance=None)
            result = result + Result([*records, cost])
            keeper.write(result)
            sys.stderr.write(f"seed {seed} {name}: {spent:.0f} CPU-s\n")
            if grid is not None and seed == 0:
                save_grid(grid, test, model.truth(test), made)
    print_tables(tables(result))


def aligner(epochs: int, folder: Path | None = None) -> CLIP:
    """The judge: names and drawings of all concepts in all styles in one space. It is the same for every seed, and read
    from the folder where there is one."""
    if folder is not None and folder.exists():
        return load(folder)
    towers = {"image": ResNet(size=SIDE, channels=16, crop=True), "en": NGrams()}
    model = CLIP(towers, dim=64, epochs=epochs, batch_size=256).fit(samples.emoji())
    if folder is not None:
        model.save(folder)
    return model


def pairs(source: str | None, to: str) -> Views:
    """One row a concept: its drawing in style `to`, beside its name and keywords or its drawing in another style."""
    drawn = samples.emoji(styles=to)
    if source is None:
        described = drawn["en"]
    else:
        other = samples.emoji(styles=source)
        place = {key: row for row, key in enumerate(other.things.tolist())}
        described = other["image"].take([place[key] for key in drawn.things.tolist()])
    cells = {SOURCE: described, TARGET: drawn["image"]}
    return Views(cells, key=drawn.key, group=drawn.group, meta={"name": drawn.meta["name_en"]})


def cut(views: Views, seed: int) -> tuple[Views, Views]:
    """Four fifths to train on and a fifth that is held out, WORDS and their variants always being there."""
    held_out = set(split(views, {"train": 0.8, "test": 0.2}, random_state=seed)["test"].rows.tolist())
    group = np.asarray(views.group)
    of_grid = np.isin(group, group[np.isin(views.meta["name"].astype(str), WORDS)])
    test = of_grid | np.isin(views.rows, list(held_out))
    return views[~test], views[test]


def fitted(name: str, train: Views, text: Path | None, seed: int, effort: float) -> Translator:
    """One of METHODS."""
    few = None if name == "nearest" else COMPONENTS  # what copies has no need of them
    drawing = ConvNet(size=SIDE, channels=1, crop=True, augment=None, thumbnail=SIDE, components=few)
    reader: EncoderSpec = drawing
    if train.modalities[SOURCE] == "text":
        reader = NGrams(drop=0.3) if text is None else Pretrained(str(text))
    translator, settings = METHODS[name]
    settings = settings | ({"epochs": max(1, round(settings["epochs"] * effort))} if "epochs" in settings else {})
    towers = {SOURCE: reader, TARGET: drawing}
    settings = settings | {"raw": not isinstance(reader, NGrams)}  # n-grams are learnt, all else is read as it is
    return translator(SOURCE, TARGET, towers=towers, random_state=seed, **settings).fit(train)


def save_grid(path: Path, test: Views, truth: np.ndarray, made: dict[str, np.ndarray], *, larger: int = 2) -> None:
    """A PNG: one column a word, the true drawing on top, then the first two draws of each method from top to bottom."""
    from PIL import Image

    place = {name: row for row, name in enumerate(test.meta["name"].tolist())}
    columns = [place[word] for word in WORDS if word in place]
    lines = [truth[columns], *(drawn[columns, draw] for drawn in made.values() for draw in range(2))]
    picture = Image.fromarray(np.concatenate([np.concatenate(list(line), 1) for line in lines], 0))
    picture.resize((larger * picture.width, larger * picture.height), Image.Resampling.NEAREST).save(path, "PNG")


def tables(result: Result) -> dict[str, Table]:
    """ "methods": METRICS of each, the best standing out of those that have a best, and what it costs."""
    names = list(dict.fromkeys(record.method for record in result))
    columns = [_cells(result, names, metric) for metric in METRICS]
    spent = {name: mean_cost(runs_of(result, method=name, metric=SECONDS)) for name in names}
    lines = [[name, *(cells[name] for cells in columns), spent[name]] for name in names]
    first = next(iter(result))
    rows = "over concepts" if len({record.seed for record in result}) < 2 else "over seeds"
    note = (
        f"{seeds_note(result)} About {first.n} held-out concepts, {DRAWS} draws each; intervals are {rows}. By chance "
        f"R-precision is {_chance(result, METRICS[0]):.1f}; real drawings of other concepts have a Frechet distance of "
        f"{_chance(result, METRICS[1]):.1f}. Novelty 0 is a copy. Settings were chosen on seed 0."
    )
    header = ["method", "R-precision@10, percent", "Frechet x 1000", "diversity", "novelty", "CPU-s"]
    return {"methods": Table(header, lines, note=note)}


def _cells(result: Result, names: list[str], metric: str) -> dict[str, str]:
    """Method -> mean over seeds with its interval, or the one number with its own."""
    scale, digits = SHOWN.get(metric, 1.0), 1 if metric in SHOWN else 2
    runs = {name: runs_of(result, scale=scale, method=name, metric=metric) for name in names}
    if any(len(of) > 1 for of in runs.values()):
        ranked = metric in SHOWN
        return (
            means(runs, digits, lowest=metric == METRICS[1]) if ranked else {n: mean(of, 2) for n, of in runs.items()}
        )
    cells = {}
    for name in names:
        [record] = result.where(method=name, metric=metric) or [None]
        cells[name] = "-" if record is None else f"{scale * record.value:.{digits}f}"
        if record is not None and record.low is not None and record.high is not None:
            cells[name] += f" [{scale * record.low:.{digits}f}, {scale * record.high:.{digits}f}]"
    return cells


def _chance(result: Result, metric: str) -> float:
    return SHOWN[metric] * float(np.mean([r.chance for r in result.where(metric=metric) if r.chance is not None]))
