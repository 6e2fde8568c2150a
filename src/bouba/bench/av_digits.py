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
embeddings. It does not help: 1500 rows and 3 seeds gave +0.6 [-1.2, 2.3] points for a sound imputed from the picture
and +0.3 [-1.9, 2.4] the other way to a classifier trained on complete rows, and -1.4 [-3.5, 0.6] and -1.9 [-4.1, 0.4]
to one trained on rows with gaps, against leaving the view out. An imputed view says nothing that the other did not;
training with gaps is the better way.

The manner of degrading is that of AV-MNIST (Vielzeuf et al. 2018, CentralNet), with other sounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.data.augment import Augment
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation import Record, Result, interval
from bouba.evaluation.environment import environment
from bouba.evaluation.table import text_table, with_interval
from bouba.fuse import FusionClassifier, MultimodalAutoencoder
from bouba.nn.fusion import AttentionFusion, ConcatFusion, Fusion, GatedFusion, LowRankFusion, SumFusion
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec
from bouba.transfer.imputation import impute

PICTURE, SOUND = "picture", "sound"
BOTH = f"{PICTURE} + {SOUND}"
OTHER = {PICTURE: SOUND, SOUND: PICTURE}
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
GAPS: dict[str, Fusion] = {"complete rows": SumFusion(), "rows with gaps": SumFusion(drop=0.3)}
"""What the classifiers that meet imputed embeddings were trained on."""
TOWERS: dict[str, EncoderSpec] = {
    PICTURE: ConvNet(size=28, channels=12, augment=Augment((0.9, 1.1), 10.0, 0.1, 0.1, flip=0.0, color=0.0)),
    SOUND: CRNN(rate=8000, seconds=1.0, mels=32, channels=8, width=48),
}


def command(
    data: Annotated[Path, typer.Option(help="mnist.npz with train_x, train_y, test_x and test_y.")],
    sounds: Annotated[
        Path, typer.Option(help="An .npz of spoken digits: wave, offset, label, speaker, index at 8 kHz.")
    ],
    fusion: Annotated[list[str] | None, typer.Option(help=f"{', '.join(FUSIONS)}, and again; sum and late.")] = None,
    seeds: Annotated[int, typer.Option(help="Training runs, each with its own initial weights and order.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the training rows.")] = EPOCHS,
    rows: Annotated[int, typer.Option(help="Training rows.")] = ROWS,
    test_rows: Annotated[int, typer.Option(help="Test rows.")] = TEST_ROWS,
    speakers: Annotated[bool, typer.Option(help="Leave each speaker out once, for sound alone.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the records to this JSON file.")] = None,
) -> None:
    """Accuracy of fusions, of single views, with a view removed, and on voices never heard."""
    chosen = fusion or ["sum", "late"]
    for name in chosen:
        if name not in FUSIONS:
            raise UsageError(f"no fusion {name!r}{nearest(name, FUSIONS)}")
    train, test = digits(data, sounds, rows=rows, test_rows=test_rows)
    result = Result([], environment(0))
    for seed in range(seeds):
        started = time.process_time()
        result = result + Result(list(judged(train, test, chosen, seed, epochs=epochs)))
        sys.stderr.write(f"seed {seed}: {(time.process_time() - started) / 60:.1f} CPU-minutes\n")
        if out is not None:
            result.to_json(out)
    if speakers:
        result = result + Result(list(unheard(train, test, epochs=epochs)))
    if out is not None:
        result.to_json(out)
    typer.echo(page(result, chosen, seeds))


def digits(data: Path, sounds: Path, *, rows: int = ROWS, test_rows: int = TEST_ROWS) -> tuple[Views, Views]:
    """Training and test rows: view "picture", view "sound", label "digit", domain the speaker, key the recording.

    Recordings 0 to 4 of each speaker and digit are the test, as their data set says, and so are MNIST's test images.

    Raises:
        DataError: a file that lacks what is needed.
    """
    images = _read_arrays(data, "handwritten digits", ("train_x", "train_y", "test_x", "test_y"))
    spoken = _read_arrays(sounds, "spoken digits", ("wave", "offset", "label", "speaker", "index"))
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


def judged(train: Views, test: Views, fusions: list[str], seed: int, *, epochs: int) -> Iterator[Record]:
    """Accuracy of each view by itself, and of each fusion given both views and given one."""
    for view in (PICTURE, SOUND):
        model = _fitted(train.select(view), None, seed, epochs)
        yield _record(f"{view} alone", view, model.predict(test.select(view)), test, seed)
    for name in fusions:
        model = _fitted(train, FUSIONS[name], seed, epochs)
        for views in ((PICTURE, SOUND), (PICTURE,), (SOUND,)):
            yield _record(name, " + ".join(views), model.predict(test.select(*views)), test, seed)
        if FUSIONS[name] is None:
            yield from filled(_embedded(model, train), _embedded(model, test), seed, epochs=epochs)


