"""bouba bench memory: what reading, fitting by CCA, embedding and indexing hold in memory, by the number of rows.

Tables of captions and vectors, and of pictures and captions, are made with a seed and written as Parquet into a
temporary folder, where copies that are mapped go too. Each stage runs in a process of its own, which reads the table
first. `private` is the most of its own memory that the process held at once (RssAnon on Linux), looked at every 20 ms;
`all` is the most that stood in memory with the pages of mapped files among it, which the system takes back when
somebody needs them. Where private memory cannot be told, `all` stands for both.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table

WIDTH, WORDS, VOCABULARY = 128, 8, 3000
SIDE = 64  # pixels of a picture
TAUGHT = 2000  # pictures that CCA is fitted on
AT_ONCE = 4096
STAGES = ("read", "fit", "embed", "index")


def command(
    rows: Annotated[list[int] | None, typer.Option(help="Rows of captions and vectors; repeat for several.")] = None,
    pictures: Annotated[list[int] | None, typer.Option(help="Rows of pictures, 0 for none; may be repeated.")] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help=f"Only this one of {', '.join(STAGES)}; may be repeated.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where data are written meanwhile.")] = None,
    out: Out = None,
) -> None:
    """Private memory of each stage at several sizes."""
    keeper = Keeper(out)
    figures: dict[str, Any] = {"stages": [], "width": WIDTH, "words": WORDS, "side": SIDE}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for n in rows or (10_000, 100_000, 1_000_000):
            table = write_captions(Path(place), n)
            for name in stage or STAGES:
                figures["stages"].append({"data": "captions and vectors", "rows": n, **measured(name, table)})
                keeper.write(figures)
        for n in filter(None, pictures or (10_000, 100_000)):
            table = write_pictures(Path(place), n)
            figures["stages"].append({"data": "pictures and captions", "rows": n, **measured("embed", table)})
            keeper.write(figures)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "memory": of each stage by rows."""
    lines = []
    for one in figures["stages"]:
        memory = [f"{one[name]:,.0f}" for name in ("private_mb", "all_mb")]
        lines.append([one["data"], one["stage"], f"{one['rows']:,}", *memory, f"{one['cpu_s']:,.0f}"])
    note = (
        f"Captions of {figures['words']} words, vectors of {figures['width']} numbers, JPEGs of {figures['side']} "
        "pixels a side, from Parquet. Each stage is a process of its own and reads the table first; private memory "
        "leaves out the pages of mapped files."
    )
    return {"memory": Table(["table", "stage", "rows", "private MB", "all MB", "CPU-s"], lines, note=note)}


def write_captions(folder: Path, n: int) -> Path:
    """Captions of made-up words, and vectors that are sums of one vector a word with noise."""
    import pyarrow as pa

    random = np.random.default_rng(0)
    meanings = random.normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    words = _words()

    def parts() -> Iterator[Any]:
        for start in range(0, n, AT_ONCE):
            chosen = random.integers(0, VOCABULARY, (min(AT_ONCE, n - start), WORDS))
            vectors = meanings[chosen].sum(1) + random.normal(size=(len(chosen), WIDTH)).astype(np.float32)
            captions = [" ".join(words[word] for word in row) for row in chosen]
            yield {"caption": captions, "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), WIDTH)}

    return _written(folder / f"captions-{n}.parquet", parts())


def write_pictures(folder: Path, n: int) -> Path:
    """JPEGs of coloured noise, and captions that name the colour."""
    from PIL import Image

    random = np.random.default_rng(0)
    words = _words()

    def parts() -> Iterator[Any]:
        for start in range(0, n, 1000):
            pictures, captions = [], []
            for _ in range(min(1000, n - start)):
                colour = random.integers(0, 8, 3)
                noise = random.integers(0, 32, (SIDE, SIDE, 3))
                file = io.BytesIO()
                Image.fromarray((colour * 28 + noise).astype(np.uint8)).save(file, "JPEG")
                pictures.append(file.getvalue())
                captions.append(" ".join(words[value + 8 * place] for place, value in enumerate(colour.tolist())))
            yield {"picture": pictures, "caption": captions}

    return _written(folder / f"pictures-{n}.parquet", parts())


def _words() -> list[str]:
    letters = np.random.default_rng(1).integers(0, 20, (VOCABULARY, 6))
    return ["".join("bcdfghjklmnpaeiourst"[letter] for letter in word) for word in letters]


def _written(path: Path, parts: Iterator[Any]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for part in parts:
        table = pa.table(part)
        writer = pq.ParquetWriter(path, table.schema) if writer is None else writer
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def measured(stage: str, table: Path) -> dict[str, Any]:
    """Memory in MB and CPU-seconds of one stage in a process of its own."""
    code = "import sys; from bouba.bench.memory import run; run(*sys.argv[1:])"
    environment = os.environ | {"BOUBA_CACHE": str(table.parent / "cache")}
    child = subprocess.Popen([sys.executable, "-c", code, stage, str(table)], stdout=subprocess.PIPE, env=environment)
    private = 0.0
    while child.poll() is None:
        private = max(private, _private_mb(child.pid))
        time.sleep(0.02)
    printed = child.stdout.read() if child.stdout is not None else b""
    if child.returncode:
        raise RuntimeError(f"{stage} of {table.name} ended with {child.returncode}")
    facts = json.loads(printed.splitlines()[-1])
    return {"stage": stage, "private_mb": private or facts["all_mb"], **facts}


def _private_mb(process: int) -> float:
    """Memory that a process shares with no file; 0 where the system does not say, or the process has ended."""
    try:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def run(stage: str, table: str) -> None:
    """One stage, in the process that is measured; its cost as JSON. The model is fitted once and kept."""
    import bouba
    from bouba.align import CCA
    from bouba.bench.fresh import high_water_mb

    views = bouba.read(table)
    kept = Path(f"{table}.model")
    if stage != "read" and (stage == "fit" or not kept.exists()):
        taught = views[np.arange(min(TAUGHT, len(views)))] if "image" in views.modalities.values() else views
        model = CCA(min(64, len(taught) // 2), ridge=0.1).fit(taught)
        model.save(kept)
    if stage == "embed":
        model = bouba.load(kept)
        total = 0.0
        for start in range(0, len(views), AT_ONCE):
            z = model.embed(views[np.arange(start, min(start + AT_ONCE, len(views)))])
            total += sum(float(np.abs(values).sum()) for values in z.values())
        assert np.isfinite(total)
    if stage == "index":
        from bouba.runs.indexing import write_search

        write_search(bouba.load(kept), views, Path(f"{table}.run"))
    sys.stdout.write(json.dumps({"all_mb": high_water_mb(), "cpu_s": time.process_time()}) + "\n")
