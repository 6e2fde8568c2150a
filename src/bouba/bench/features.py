"""bouba bench features: closed-form alignment of features that are computed already, beside doing nothing.

Every feature is standardised in each domain by itself, without labels, which often brings most of the gain; "scaled
together" rows are standardised over both domains at once. All target rows are seen without their labels, and judge
afterwards. Five kinds of features, and a sixth where somebody has it:

    MNIST -> USPS and back, MNIST -> MNIST-M    grey pixels, 16 x 16 and 14 x 14; 2,000 digits of either
    drawing styles      EfficientNet-Lite0 of emoji, whose group is the class; noto and openmoji, twemoji and fluent
    speakers            log spectrum of spoken digits, 32 bands at 8 times; each of six speakers is the target once
    Office-Caltech      FOLDER/office-caltech/*.mat or *.npz, a file a domain, with `fts` (n, d) and `labels` (n)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bouba.adapt import TCA, CORALAligner, SubspaceAligner
from bouba.bench.adaptation import read_arrays
from bouba.bench.kept import Keeper, print_tables
from bouba.data import samples
from bouba.errors import DataError
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.table import Table

FILES = ("mnist.npz", "usps.npz", "mnist_m.npz", "fsdd_8khz.npz")
ROWS = 2_000
STYLES = (("noto", "openmoji"), ("openmoji", "noto"), ("twemoji", "fluent"), ("fluent", "twemoji"))
BANDS, TIMES = 32, 8
ALIGNERS: dict[str, Any] = {
    "nothing": None,
    "CORALAligner()": CORALAligner(),
    "SubspaceAligner()": SubspaceAligner(),
    "TCA()": TCA(),
    "TCA(60)": TCA(60),
    "TCA(60, power=1), the paper's": TCA(60, power=1),
    "TCA(60, power=0)": TCA(60, power=0),
}
SCALED_TOGETHER: dict[str, Any] = {"scaled together, nothing": None, "scaled together, TCA()": TCA()}
CLASSIFIERS: dict[str, Any] = {"SVM": SVC(kernel="linear"), "1-NN": KNeighborsClassifier(1)}
BASELINE = "nothing, SVM"

Domain = tuple[np.ndarray, np.ndarray]
"""Features (n, d) and classes (n,)."""
Figures = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""Aligner and classifier -> kind -> "accuracy" and "ahead" of BASELINE -> percent and its standard error."""


@dataclass(frozen=True)
class Kind:
    """Tasks of one kind of features.

    Args:
        name: in the table. pairs: source and target of each task. same_things: whether row i of every target is the
            same thing, so that its answers are drawn together.
    """

    name: str
    pairs: list[tuple[Domain, Domain]]
    same_things: bool = False


