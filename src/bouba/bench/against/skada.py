"""skada: adaptation of features that are ready, in closed form.

Digits as grey pixels, 60 principal components of both domains together. Both sides choose among their methods without a
label of the target: ours by `information`, theirs by its PredictionEntropyScorer. Then one method by itself, entropic
transport, with settings that were best in a rehearsal, USPS -> MNIST with labels, which is not judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bouba.adapt.linear_heads import CHOSEN_AMONG, probabilities, target_head
from bouba.adapt.selection import information
from bouba.bench.against.contest import Arrays, Contest, Peer
from bouba.bench.features import shrunk
from bouba.errors import UsageError

ROWS, COMPONENTS, CLASSES = 1_000, 60, 10
COLOURED = ("source_train_x", "source_train_y", "target_test_x", "target_test_y")


def digits(task: str, seed: int, folder: Path | None) -> Arrays:
    """ROWS rows of either domain, drawn by the seed, as components of their pixels."""
    from sklearn.decomposition import PCA

    from bouba.bench.adaptation import read_arrays

    if folder is None:
        raise UsageError("digits are not part of bouba; name the folder of mnist.npz, usps.npz and mnist_m.npz: --data")
    random = np.random.default_rng(seed)
    if task == "MNIST-M":
        held, side = read_arrays(folder / "mnist_m.npz", COLOURED), 14
        parts = [(held[COLOURED[0]], held[COLOURED[1]]), (held[COLOURED[2]], held[COLOURED[3]])]
    else:
        mnist = read_arrays(folder / "mnist.npz", ("train_x", "train_y"))
        usps, side = read_arrays(folder / "usps.npz", ("x_train", "y_train")), 16
        parts = [(mnist["train_x"], mnist["train_y"]), (usps["x_train"], usps["y_train"])]
        parts = parts[::-1] if task == "rehearsal" else parts
    rows, classes = [], []
    for x, y in parts:
        drawn = random.permutation(len(x))[:ROWS]
        grey = x[drawn] if x.ndim == 3 else x[drawn].mean(3).astype(np.uint8)
        rows.append(shrunk(grey, side))
        classes.append(y[drawn].astype(int))
    pca = PCA(COMPONENTS, random_state=0).fit(np.vstack([part - part.mean(0) for part in rows]))
    x, x_target = (pca.transform(part) for part in rows)
    return {"x": x, "y": classes[0], "x_target": x_target, "judge_y": classes[1]}


def by(ways: tuple[str, ...], arrays: Arrays) -> Arrays:
    """Classes of target rows by the way, among these, whose predictions tell most."""
    heads = (target_head(way, arrays["x"], arrays["y"], arrays["x_target"], CLASSES) for way in ways)
    p = max((probabilities(head, arrays["x_target"]) for head in heads), key=information)
    return {"y": p.argmax(1)}


def accuracy(arrays: Arrays, answers: Arrays) -> float:
    """Percent of target rows."""
    return 100 * float((answers["y"] == arrays["judge_y"]).mean())


def _contest(name: str, target: str, settings: str, ours: Callable[[Arrays], Arrays]) -> Contest:
    data = partial(digits, target)
    return Contest(f"{name}, MNIST to {target}", "accuracy, percent", settings, data, ours, accuracy, on_data=True)


CHOSEN = (
    "PredictionEntropyScorer chooses among nothing, CORAL, subspaces, TCA and linear, exact and two entropic transports"
)
TRANSPORT = "EntropicOTMapping(reg_e=0.02, norm='median'), LogisticRegression(C=1), best in a rehearsal"
PEER = Peer(
    "skada",
    packages=("skada==0.6.0",),
    contests=(
        _contest("chosen", "USPS", CHOSEN, partial(by, CHOSEN_AMONG)),
        _contest("chosen", "MNIST-M", CHOSEN, partial(by, CHOSEN_AMONG)),
        _contest("transport", "USPS", TRANSPORT, partial(by, ("entropic-transport",))),
        _contest("transport", "MNIST-M", TRANSPORT, partial(by, ("entropic-transport",))),
    ),
    note="What bouba chooses among changed once after MNIST to USPS had been judged: transport with purity left.",
)
