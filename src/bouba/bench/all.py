"""bouba bench all: every measurement that README and docs show, a JSON file each.

Each bench runs in a process of its own, so that its memory and time are its own. A file that is there is left as it is,
or finished where a bench goes on from it; --again measures anew. What `make tables` fills into the pages are the files
in benchmarks/results.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from bouba.bench.kept import Kept
from bouba.errors import BoubaError, UsageError, nearest

PUBLISHED = {
    "emoji": "emoji",
    "emoji-near": "emoji --style noto --style twemoji --style fluent --seeds 2 --method CLIP --method 'CLIP + DANN' "
    "--method 'frozen CCA' --method 'frozen CLIP' --method 'frozen CLIP + CORAL' --method FewPairs",
    "words": "words",
    "few-pairs": "few-pairs",
    "semi-paired": "semi-paired",
    "wrong-pairs": "wrong-pairs",
    "calibration": "calibration",
    "towers": "towers",
    "mnist-m": "mnist-m",
    "usps": "usps",
    "speakers": "speakers",
    "features": "features",
    "mfeat": "mfeat",
    "av-digits": "av-digits",
    "cache": "cache",
    "embedding": "embedding",
    "cca": "cca",
    "sparse-cca": "sparse-cca",
    "info-nce": "info-nce",
    "throughput": "throughput",
    "mmd": "mmd",
    "memory": "memory",
    "mnist-halves": "mnist-halves",
    "simclr": "simclr",
    "text-to-emoji": "text-to-emoji",
    "intervals": "intervals",
    "scaling": "scaling",
    "search": "search",
    "serve": "serve",
    "start": "start",
    "peers-cca-zoo": "peers --against cca-zoo",
    "peers-mofa": "peers --against mofa",
    "peers-multivae": "peers --against multivae",
    "peers-sentence-transformers": "peers --against sentence-transformers",
    "peers-skada": "peers --against skada",
}
"""File -> the bench and its options."""
ON_DATA = (
    "towers",
    "features",
    "mnist-m",
    "usps",
    "speakers",
    "av-digits",
    "mnist-halves",
    "peers-multivae",
    "peers-skada",
)
"""Files of benches that read data which bouba does not carry."""


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the JSON files.")] = Path("benchmarks/results"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data that bouba does not carry; without it, their benches wait.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="This file only; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what has been measured.")] = False,
) -> None:
    """Run the benches whose file is missing, and say what each cost."""
    if unknown := next((name for name in only or () if name not in PUBLISHED), None):
        raise UsageError(f"no {unknown!r}{nearest(unknown, PUBLISHED)}")
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in only or PUBLISHED:
        file, words = out / f"{name}.json", shlex.split(PUBLISHED[name])
        if name in ON_DATA and data is None:
            typer.echo(f"{name}: left out; give --data")
            continue
        if again:
            file.unlink(missing_ok=True)
        if name in ON_DATA:
            words += ["--data", str(data)]
        if file.exists() and not again and only is None:
            typer.echo(f"{name}: there already")
            continue
        run = subprocess.run([sys.executable, "-m", "bouba", "bench", *words, "--out", str(file)], check=False)
        typer.echo(f"{name}: {_outcome(file) if run.returncode == 0 else f'failed with {run.returncode}'}")
        failed += [name] if run.returncode else []
    if failed:
        raise BoubaError(f"{len(failed)} benches failed: {', '.join(failed)}")


def _outcome(file: Path) -> str:
    kept = Kept.read(file)
    return f"{kept.cpu_seconds:,.0f} CPU-s, {kept.peak_mb:,.0f} MB"
