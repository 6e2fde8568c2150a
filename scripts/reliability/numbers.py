"""Numbers at the edge of what floating point holds, through every estimator."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from bouba.errors import BoubaError
from scripts.reliability.estimators import ESTIMATORS, fit, outputs, rows
from scripts.reliability.experiment import Experiment

SHAPES = {
    "scale": lambda x, random: x * 10.0 ** random.uniform(-300, 300),
    "scales": lambda x, random: x * 10.0 ** random.uniform(-150, 150, x.shape[1]),
    "constant columns": lambda x, random: np.where(np.arange(x.shape[1]) % 2, x, 3.0),
    "all constant": lambda x, random: np.full_like(x, random.choice([0.0, 1.0, 1e300, -1e-300])),
    "duplicates": lambda x, random: x[random.integers(0, min(3, len(x)), len(x))],
    "rank of one": lambda x, random: np.outer(x[:, 0], np.ones(x.shape[1])),
    "fewer rows than columns": lambda x, random: random.normal(size=(len(x), 3 * len(x))),
    "huge integers": lambda x, random: (x * 2**60).astype(np.int64),
    "far from zero": lambda x, random: x + 10.0 ** random.uniform(6, 15),
    "one outlier": lambda x, random: np.where(np.arange(x.size).reshape(x.shape) == 5, 1e200, x),
    "plain": lambda x, random: x,
}
CLASSES = ("two", "one", "one a row", "one of a kind")


def trial(seed: int, folder: Path) -> str | None:
    random = np.random.default_rng(seed)
    name = ESTIMATORS[seed % len(ESTIMATORS)]
    count = int(random.choice([2, 5, 12, 40]))
    shapes = [str(random.choice(list(SHAPES))) for _ in range(2)]
    left, right = (SHAPES[shape](random.normal(size=(count, 4)), random) for shape in shapes)
    kinds = str(random.choice(CLASSES))
    number = np.arange(count)
    codes = {"two": number % 2, "one": 0 * number, "one a row": number, "one of a kind": (number == 0).astype(int)}
    classes = np.array([f"kind {c}" for c in codes[kinds]], dtype=object)
    sizes = SHAPES[shapes[0]](random.normal(size=(count, 4)), random)[:, 0].astype(float)
    case = f"{name}, {count} rows, {shapes[0]} and {shapes[1]}, classes: {kinds}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            views = rows(left, right, classes=classes, sizes=sizes, name=name)
            found = outputs(name, fit(name, views), views)
    except BoubaError:
        return None
    except Exception as error:
        return f"{case}: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    for part, values in found.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{case}: the {part} is not finite"
    return None


NUMBERS = Experiment(
    "numbers",
    "an estimator fitted on numbers from 1e-300 to 1e300, constant, duplicate, of rank one, fewer rows than columns, "
    "one class or one row a class",
    "finite embeddings and predictions, or a refusal",
    trial,
    trials=400,
    few=20,
    seconds=120,
    clock=60,
    memory=4 << 30,
)
