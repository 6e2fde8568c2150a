"""A fit that may write files of a certain size only, as on a disk that is full; then with room."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np

from scripts.reliability import fits
from scripts.reliability.experiment import Experiment


def trial(seed: int, folder: Path) -> str | None:
    random = np.random.default_rng(seed)
    method = list(fits.METHODS)[seed % len(fits.METHODS)]
    whole, out, most = fits.unbroken(method), folder / "run", int(10 ** random.uniform(2, 6))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    code, errors = fits.finished(fits.fit(whole.table, out, method, preexec_fn=limit, env=environment))
    case = f"{method}, files of {most} bytes"
    if "Traceback" in errors:
        return f"{case}: a traceback that ends with {errors.splitlines()[-1][:120]}"
    if code not in (0, 1):
        return f"{case}: it ends with {code}: {errors.splitlines()[-1:]}"
    fault = (fits.go_on(whole.table, out, method) if code else None) or fits.difference(out, whole.out)
    return fault and f"{case}, then with room: {fault}"


DISK = Experiment(
    "disk",
    "`bouba fit` where no file may be longer than 100 bytes to 1 MB, then `--resume` with room",
    "exit code 1 and no traceback; then the run equals one that had room",
    trial,
    trials=24,
    few=1,
    seconds=120,
    clock=240,
)
