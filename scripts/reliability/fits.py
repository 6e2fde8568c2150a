"""Small tables, fits of them on the command line, and whether two run folders hold the same."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

METHODS = {
    "clip": ["--method", "clip"],
    "adapted-clip": ["--method", "adapted-clip", "--target", "shop"],
    "autoencoder": ["--method", "autoencoder"],
    "gan": ["--method", "gan", "--from", "caption", "--to", "photo", "--no-baseline"],
}
"""Name -> what `bouba fit` is given."""
COMMON = ["--epochs", "3", "--dim", "8", "--batch-size", "32", "--seed", "0", "--holdout", "0.2"]
CLOCKS = ("seconds", "elapsed", "facts")  # the sum of facts covers those clocks


def write_table(folder: Path, rows: int = 72) -> Path:
    """Pictures of 12 x 12 with captions, labels and two domains."""
    random = np.random.default_rng(0)
    colours = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
    with (folder / "things.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "caption", "label", "domain"])
        for number in range(rows):
            name = list(colours)[number % 4]
            pixels = np.clip(np.array(colours[name]) + random.normal(0, 12, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
            writer.writerow([f"{number:02d}.png", f"a {name} thing", name, "shop" if number % 2 else "studio"])
    return folder / "things.csv"


def fit(table: Path, out: Path, method: str, *more: str, **options) -> subprocess.Popen:
    """`bouba fit`, started; **options of Popen."""
    command = [sys.executable, "-m", "bouba", "fit", str(table), "-o", str(out), *METHODS[method], *COMMON, *more]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, **options)


def finished(process: subprocess.Popen) -> tuple[int, str]:
    """(exit code, the last line of its errors)."""
    _, errors = process.communicate()
    return process.returncode, (errors or "").strip()


def go_on(table: Path, out: Path, method: str) -> str | None:
    """The commands of a person after a run was cut off: --resume, or anew where there is nothing to resume."""
    for more in (["--resume"], []):
        if out.exists():
            return None
        code, errors = finished(fit(table, out, method, *more))
        if "Traceback" in errors:
            return f"{' '.join(more) or 'fit'} after a kill: {errors.splitlines()[-1]}"
        if not code:
            return None
    return f"neither --resume nor a new fit goes on: {errors.splitlines()[-1:]}"


@dataclass(frozen=True)
class Unbroken:
    """A run that nothing cut off."""

    table: Path
    out: Path
    seconds: float


@cache
def unbroken(method: str) -> Unbroken:
    """Fitted once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="reliability", dir=os.environ.get("RELIABILITY_FOLDER")))
    table, started = write_table(folder), time.monotonic()
    code, errors = finished(fit(table, folder / "run", method))
    if code:
        raise RuntimeError(f"the fit that nothing disturbs fails: {errors}")
    return Unbroken(table, folder / "run", time.monotonic() - started)


def difference(run: Path, expected: Path) -> str | None:
    """In what a run folder is not the other to the bit, clocks aside; also what was left beside it."""
    names, expected_names = (sorted(file.name for file in folder.iterdir()) for folder in (run, expected))
    if names != expected_names:
        return f"it holds {names}, not {expected_names}"
    beside = [file.name for file in run.parent.iterdir() if run.name in file.name and file != run]
    if [name for name in beside if not name.endswith(".lock")]:
        return f"beside it stands {beside}"
    if (run / "model/model.safetensors").read_bytes() != (expected / "model/model.safetensors").read_bytes():
        return "the weights differ"
    for name in ("model/model.json", "metrics.json", "recipe.toml", "bad_rows.jsonl", "history.jsonl"):
        if (run / name).exists() and _facts(run / name) != _facts(expected / name):
            return f"{name} differs"
    return _index_fault(run, expected)


def _index_fault(run: Path, expected: Path) -> str | None:
    from bouba.search import Index

    if not (expected / "index").exists():
        return None
    index, other = Index.open(run / "index"), Index.open(expected / "index")
    query = np.linspace(1, 2, index.dim)
    hits, others = ([(hit.row, hit.view) for hit in i.search(query, k=20)] for i in (index, other))
    return None if hits == others and len(index) == len(other) else "the index finds other rows"


def _facts(file: Path):
    """What a file says, without clocks and times."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".toml":
        return text
    return [_timeless(json.loads(line)) for line in ([text] if file.suffix == ".json" else text.splitlines())]


def _timeless(facts):
    if isinstance(facts, dict):
        return {k: _timeless(v) for k, v in facts.items() if not any(clock in k for clock in (*CLOCKS, "time", "date"))}
    return [_timeless(fact) for fact in facts] if isinstance(facts, list) else facts
