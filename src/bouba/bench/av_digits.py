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

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import gain, mean, mean_of_records, means, runs_of, seeds_note
from bouba.data.augment import Augment
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation import Record, Result, interval
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
    result = keeper.records
    for seed in range(seeds):
        if result.where(method=[*ALONE.values()], seed=seed):
            continue
        started = time.process_time()
        result = result + Result(list(judged(train, test, chosen, seed, epochs=epochs)))
        keeper.write(result)
        sys.stderr.write(f"seed {seed}: {(time.process_time() - started) / 60:.1f} CPU-minutes\n")
    if speakers and not any(record.method.startswith(WITHOUT) for record in result):
        result = result + Result(list(unheard(train, test, epochs=epochs)))
        keeper.write(result)
    print_tables(tables(result))


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


def judged(train: Views, test: Views, fusions: list[str], seed: int, *, epochs: int) -> Iterator[Record]:
    """Accuracy of each view by itself, and of each fusion given both views and given one."""
    for view in ALONE:
        model = _fitted(train.select(view), None, seed, epochs)
        yield _record(ALONE[view], view, model.predict(test.select(view)), test, seed)
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
            yield _record(f"{rows}{IMPUTED}", view, model.predict(impute(alone, decoder)), test, seed)


def unheard(train: Views, test: Views, *, epochs: int) -> Iterator[Record]:
    """Accuracy of sound alone on each speaker's test recordings, the speaker's others being left out of training."""
    for speaker in train.domains:
        model = _fitted(train.select(SOUND)[train.domain != speaker], None, 0, epochs)
        spoken = test.select(SOUND)[test.domain == speaker]
        yield _record(f"{WITHOUT}{speaker}", SOUND, model.predict(spoken), spoken, 0)


def _fitted(train: Views, fusion: Fusion | None, seed: int, epochs: int) -> FusionClassifier:
    towers = {view: TOWERS[view] for view in train.columns}
    blind = train.replace(domain=None)  # else BatchNorm would keep each speaker's statistics apart
    model = FusionClassifier(towers, label="digit", fusion=fusion, calibration=0.0, epochs=epochs, random_state=seed)
    return model.fit(blind)


def _record(method: str, views: str, predicted: np.ndarray, test: Views, seed: int) -> Record:
    right = (predicted == test.y["digit"]).astype(float)
    low, high = interval(right, groups=test.key)
    return Record(method, "test", "all", views, "accuracy", float(right.mean()), low, high, 0.1, len(test), seed)


def tables(result: Result) -> dict[str, Table]:
    """ "fusions": with both views and with one. "imputed", of late fusion: whether filling in helps. "voices": of
    speakers that were left out."""
    voices = result.where(method=[m for m in _methods(result) if m.startswith(WITHOUT)])
    found = {"fusions": _fusions(result)}
    if result.where(method=list(GAPS)):
        found["imputed"] = _imputed(result)
    return found | ({"voices": _voices(voices)} if voices else {})


def _methods(result: Result) -> list[str]:
    return list(dict.fromkeys(record.method for record in result))


def _fusions(result: Result) -> Table:
    fusions = [name for name in _methods(result) if name in FUSIONS]
    runs = {
        views: {name: runs_of(result, scale=100, method=name, direction=views) for name in fusions}
        for views in (BOTH, *OTHER)
    }
    alone = {view: runs_of(result, scale=100, method=name) for view, name in ALONE.items()}
    better = max(alone.values(), key=lambda of: float(np.mean(list(of.values()))))
    cells = means(
        runs[BOTH], cells={name: mean_of_records(result, scale=100, method=name, direction=BOTH) for name in fusions}
    )
    own = [mean_of_records(result, scale=100, method=name) for name in ALONE.values()]
    lines = [["trained on that view", "-", "-", *(text for cell in own for text in (cell, "-"))]]
    for name in fusions:
        shown = {view: mean_of_records(result, scale=100, method=name, direction=view) for view in OTHER}
        of_one = [text for view in OTHER for text in (shown[view], gain(runs[view][name], alone[view]))]
        lines.append([name, cells[name], gain(runs[BOTH][name], better), *of_one])
    header = [
        "percent right",
        BOTH,
        "over the better view",
        "only picture",
        "over it alone",
        "only sound",
        "over it alone",
    ]
    single = result.where(method=list(ALONE.values()))
    first = next(iter(single))
    note = (
        f"{seeds_note(single, rows=True)} By chance 10. {first.n:,} test rows, the same for every seed. Alone: a model "
        "trained on that view. The noise was set on test rows of seed 0."
    )
    return Table(header, lines, note=note)


def _imputed(result: Result) -> Table:
    """Embeddings of a view left out, and imputed from the other one."""
    lines = []
    for rows in GAPS:
        cells = [mean(runs_of(result, scale=100, method=rows, direction=BOTH))]
        for view in OTHER:
            left_out, filled = (runs_of(result, scale=100, method=rows + s, direction=view) for s in ("", IMPUTED))
            cells += [mean(left_out), mean(filled), gain(filled, left_out)]
        lines.append([rows, *cells])
    header = ["trained on the embeddings of", BOTH]
    header += [text for view, other in OTHER.items() for text in (f"only {view}", f"{other} imputed", "gain")]
    of = result.where(method=list(GAPS))
    return Table(header, lines, note=f"Percent right. {seeds_note(of)} Embeddings of late fusion.")


def _voices(voices: Result) -> Table:
    percents = {record.method.removeprefix(WITHOUT): 100 * record.value for record in voices}
    line = ["a voice never heard", *(f"{x:.1f}" for x in percents.values()), with_interval(list(percents.values()))]
    note = f"Trained on the sound of the others, seed 0; the interval is over {len(percents)} voices (Student t)."
    return Table(["sound alone, percent right", *percents, "mean"], [line], note=note)
