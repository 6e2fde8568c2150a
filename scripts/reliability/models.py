"""Saved models after harm: bytes flipped, files cut, descriptions changed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import bouba
from bouba.errors import BoubaError
from scripts.reliability.estimators import ARRAYS, ESTIMATORS, fit, outputs, rows
from scripts.reliability.experiment import Experiment

SAVED = sorted(set(ESTIMATORS) - set(ARRAYS))
ODD = (None, -1, 0, 1e308, 10**30, "", "x" * 5000, [], {}, True, [[[]]], {"is": "os:system"}, {"is": 5}, "\x00", 2**31)
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "pty.spawn"}
started: list[str] = []
"""Programs that were started, and foreign modules that were imported, while a model was loaded."""


def watch() -> None:
    """Note programs and foreign modules from now on."""

    def note(event: str, arguments: tuple) -> None:
        if event in STARTS or (event == "import" and str(arguments[0]).startswith("evil")):
            started.append(f"{event} {arguments[:1]}")

    sys.addaudithook(note)


watch()


@cache
def saved(name: str) -> Path:
    """A model of each kind, made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="reliability", dir=os.environ.get("RELIABILITY_FOLDER")))
    fit(name, some_rows(name)).save(folder / "model")
    return folder / "model"


def some_rows(name: str):
    random = np.random.default_rng(0)
    left = random.normal(size=(40, 4))
    classes = np.where(left[:, 0] > 0, "large", "small").astype(object)
    return rows(left, left @ random.normal(size=(4, 3)), classes=classes, sizes=left[:, 1], name=name)


def trial(seed: int, folder: Path) -> str | None:
    random = np.random.default_rng(seed)
    name = SAVED[seed % len(SAVED)]
    shutil.copytree(saved(name), folder / "model")
    done = HARMS[int(random.integers(len(HARMS)))](folder / "model", random)
    before, views = len(started), some_rows(name)
    try:
        model = bouba.load(folder / "model")
        outputs(name, model, views)
    except BoubaError as error:
        if "\n" in str(error):
            return f"{name}, {done}: a message of several lines: {error}"
    except Exception as error:
        return f"{name}, {done}: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return f"{name}, {done}: {started[before:]}" if len(started) > before else None


def _flip(model: Path, random: np.random.Generator) -> str:
    file = model / str(random.choice(["model.json", "model.safetensors"]))
    data = bytearray(file.read_bytes())
    end = len(data) if random.random() < 0.5 else min(len(data), 400)  # the header lies in front
    places = random.integers(0, end, int(random.integers(1, 6)))
    for place in places:
        data[place] ^= 1 << int(random.integers(8))
    file.write_bytes(data)
    return f"bits flipped in {file.name} at {places.tolist()}"


def _cut(model: Path, random: np.random.Generator) -> str:
    file = model / str(random.choice(["model.json", "model.safetensors"]))
    data = file.read_bytes()
    kept = int(random.integers(0, len(data)))
    file.write_bytes(data[:kept])
    return f"{file.name} cut to {kept} bytes"


def _gone(model: Path, random: np.random.Generator) -> str:
    file = model / str(random.choice(["model.json", "model.safetensors"]))
    file.unlink()
    if random.random() < 0.5:
        file.mkdir()
    return f"{file.name} is {'a folder' if file.exists() else 'gone'}"


def _change(model: Path, random: np.random.Generator) -> str:
    """One place of the description, however deep, lacks or holds something else."""
    file = model / "model.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    places = list(_places(facts))
    holder, step, path = places[int(random.integers(len(places)))]
    if random.random() < 0.3:
        del holder[step]
        done = f"{path} is gone"
    else:
        value = ODD[int(random.integers(len(ODD)))]
        holder[step] = value
        done = f"{path} = {str(value)[:30]!r}"
    file.write_text(json.dumps(facts), encoding="utf-8")
    return done


def _class(model: Path, random: np.random.Generator) -> str:
    """Another class than the model's: a foreign one, a function, one of bouba's that is no model."""
    names = [
        "evil:Boom",
        "os:system",
        "subprocess:Popen",
        "bouba.errors:UsageError",
        "bouba.persist:load",
        "bouba.cli:main",
    ]
    names += ["bouba.align.cca:CCA", "bouba.terms.info_nce:InfoNCE", "bouba:..", "", "bouba.search.index:Index.create"]
    name = names[int(random.integers(len(names)))]
    file = model / "model.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(facts | {"class": name}), encoding="utf-8")
    return f"its class is {name!r}"


def _tensors(model: Path, random: np.random.Generator) -> str:
    """Arrays of other shapes, of other types, with NaN, or fewer of them."""
    from safetensors.numpy import load_file, save_file

    arrays = load_file(model / "model.safetensors")
    if not arrays:
        return "nothing"
    name = sorted(arrays)[int(random.integers(len(arrays)))]
    how = int(random.integers(4))
    array = arrays.pop(name)
    changed = [None, np.zeros((*array.shape, 2), array.dtype), array.astype(np.int8), np.full_like(array, -1)][how]
    save_file(arrays | ({} if changed is None else {name: changed}), model / "model.safetensors")
    return f"the array {name} is {('gone', 'of another shape', 'of bytes', 'all -1')[how]}"


HARMS = (_flip, _flip, _cut, _gone, _change, _change, _change, _class, _tensors)


def _places(facts, path=""):
    """(holder, key or number, dotted path) of every value in a description."""
    steps = facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ()
    for step, value in list(steps):
        yield facts, step, f"{path}.{step}".lstrip(".")
        yield from _places(value, f"{path}.{step}")


MODELS = Experiment(
    "models",
    "a saved model of every class with bits flipped, files cut or gone, its description or arrays changed; then loaded",
    "it works, or is refused in one line; no program started, no foreign module imported",
    trial,
    trials=200,
    few=20,
    seconds=90,
    clock=60,
    memory=4 << 30,
)
