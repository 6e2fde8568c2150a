"""bouba bench av-digits: does a digit that is seen badly and heard badly become clear when both are put together?

Handwritten digits are paired with spoken ones of the same class. Pictures keep under a third of their energy (their
leading principal components) and get noise, recordings get white noise, so that neither view tells much by itself.
Noise is drawn once for each cell from a fixed seed: all methods and all runs meet the same cells. Each recording stands
in several rows, with other noise each time; intervals of accuracies draw whole recordings.

Asked: how much fusion gains over the better single view; what a model that was trained on both says when only one is
there, against a model trained on that one alone; and how well a voice is understood that was never heard in training.

Ten epochs, the same for every method, leave the sound tower short of what it can learn: it is to stay a weak view. With
--epochs 20 sound alone rises from 45 to 54 (seed 0).

With late fusion it is asked, too, whether a view that is missing should be imputed from the other. Sounds cannot be
decoded into what a tower hears, so embeddings are imputed, by an autoencoder of both, and read by classifiers of
embeddings.

The manner of degrading is that of AV-MNIST (Vielzeuf et al. 2018, CentralNet), with other sounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench.bits import packed, unpacked
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import OVER_ROWS, gain_of_rows, mean_of_rows, means_of_rows
from bouba.data.augment import Augment
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table, with_interval
from bouba.fuse import FusionClassifier, MultimodalAutoencoder
from bouba.nn.fusion import AttentionFusion, ConcatFusion, Fusion, GatedFusion, LowRankFusion, SumFusion
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec
from bouba.transfer.imputation import impute

FILES = ("mnist.npz", "fsdd_8khz.npz")
PICTURE, SOUND = "picture", "sound"
BOTH = f"{PICTURE} + {SOUND}"
OTHER = {PICTURE: SOUND, SOUND: PICTURE}
ALONE = {view: f"{view} alone" for view in OTHER}
Run = dict[str, Any]
"""method, views, seed, percent right, and which of how many test rows were right, as `packed` writes them."""
WITHOUT = "without "  # begins the method of a record of a speaker that was left out
ROWS, TEST_ROWS = 3000, 1500
ENERGY, NOISE = 0.31, 0.1  # of a picture: what is kept, and the deviation of what is added, 1 = black to white
DECIBEL = -12.5  # of a recording: signal to noise
EPOCHS = 10
FUSIONS: dict[str, Fusion | None] = {
    "sum": SumFusion(drop=0.3),
    "gated": GatedFusion(drop=0.3),
    "concat": ConcatFusion(drop=0.3),
    "attention": AttentionFusion(drop=0.3),
    "low-rank": LowRankFusion(drop=0.3),
    "late": None,
}
IMPUTED = ", imputed"
GAPS: dict[str, Fusion] = {"complete rows": SumFusion(), "rows with gaps": SumFusion(drop=0.3)}
"""What the classifiers that meet imputed embeddings were trained on."""
TOWERS: dict[str, EncoderSpec] = {
    PICTURE: ConvNet(size=28, channels=12, augment=Augment((0.9, 1.1), 10.0, 0.1, 0.1, flip=0.0, color=0.0)),
    SOUND: CRNN(rate=8000, seconds=1.0, mels=32, channels=8, width=48),
}


def command(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of mnist.npz (train_x, train_y, test_x, test_y) and fsdd_8khz.npz (spoken digits: wave, "
            "offset, label, speaker, index)."
        ),
    ],
    fusion: Annotated[list[str] | None, typer.Option(help=f"{', '.join(FUSIONS)}, and again; sum and late.")] = None,
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own initial weights and order.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the training rows.")] = EPOCHS,
    rows: Annotated[int, typer.Option(help="Training rows.")] = ROWS,
    test_rows: Annotated[int, typer.Option(help="Test rows.")] = TEST_ROWS,
    speakers: Annotated[bool, typer.Option(help="Leave each speaker out once, for sound alone.")] = True,
    out: Out = None,
) -> None:
    """Accuracy of fusions, of single views, with a view removed, and on voices never heard."""
    chosen = fusion or ["sum", "late"]
    for name in chosen:
        if name not in FUSIONS:
            raise UsageError(f"no fusion {name!r}{nearest(name, FUSIONS)}")
    train, test = digits(data, rows=rows, test_rows=test_rows)
    keeper = Keeper(out, lambda: fingerprint(*(data / name for name in FILES)))
    runs = keeper.figures.get("runs", [])
    figures = {"recordings": [str(key) for key in test.things], "runs": runs}
    for seed in range(seeds):
        if any(run["seed"] == seed and run["method"] in ALONE.values() for run in runs):
            continue
        started = time.process_time()
        runs += judged(train, test, chosen, seed, epochs=epochs)
        keeper.write(figures)
        sys.stderr.write(f"seed {seed}: {(time.process_time() - started) / 60:.1f} CPU-minutes\n")
    if speakers and not any(run["method"].startswith(WITHOUT) for run in runs):
        runs += unheard(train, test, epochs=epochs)
        keeper.write(figures)
    print_tables(tables(figures))


def digits(data: Path, *, rows: int = ROWS, test_rows: int = TEST_ROWS) -> tuple[Views, Views]:
    """Training and test rows: view "picture", view "sound", label "digit", domain the speaker, key the recording.

    Recordings 0 to 4 of each speaker and digit are the test, as their data set says, and so are MNIST's test images.

    Raises:
        DataError: a file that lacks what is needed.
    """
    images = _read_arrays(data / FILES[0], "handwritten digits", ("train_x", "train_y", "test_x", "test_y"))
    spoken = _read_arrays(data / FILES[1], "spoken digits", ("wave", "offset", "label", "speaker", "index"))
    draw = np.random.default_rng(0)
    is_test = spoken["index"] < 5
    of_train = _rows(images["train_x"], images["train_y"], spoken, ~is_test, rows, draw)
    of_test = _rows(images["test_x"], images["test_y"], spoken, is_test, test_rows, draw)
    subspace = _leading(of_train[0])
    return tuple(_views(*side, subspace, draw) for side in (of_train, of_test))  # type: ignore[return-value]


def _read_arrays(path: Path, content: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no {content} ({error}); give an .npz with {', '.join(names)}") from error


def _rows(images, image_y, spoken, mask, rows: int, draw) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Recordings in turn until there are enough rows, each with an image of its digit that no other row has."""
    recordings = np.resize(draw.permutation(np.flatnonzero(mask)), rows)
    labels = spoken["label"][recordings]
    chosen = np.empty(rows, np.intp)
    for digit in np.unique(labels):
        places, candidates = np.flatnonzero(labels == digit), np.flatnonzero(image_y == digit)
        if len(candidates) < len(places):
            raise DataError(
                f"{len(places)} pictures of digit {digit} are needed, there are {len(candidates)}; take fewer rows"
            )
        chosen[places] = draw.permutation(candidates)[: len(places)]
    ends = list(pairwise(spoken["offset"]))
    waves = [spoken["wave"][slice(*ends[recording])].astype(np.float32) / 32768 for recording in recordings]
    about = {"digit": labels.astype(str), "speaker": spoken["speaker"][recordings], "recording": recordings}
    return images[chosen].reshape(rows, -1).astype(np.float32) / 255, waves, about


