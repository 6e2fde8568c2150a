"""What reading costs: clock and memory of large tables."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.reliability.experiment import Experiment

ROWS, PHOTOGRAPHS = 300_000, 8_000
MEMORY = """
import resource, sys
from bouba import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
views = read(sys.argv[1], text="caption")
print(len(views), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / len(views))
"""


def memory_trial(seed: int, folder: Path) -> str | None:
    file = folder / "captions.csv"
    with file.open("w", encoding="utf-8") as out:
        out.write("id,caption\n")
        out.writelines(f"{number},the thing of number {number} as it was seen that day\n" for number in range(ROWS))
    done = subprocess.run([sys.executable, "-c", MEMORY, str(file)], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    count, growth = done.stdout.split()
    return None if int(count) == ROWS and float(growth) <= 1 else f"{count} rows, {float(growth):.2f} kB a row"


def headers_trial(seed: int, folder: Path) -> str | None:
    from bouba import read

    random = np.random.default_rng(seed)
    for number in range(8):
        pixels = random.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(folder / f"source{number}.jpg")
    for number in range(PHOTOGRAPHS):
        os.link(folder / f"source{number % 8}.jpg", folder / f"{number:05d}.jpg")
    (folder / "table.csv").write_text("photo\n" + "".join(f"{n:05d}.jpg\n" for n in range(PHOTOGRAPHS)))
    read({"photo": [str(folder / "00000.jpg")] * 2}, image="photo")  # what is imported once is not counted
    spent = -time.process_time()
    views = read(folder / "table.csv", image="photo")
    spent += time.process_time()
    return None if len(views) == PHOTOGRAPHS and spent <= 2 else f"{len(views)} pictures, {spent:.1f} CPU-seconds"


MEMORY_OF_ROWS = Experiment(
    "memory",
    f"a CSV of {ROWS:,} captions is read",
    "the process grows by at most 1 kB a row",
    memory_trial,
    trials=1,
    few=0,
    seconds=30,
    alone=True,
)
HEADERS = Experiment(
    "headers",
    f"a table of {PHOTOGRAPHS:,} JPEGs of 640 x 480 is read",
    "at most 2 CPU-seconds",
    headers_trial,
    trials=1,
    few=0,
    seconds=30,
    alone=True,
)
