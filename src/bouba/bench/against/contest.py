"""A contest with a peer: the same arrays in, arrays out, the same judge, CPU-seconds of both.

Ours runs in a process of bouba, theirs in one of the peer's own virtual environment, which has neither bouba nor its
versions: a function of `theirs/NAME.py`, which may import the peer and NumPy. What is imported is not timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bouba.errors import BoubaError

Arrays = Mapping[str, NDArray]
"""Name -> array of numbers or of text; what goes into a contest, and what each side answers."""
HERE = Path(__file__).parent
LAST_LINES = 15  # of an error


@dataclass(frozen=True)
class Contest:
    """One thing that both can do.

    Args:
        name: also that of the function in `theirs/`, with "_" for what is no letter or number.
        measure: what `score` gives, in words. settings: what the peer runs with, and how that was chosen.
        data: (seed, folder of the data that bouba does not carry or None) -> arrays that both get; what only the judge
            may see begins with "judge_" and is kept from both.
        ours: arrays -> answers. score: (arrays, answers) -> number.
        seeds: how many. lowest: whether lower is better. on_data: whether `data` reads the folder.
    """

    name: str
    measure: str
    settings: str
    data: Callable[[int, Path | None], Arrays]
    ours: Callable[[Arrays], Arrays]
    score: Callable[[Arrays, Arrays], float]
    seeds: int = 5
    lowest: bool = False
    on_data: bool = False

    @property
    def function(self) -> str:
        """Of `theirs/NAME.py`."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.name).lower()


@dataclass(frozen=True)
class Peer:
    """Who is compared with.

    Args:
        name: as the field calls it. packages: what pip installs into its environment, versions pinned.
        contests: in the order of the table. torch: whether it gets the build of torch that bouba has, first.
        note: what the numbers do not say: what could not be run, and why.
    """

    name: str
    packages: tuple[str, ...]
    contests: tuple[Contest, ...]
    torch: bool = False
    note: str = ""


def shown(arrays: Arrays) -> dict[str, NDArray]:
    """Without what only the judge may see."""
    return {name: array for name, array in arrays.items() if not name.startswith("judge_")}


def answered(python: Path, script: list[str], given: Path, answers: Path) -> tuple[dict[str, NDArray], float]:
    """What a fresh process answers, on one thread, and the CPU-seconds it took without its imports.

    Args:
        python: of which environment. script: what it runs; gets the paths of both files behind its own words.

    Raises:
        BoubaError: it failed; with its last lines.
    """
    words = [str(python), *script, str(given), str(answers)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if run.returncode:
        last = "\n".join(run.stderr.splitlines()[-LAST_LINES:])
        raise BoubaError(f"{' '.join(words[:4])} failed with {run.returncode}:\n{last}")
    with np.load(answers, allow_pickle=False) as kept:
        return dict(kept), json.loads(run.stdout.splitlines()[-1])["cpu_s"]


def ours_answered(module: str, contest: str, given: Path, answers: Path) -> tuple[dict[str, NDArray], float]:
    """The same of bouba."""
    code = "import sys; from bouba.bench.against.contest import answer; answer(*sys.argv[1:])"
    return answered(Path(sys.executable), ["-c", code, module, contest], given, answers)


def theirs_answered(python: Path, module: str, contest: Contest, given: Path, answers: Path):
    """The same of the peer, by the Python of its environment; -P, because files here have the names of peers."""
    script = ["-P", str(HERE / "theirs" / "run.py"), str(HERE / "theirs" / f"{module}.py"), contest.function]
    return answered(python, script, given, answers)


def answer(module: str, contest: str, given: str, answers: str) -> None:
    """In a fresh process: bouba's side of a contest."""
    import importlib

    from bouba.bench.against.theirs.run import answer_by

    peer: Peer = importlib.import_module(f"bouba.bench.against.{module}").PEER
    answer_by(next(c for c in peer.contests if c.name == contest).ours, given, answers)