def _embedded(model: FusionClassifier, views: Views) -> Views:
    """Every view as its embeddings."""
    return views.replace(columns={name: Column.of(z, "vector") for name, z in model.embed(views).items()})


def filled(train: Views, test: Views, seed: int, *, epochs: int) -> Iterator[Record]:
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
        yield _record(rows, BOTH, model.predict(test), test, seed)
        for view in (PICTURE, SOUND):
            alone = test.select(view)
            yield _record(rows, view, model.predict(alone), test, seed)
            yield _record(f"{rows}, imputed", view, model.predict(impute(alone, decoder)), test, seed)


def unheard(train: Views, test: Views, *, epochs: int) -> Iterator[Record]:
    """Accuracy of sound alone on each speaker's test recordings, the speaker's others being left out of training."""
    for speaker in train.domains:
        model = _fitted(train.select(SOUND)[train.domain != speaker], None, 0, epochs)
        spoken = test.select(SOUND)[test.domain == speaker]
        yield _record(f"without {speaker}", SOUND, model.predict(spoken), spoken, 0)


def _fitted(train: Views, fusion: Fusion | None, seed: int, epochs: int) -> FusionClassifier:
    towers = {view: TOWERS[view] for view in train.columns}
    blind = train.replace(domain=None)  # else BatchNorm would keep each speaker's statistics apart
    model = FusionClassifier(towers, label="digit", fusion=fusion, calibration=0.0, epochs=epochs, random_state=seed)
    return model.fit(blind)


def _record(method: str, views: str, predicted: np.ndarray, test: Views, seed: int) -> Record:
    right = (predicted == test.y["digit"]).astype(float)
    low, high = interval(right, groups=test.key)
    return Record(method, "test", "all", views, "accuracy", float(right.mean()), low, high, 0.1, len(test), seed)


def page(result: Result, fusions: list[str], seeds: int) -> str:
    """The figures as tables."""

    def percent(method: str, views: str) -> np.ndarray:
        return np.array([100 * result.value(method=method, direction=views, seed=s).value for s in range(seeds)])

    alone = {view: percent(f"{view} alone", view) for view in (PICTURE, SOUND)}
    better = max(alone.values(), key=np.mean)
    header = ["accuracy, percent", BOTH, "gain", "only picture", "less alone", "only sound", "less alone"]
    lines = [["trained on that view", "-", "-", with_interval(alone[PICTURE]), "-", with_interval(alone[SOUND]), "-"]]
    for name in fusions:
        cells = [percent(name, BOTH), percent(name, BOTH) - better]
        for view in (PICTURE, SOUND):
            cells += [percent(name, view), percent(name, view) - alone[view]]
        lines.append([name, *map(with_interval, cells)])
    note = "gain: over the better single view, seed by seed; less alone: than a model trained on that view.\n"
    intervals = "95% intervals over seeds, and over voices (Student t); 10 by chance."
    return f"{text_table(header, lines, labels=1)}\n\n{note}{intervals}{_voices(result)}{_gaps(result, percent)}"


def _gaps(result: Result, percent: Callable[[str, str], np.ndarray]) -> str:
    """A table of what imputing gives; nothing where it was not measured."""
    if not len(result.where(method=list(GAPS))):
        return ""
    header = ["trained on the embeddings of", BOTH, *(f"only {v}, {other} ..." for v, other in OTHER.items())]
    lines = []
    for rows in GAPS:
        left_out, imputed = ([percent(rows + suffix, view) for view in OTHER] for suffix in ("", ", imputed"))
        gained = [after - before for before, after in zip(left_out, imputed, strict=True)]
        for treatment, values in (("left out", left_out), ("imputed", imputed), ("gain", gained)):
            first = [rows, with_interval(percent(rows, BOTH))] if treatment == "left out" else ["", ""]
            lines.append([*first, *(f"{treatment} {with_interval(each)}" for each in values)])
    return f"\n\n{text_table(header, lines, labels=1)}"


def _voices(result: Result) -> str:
    """A line on the speakers that were left out; none where there were none."""
    by_speaker = {r.method.removeprefix("without "): 100 * r.value for r in result if r.method.startswith("without ")}
    if not by_speaker:
        return ""
    each = ", ".join(f"{speaker} {value:.0f}" for speaker, value in by_speaker.items())
    return f"\nSound alone, a voice never heard: {with_interval(list(by_speaker.values()))} ({each})."
