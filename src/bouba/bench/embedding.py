"""bouba bench embedding: memory and CPU of bouba embed over a lake of Parquet files, by one process and by two.

Pictures of 32 x 32 pixels with captions, a thousand a file, are embedded by a convolutional network and n-grams, whose
weights hardly matter here. Each measurement is the command itself in a process of its own. Memory is flat where the
peak does not grow with the rows; the work of two processes is shared out where their CPU-seconds are those of one, but
for what a second process needs to start.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from PIL import Image

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table
from bouba.runs.run import Run

FILE_ROWS = 1000
FIRST = 100  # rows that the model learns from
COLOURS = ("red", "green", "blue", "grey")
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stdout.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")
"""
"""Between the bench and the command: the peak of a child counts from that of its parent, so this one is small."""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def command(
    rows: Annotated[list[int] | None, typer.Option(help="Rows of a lake; may be repeated.")] = None,
    processes: Annotated[int, typer.Option(help="Processes of torchrun that share the smallest lake.")] = 2,
    out: Out = None,
) -> None:
    """Peak memory and CPU-seconds of bouba embed."""
    keeper = Keeper(out)
    figures = measure(sorted(rows or [20_000, 100_000]), processes)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "embedding": what it takes."""
    lines = [
        [
            f"{each['rows']:,}",
            str(each["processes"]),
            f"{each['cpu_s']:.1f}",
            f"{1000 * (each['cpu_s'] - each['start_cpu_s']) / (each['rows'] - FIRST):.2f}",
            f"{each['peak_mb']:,.0f}",
        ]
        for each in figures["lakes"]
    ]
    few, many = figures["lakes"][0], figures["lakes"][-1]
    note = (
        f"{FILE_ROWS:,} rows a file. CPU-ms a row: without those of a lake of {FIRST} rows, mostly the start. "
        f"{many['rows'] / few['rows']:.0f} times the rows take {many['peak_mb'] / few['peak_mb']:.2f} times the memory."
    )
    return {"embedding": Table(["rows", "processes", "CPU-s", "CPU-ms a row", "peak, MB"], lines, note=note)}


def measure(rows: list[int], processes: int) -> dict[str, Any]:
    """Figures of each lake."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_lake(place / "first", FIRST)
        run = Run.fit(
            place / "first" / "000.parquet",
            method="clip",
            towers="scratch",
            epochs=1,
            dim=128,
            baseline=False,
            out=place / "run",
        )
        launches = {1: [], processes: [*TORCHRUN, str(processes)] if processes > 1 else []}
        starts = {number: _embedded(run, place / "first", launch)[0] for number, launch in launches.items()}
        lakes = []
        for count in rows:
            write_lake(place / f"{count}", count)
            for number in launches if count == rows[0] else (1,):
                cpu, peak = _embedded(run, place / f"{count}", launches[number])
                figures = {"rows": count, "processes": number, "cpu_s": cpu, "start_cpu_s": starts[number]}
                lakes.append(figures | {"peak_mb": peak})
    return {"lakes": lakes}


def write_lake(folder: Path, rows: int) -> None:
    """Parquet files of pictures and captions."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for start in range(0, rows, FILE_ROWS):
        numbers = range(start, min(start + FILE_ROWS, rows))
        table = {
            "picture": [_picture(number, random) for number in numbers],
            "caption": [f"number {number} in {COLOURS[number % 4]}" for number in numbers],
        }
        pq.write_table(pa.table(table), folder / f"{start // FILE_ROWS:03d}.parquet")


def _picture(number: int, random: np.random.Generator) -> bytes:
    """A noisy square as PNG."""
    pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
    pixels[8:24, 8:24, number % 3] += 150
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _embedded(run: Run, lake: Path, launch: list[str]) -> tuple[float, float]:
    """CPU-seconds of all processes and the peak of the largest in MB, of the command in processes of its own."""
    out = lake.with_suffix(".vectors.parquet")
    words = [sys.executable, *launch, "-m", "bouba", "embed", str(run.path), str(lake), "-o", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    out.unlink()
    cpu, peak = map(float, done.stdout.split())
    return cpu, peak / 1024
