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
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.align import CLIP
from bouba.data import samples
from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import UsageError, nearest
from bouba.evaluation import Result, evaluate_translations
from bouba.evaluation.environment import environment
from bouba.evaluation.table import text_table, with_interval
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
    grid: Annotated[Path | None, typer.Option(help="Draw common words by all methods into this PNG.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """R-precision, Frechet distance, diversity and novelty of every translator on held-out concepts."""
    chosen = method or list(METHODS)
    for name in chosen:
        if name not in METHODS:
            raise UsageError(f"no method {name!r}{nearest(name, METHODS)}")
    judging = aligner(max(1, round(JUDGE_EPOCHS * effort)), judge)
    result = Result([], environment(0))
    for seed in range(seeds):
        train, test = cut(pairs(source, to), seed)
        made: dict[str, np.ndarray] = {}
        for name in chosen:
            started = time.process_time()
            model = fitted(name, train, text, seed, effort)
            made[name] = model.translate(test.select(SOURCE), DRAWS, random_state=seed)
            options: dict[str, Any] = {"training": train, "made": made[name], "method": name, "by_domain": False}
            result = result + evaluate_translations(model, test, judge=judging, seed=seed, **options)
            sys.stderr.write(f"seed {seed} {name}: {time.process_time() - started:.0f} CPU-s\n")
            if out is not None:
                result.to_json(out)
            if grid is not None and seed == 0:
                save_grid(grid, test, model.truth(test), made)
    typer.echo(page(result, chosen, seeds))


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
    return Views({SOURCE: described, TARGET: drawn["image"]}, key=drawn.key, meta={"name": drawn.meta["name_en"]})


def cut(views: Views, seed: int) -> tuple[Views, Views]:
    """Four fifths to train on and a fifth that is held out, WORDS always being there."""
    held_out = set(split(views, {"train": 0.8, "test": 0.2}, random_state=seed)["test"].rows.tolist())
    of_grid = np.isin(views.meta["name"].astype(str), WORDS)
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


def page(result: Result, methods: list[str], seeds: int) -> str:
    """The figures as a table."""

    def cells(name: str, metric: str) -> str:
        records = [result.value(method=name, metric=metric, seed=seed) for seed in range(seeds)]
        scale = SHOWN.get(metric, 1.0)
        if seeds > 1:
            return with_interval([scale * record.value for record in records], 1 if metric in SHOWN else 2)
        low, high = records[0].low, records[0].high
        interval = "" if low is None or high is None else f" [{scale * low:.2f}, {scale * high:.2f}]"
        return f"{scale * records[0].value:.2f}{interval}"

    def mean(metric: str) -> float:
        return SHOWN[metric] * float(np.mean([r.chance for r in result.where(metric=metric, method=methods[0])]))

    header = ["method", "R-precision@10, percent", "Frechet x 1000", "diversity", "novelty"]
    lines = [[name, *(cells(name, metric) for metric in METRICS)] for name in methods]
    note = f"By chance R-precision is {mean('r_precision@10'):.1f}; real drawings of other concepts have a Frechet "
    note += f"distance of {mean('frechet_distance'):.1f}.\n95% intervals over concepts, or over seeds (Student t)."
    return f"{text_table(header, lines, labels=1)}\n\n{note}"
