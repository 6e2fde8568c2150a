"""SIGKILL at a random moment of a fit, sometimes again while it goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from scripts.reliability import fits
from scripts.reliability.experiment import Experiment


def trial(seed: int, folder: Path) -> str | None:
    random = np.random.default_rng(seed)
    method = list(fits.METHODS)[seed % len(fits.METHODS)]
    whole, out = fits.unbroken(method), folder / "run"
    for more in ([], ["--resume"])[: 1 + (random.random() < 0.4)]:
        process = fits.fit(whole.table, out, method, *more)
        try:
            process.wait(random.uniform(0.1, 1.05) * whole.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    if fault := fits.go_on(whole.table, out, method):
        return f"{method}: {fault}"
    fault = fits.difference(out, whole.out)
    return fault and f"{method}: {fault}"


KILLS = Experiment(
    "kills",
    "SIGKILL at a random moment of `bouba fit` (clip, adapted-clip, autoencoder, gan), in 4 of 10 also of `--resume`",
    "resumed, it equals the unbroken run to the bit: weights, history, numbers, index; nothing is left beside it",
    trial,
    trials=50,
    few=2,
    seconds=390,
    clock=240,
)