def _leading(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (p,) and principal components (k, p) that hold ENERGY of the variance, or just less."""
    mean = pixels.mean(0)
    _, scale, components = np.linalg.svd(pixels - mean, full_matrices=False)
    share = np.cumsum(scale**2) / np.sum(scale**2)
    return mean, components[: max(1, np.searchsorted(share, ENERGY))]


def _views(pixels, waves, about: dict[str, np.ndarray], subspace, draw) -> Views:
    mean, components = subspace
    dim = mean + (pixels - mean) @ components.T @ components
    dim = (dim + NOISE * draw.normal(size=dim.shape)).clip(0, 1)
    side = round(dim.shape[1] ** 0.5)
    pictures = (255 * (1 - dim)).round().astype(np.uint8).reshape(-1, side, side)  # dark on white
    recordings = [(_noisy(wave, draw), 8000) for wave in waves]
    return Views(
        {PICTURE: Column.of(list(pictures), "image"), SOUND: Column.of(recordings, "audio")},
        y={"digit": about["digit"]},
        domain=about["speaker"],
        key=about["recording"],
    )


def _noisy(wave: np.ndarray, draw) -> np.ndarray:
    """A recording with white noise, float32, at DECIBEL of its own energy, its peak at 1."""
    strength = np.sqrt(np.square(wave).mean() / 10 ** (DECIBEL / 10))
    mixed = wave + strength * draw.normal(size=len(wave))
    return (mixed / max(np.abs(mixed).max(), 1e-9)).astype(np.float32)


def judged(train: Views, test: Views, fusions: list[str], seed: int, *, epochs: int) -> Iterator[Run]:
    """Accuracy of each view by itself, and of each fusion given both views and given one."""
    for view in ALONE:
        model = _fitted(train.select(view), None, seed, epochs)
        yield _run(ALONE[view], view, model.predict(test.select(view)), test, seed)
    for name in fusions:
        model = _fitted(train, FUSIONS[name], seed, epochs)
        for views in ((PICTURE, SOUND), (PICTURE,), (SOUND,)):
            yield _run(name, " + ".join(views), model.predict(test.select(*views)), test, seed)
        if FUSIONS[name] is None:
            yield from filled(_embedded(model, train), _embedded(model, test), seed, epochs=epochs)


def _embedded(model: FusionClassifier, views: Views) -> Views:
    """Every view as its embeddings."""
    return views.replace(columns={name: Column.of(z, "vector") for name, z in model.embed(views).items()})


def filled(train: Views, test: Views, seed: int, *, epochs: int) -> Iterator[Run]:
    """Accuracy where a row has one view only: the other left out, or imputed from it.

    Sounds cannot be decoded from a picture into what a tower hears, but their embeddings can: train and test hold the
    embeddings of both views, an autoencoder learns one from the other, and classifiers read them.
    """
    towers: dict[str, EncoderSpec] = {view: MLP((64,)) for view in train.columns}
    training = train.replace(domain=None)
    options: dict[str, Any] = {"dim": 64, "epochs": 2 * epochs, "random_state": seed}
    decoder = MultimodalAutoencoder(towers, **options).fit(training)
    for rows, fusion in GAPS.items():
        model = FusionClassifier(towers, label="digit", fusion=fusion, alone=0.0, calibration=0.0, **options).fit(
            training
        )
        yield _run(rows, BOTH, model.predict(test), test, seed)
        for view in (PICTURE, SOUND):
            alone = test.select(view)
            yield _run(rows, view, model.predict(alone), test, seed)
            yield _run(f"{rows}{IMPUTED}", view, model.predict(impute(alone, decoder)), test, seed)


def unheard(train: Views, test: Views, *, epochs: int) -> Iterator[Run]:
    """Accuracy of sound alone on each speaker's test recordings, the speaker's others being left out of training."""
    for speaker in train.domains:
        model = _fitted(train.select(SOUND)[train.domain != speaker], None, 0, epochs)
        spoken = test.select(SOUND)[test.domain == speaker]
        yield _run(f"{WITHOUT}{speaker}", SOUND, model.predict(spoken), spoken, 0)


def _fitted(train: Views, fusion: Fusion | None, seed: int, epochs: int) -> FusionClassifier:
    towers = {view: TOWERS[view] for view in train.columns}
    blind = train.replace(domain=None)  # else BatchNorm would keep each speaker's statistics apart
    model = FusionClassifier(towers, label="digit", fusion=fusion, calibration=0.0, epochs=epochs, random_state=seed)
    return model.fit(blind)


def _run(method: str, views: str, predicted: np.ndarray, test: Views, seed: int) -> Run:
    right = np.asarray(predicted == test.y["digit"])
    percent = 100 * float(right.mean())
    labels = {"method": method, "views": views, "seed": seed}
    return {**labels, "percent": percent, "right": packed(right), "rows": len(right)}


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "fusions": with both views and with one. "imputed", of late fusion: whether filling in helps. "voices": of
    speakers that were left out."""
    runs, recordings = figures["runs"], figures["recordings"]
    methods = {run["method"] for run in runs}
    found = {"fusions": _fusions(runs, recordings)}
    if set(GAPS) <= methods:
        found["imputed"] = _imputed(runs, recordings)
    voices = [run for run in runs if run["method"].startswith(WITHOUT)]
    return found | ({"voices": _voices(voices)} if voices else {})


def _right(runs: list[Run], method: str, views: str) -> np.ndarray:
    """(seeds, rows), 1 where right."""
    of = [run for run in runs if (run["method"], run["views"]) == (method, views)]
    return np.stack([unpacked(run["right"], run["rows"]) for run in of]).astype(float)


def _fusions(runs: list[Run], recordings: list[str]) -> Table:
    fusions = [name for name in FUSIONS if any(run["method"] == name for run in runs)]
    right = {views: {name: _right(runs, name, views) for name in fusions} for views in (BOTH, *OTHER)}
    alone = {view: _right(runs, name, view) for view, name in ALONE.items()}
    better = max(alone.values(), key=lambda of: of.mean())
    cells = means_of_rows(right[BOTH], recordings) if fusions else {}
    single = [text for view in OTHER for text in (mean_of_rows(alone[view], recordings), "-")]
    lines = [["trained on that view", "-", "-", *single]]
    for name in fusions:
        lines.append([name, cells[name], gain_of_rows(right[BOTH][name], better, recordings)])
        for view in OTHER:
            of = right[view][name]
            lines[-1] += [mean_of_rows(of, recordings), gain_of_rows(of, alone[view], recordings)]
    header = ["percent right", BOTH, "over the better view"]
    header += [text for view in OTHER for text in (f"only {view}", "over it alone")]
    note = (
        f"{len(better)} seeds on the same {len(recordings):,} rows. By chance 10. {OVER_ROWS} Alone: a model trained "
        "on that view. The noise was set on test rows of seed 0."
    )
    return Table(header, lines, note=note)


def _imputed(runs: list[Run], recordings: list[str]) -> Table:
    """Embeddings of a view left out, and imputed from the other one."""
    lines = []
    for rows in GAPS:
        lines.append([rows, mean_of_rows(_right(runs, rows, BOTH), recordings)])
        for view in OTHER:
            left_out, filled = (_right(runs, rows + suffix, view) for suffix in ("", IMPUTED))
            lines[-1] += [mean_of_rows(of, recordings) for of in (left_out, filled)]
            lines[-1].append(gain_of_rows(filled, left_out, recordings))
    header = ["trained on the embeddings of", BOTH]
    header += [text for view, other in OTHER.items() for text in (f"only {view}", f"{other} imputed", "gain")]
    return Table(header, lines, note=f"Percent right; embeddings of late fusion. {OVER_ROWS}")


def _voices(voices: list[Run]) -> Table:
    percents = {run["method"].removeprefix(WITHOUT): run["percent"] for run in voices}
    line = ["a voice never heard", *(f"{x:.1f}" for x in percents.values()), with_interval(list(percents.values()))]
    note = f"Trained on the sound of the others, seed 0; the interval is over {len(percents)} voices (Student t)."
    return Table(["sound alone, percent right", *percents, "mean"], [line], note=note)
