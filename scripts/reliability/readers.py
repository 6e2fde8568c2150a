"""Four readers of an index while one process replaces it and one adds rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.reliability.experiment import Experiment

SECONDS = 8
COMMON = """
import sys, time
import numpy as np
from bouba.errors import DataError
from bouba.search import Index
path, end, random = sys.argv[1], time.monotonic() + float(sys.argv[2]), np.random.default_rng(int(sys.argv[3]))
z = np.random.default_rng(0).normal(size=(30, 4))
done = 0
"""
READER = """
while time.monotonic() < end:
    row = int(random.integers(30))
    try:
        hit = Index.open(path).search(z[row], k=1)[0]
    except DataError as error:
        if "open it again" not in str(error):
            sys.exit(f"{error}")
        continue
    if hit.columns["name"] != f"name {hit.row % 30}" or hit.row % 30 != row:
        sys.exit(f"row {row} is found as {hit}")
    done += 1
"""
REPLACER = """
while not done or time.monotonic() < end:
    Index.create(path, {"a": z}, columns={"name": [f"name {n}" for n in range(30)]})
    done += 1
"""
ADDER = """
while time.monotonic() < end:
    rows = 30 * int(random.integers(1, 5)) + np.arange(30)
    try:
        Index.open(path).add({"a": z}, columns={"name": [f"name {n}" for n in range(30)]}, rows=rows)
    except DataError as error:
        if "open it again" not in str(error):
            sys.exit(f"{error}")
    done += 1
"""
END = """
if not done:
    sys.exit("nothing was done")
"""


def trial(seed: int, folder: Path) -> str | None:
    def start(code: str, number: int, seconds: float = SECONDS) -> subprocess.Popen:
        command = [
            sys.executable,
            "-c",
            COMMON + code + END,
            str(folder / "index"),
            str(seconds),
            str(10 * seed + number),
        ]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    start(REPLACER, 0, 0.01).wait()
    roles = {"the refit": [REPLACER], "the addition": [ADDER], "a reader": [READER] * 4}
    started = [(role, start(code, number)) for role, codes in roles.items() for number, code in enumerate(codes)]
    ends = [(role, process.communicate()[1].strip(), process.returncode) for role, process in started]
    faults = [f"{role}: {errors.splitlines()[-1][:200]}" for role, errors, code in ends if code]
    return faults[0] if faults else None


READERS = Experiment(
    "readers",
    f"4 processes search an index for {SECONDS} s while one replaces it and one adds rows",
    "each answer is of the old or the new rows, or says to open it again",
    trial,
    trials=4,
    few=0,
    seconds=90,
    clock=90,
    alone=True,
)