def command(
    data: Annotated[Path, typer.Option(help="Folder with mnist.npz, usps.npz, mnist_m.npz and fsdd_8khz.npz.")] = Path(
        "../shared/data"
    ),
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Accuracy of two classifiers behind each aligner, and without any."""
    keeper = Keeper(out, lambda: fingerprint(*(data / name for name in FILES), samples.emoji()))
    figures = measure(kinds(data))
    keeper.write(figures)
    print_tables(tables(figures))


def measure(kinds: Iterable[Kind]) -> Figures:
    """Accuracy of every aligner and classifier, and how far each is ahead of BASELINE."""
    figures: Figures = {}
    for kind in kinds:
        by_task = [answers(*pair) for pair in kind.pairs]
        rows = {
            name: np.mean([task[name] for task in by_task], 0)
            if kind.same_things
            else np.concatenate([task[name] for task in by_task])
            for name in by_task[0]
        }
        for name, values in rows.items():
            accuracy, ahead = (_mean_and_error(v) for v in (values, values - rows[BASELINE].astype(float)))
            figures.setdefault(name, {})[kind.name] = {"accuracy": accuracy, "ahead": ahead}
    return figures


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Of values (n,), in percent; the error is the standard deviation of the mean."""
    return 100 * float(values.mean()), 100 * float(values.std(ddof=1)) / len(values) ** 0.5


def answers(source: Domain, target: Domain) -> dict[str, np.ndarray]:
    """ "aligner, classifier" -> which target rows are predicted rightly, (m,)."""
    apart = [StandardScaler().fit_transform(rows) for rows, _ in (source, target)]
    both = StandardScaler().fit(np.vstack([source[0], target[0]]))
    together = [both.transform(rows) for rows, _ in (source, target)]
    correct = {}
    for aligners, (x, x_target) in ((ALIGNERS, apart), (SCALED_TOGETHER, together)):
        for name, aligner in aligners.items():
            z, z_target = _aligned(aligner, x, x_target)
            length = np.sqrt((z**2).sum(1).mean())  # a linear SVM's C depends on it
            for classifier_name, classifier in CLASSIFIERS.items():
                predicted = clone(classifier).fit(z / length, source[1]).predict(z_target / length)
                correct[f"{name}, {classifier_name}"] = predicted == target[1]
    return correct


def _aligned(aligner: Any, x: np.ndarray, x_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if aligner is None:
        return x, x_target
    fitted = clone(aligner).fit(x, x_target)
    return fitted.transform(x), fitted.transform(x_target, domain="target")


def tables(figures: Figures) -> dict[str, Table]:
    """ "features": one line an aligner and classifier, one column a kind; their mean, and how far ahead of BASELINE."""
    kinds = list(figures[BASELINE])
    lines = []
    for name, by_kind in figures.items():
        cells = [_text([by_kind[kind]["accuracy"]]) for kind in kinds]
        mean = _text([by_kind[kind]["accuracy"] for kind in kinds])
        ahead = "" if name == BASELINE else _text([by_kind[kind]["ahead"] for kind in kinds], "+")
        lines.append([name, *cells, mean, ahead])
    note = (
        "Intervals of 95% over target rows. The defaults of TCA, its weights and all components, were chosen on these "
        "very features with their labels in view."
    )
    return {"features": Table(["accuracy, percent", *kinds, "mean", f"ahead of {BASELINE}"], lines, note=note)}


def _text(kinds: Sequence[tuple[float, float]], sign: str = "") -> str:
    """Mean over kinds of mean and error, with a 95% interval."""
    mean = np.mean([value for value, _ in kinds])
    half = ndtri(0.975) * np.sqrt(sum(error**2 for _, error in kinds)) / len(kinds)
    return f"{mean:{sign}.1f} [{mean - half:.1f}, {mean + half:.1f}]"


def kinds(folder: Path) -> Iterator[Kind]:
    """Every kind of features that the folder and the package hold.

    Raises:
        DataError: a file is missing. MissingExtraError: the extra `knows` is not installed.
    """
    mnist, usps, narrow, coloured = digits(folder)
    yield Kind("MNIST -> USPS", [(mnist, usps)])
    yield Kind("USPS -> MNIST", [(usps, mnist)])
    yield Kind("MNIST -> MNIST-M", [(narrow, coloured)])
    styles = drawings()
    yield Kind("drawing styles", [(styles[a], styles[b]) for a, b in STYLES], same_things=True)
    yield Kind("speakers", speakers(folder))
    if office := office_caltech(folder / "office-caltech"):
        yield Kind("Office-Caltech", list(permutations(office, 2)))


def digits(folder: Path) -> tuple[Domain, Domain, Domain, Domain]:
    """MNIST and USPS at 16 x 16; MNIST and other digits of MNIST-M at 14 x 14."""
    random = np.random.default_rng(0)
    usps = read_arrays(folder / "usps.npz", ("x_train", "y_train"))
    mnist = read_arrays(folder / "mnist.npz", ("train_x", "train_y"))
    names = ("source_train_x", "source_train_y", "target_test_x", "target_test_y")
    coloured = read_arrays(folder / "mnist_m.npz", names)

    def domain(x: np.ndarray, y: np.ndarray, side: int) -> Domain:
        rows = random.permutation(len(x))[:ROWS]
        grey = x[rows] if x.ndim == 3 else x[rows].mean(3).astype(np.uint8)
        return shrunk(grey, side), y[rows]

    return (
        domain(mnist["train_x"], mnist["train_y"], 16),
        domain(usps["x_train"], usps["y_train"], 16),
        domain(coloured["source_train_x"], coloured["source_train_y"], 14),
        domain(coloured["target_test_x"], coloured["target_test_y"], 14),
    )


def shrunk(pictures: np.ndarray, side: int) -> np.ndarray:
    """Grey pictures (n, h, w) as (n, side * side) means over squares."""
    from PIL import Image

    small = [np.asarray(Image.fromarray(x).resize((side, side), Image.Resampling.BOX)) for x in pictures]
    return np.stack(small).reshape(len(small), -1).astype(float)


def drawings() -> dict[str, Domain]:
    """style -> frozen features of its drawings, whose group is the class; row i is the same concept in each."""
    from bouba.align.encoded import Encoded
    from bouba.towers import Packaged

    towers = {"image": Packaged("efficientnet-lite0")}
    domains = {}
    for style in dict.fromkeys(style for pair in STYLES for style in pair):
        views = samples.emoji(styles=style)
        cells = [views["image"][row] for row in range(len(views))]
        z = Encoded.of("image", towers, views["image"].kind, cells)(cells)
        domains[style] = np.asarray(z, float), views.y["group"].astype(str)
    return domains


def speakers(folder: Path) -> list[tuple[Domain, Domain]]:
    """Each speaker as the target of all others."""
    spoken = read_arrays(folder / "fsdd_8khz.npz", ("wave", "offset", "label", "speaker"))
    waves = [spoken["wave"][start:stop] for start, stop in pairwise(spoken["offset"])]
    x, y, who = np.stack([log_spectrum(wave) for wave in waves]), spoken["label"], spoken["speaker"]
    return [((x[who != one], y[who != one]), (x[who == one], y[who == one])) for one in np.unique(who)]


def log_spectrum(wave: np.ndarray) -> np.ndarray:
    """Mean log energy of BANDS equal bands in TIMES equal parts, (BANDS * TIMES,)."""
    from scipy.signal import stft

    energy = np.log(1e-3 + np.abs(stft(wave.astype(float), nperseg=8 * BANDS)[2]) ** 2)[: 4 * BANDS]
    bands = energy.reshape(BANDS, 4, -1).mean(1)  # (BANDS, frames)
    return np.stack([part.mean(1) for part in np.array_split(bands, TIMES, axis=1)], 1).ravel()


def office_caltech(folder: Path) -> list[Domain]:
    """The domains of a folder, a file each; none where there is no such folder.

    Raises:
        DataError: a file without `fts` and `labels`.
    """
    from scipy.io import loadmat

    domains = []
    for path in sorted([*folder.glob("*.mat"), *folder.glob("*.npz")]):
        try:
            held = loadmat(path) if path.suffix == ".mat" else read_arrays(path, ("fts", "labels"))
            domains.append((np.asarray(held["fts"], float), np.ravel(held["labels"])))
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} has no features `fts` and classes `labels` ({error})") from error
    return domains
