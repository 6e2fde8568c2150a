"""Every estimator twice with the same seed, with one thread and with two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from scripts.reliability.estimators import ESTIMATORS, fit, outputs, rows
from scripts.reliability.experiment import Experiment


def trial(seed: int, folder: Path) -> str | None:
    name, threads = ESTIMATORS[seed // 2 % len(ESTIMATORS)], 1 + seed % 2
    random = np.random.default_rng(seed)
    left = random.normal(size=(90, 5))
    classes = np.where(left[:, 0] > 0, "large", "small").astype(object)
    right = left @ random.normal(size=(5, 5)) + 0.1 * random.normal(size=(90, 5))
    views = rows(left, right, classes=classes, sizes=left[:, 1], name=name)
    torch.set_num_threads(threads)
    first, second = (outputs(name, fit(name, views, random_state=seed), views) for _ in range(2))
    for part, values in first.items():
        if not np.array_equal(values, second[part]):
            return f"{name}, {threads} threads: the {part} differs"
    return None


SEEDS = Experiment(
    "seeds",
    f"every estimator ({len(ESTIMATORS)}, found by looking) fitted twice with one seed, with 1 and with 2 threads",
    "embeddings and predictions are equal to the bit",
    trial,
    trials=2 * len(ESTIMATORS),
    few=4,
    seconds=90,
    clock=60,
)
