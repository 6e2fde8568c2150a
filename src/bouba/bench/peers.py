"""bouba bench peers: what other libraries do too, on the same data, by the same judge, at their best setting.

A peer gets a virtual environment of its own, made once in the cache folder (`BOUBA_CACHE`): pip, its packages, and for
those that need it torch in bouba's own version, which has a CPU build. A seed is a draw of the data; both sides get the
same arrays and answer in a fresh process on one thread, by turns. What only the judge may see is kept from both.
"""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
import tempfile
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench.against.contest import Contest, Peer, ours_answered, shown, theirs_answered
from bouba.bench.fresh import cost_text
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import gain, mean
from bouba.data.disk import cache_folder
from bouba.errors import BoubaError, UsageError, nearest
from bouba.evaluation.table import Table


def names() -> list[str]:
    """Of the files of peers: those in `bouba.bench.against` that define PEER."""
    files = resources.files("bouba.bench.against").iterdir()
    return sorted(
        file.name.removesuffix(".py")
        for file in files
        if file.name.endswith(".py") and "\nPEER = " in file.read_text(encoding="utf-8")
    )


def command(
    against: Annotated[list[str] | None, typer.Option(help="A peer; may be repeated. All, if not said.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="This line of the table only; may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(help="At most so many.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data that bouba does not carry.")] = None,
    out: Out = None,
) -> None:
    """Score and CPU-seconds beside those of peers."""
    peers = [name.replace("-", "_") for name in against or names()]
    if unknown := next((name for name in peers if name not in names()), None):
        raise UsageError(f"no peer {unknown!r}{nearest(unknown, names())}")
    keeper = Keeper(out)
    figures: dict[str, Any] = dict(keeper.figures)
    for name in peers:
        peer: Peer = importlib.import_module(f"bouba.bench.against.{name}").PEER
        python = environment_of(peer)
        for each in peer.contests:
            if method and each.name not in method:
                continue
            if each.on_data and data is None:
                typer.echo(f"{peer.name}, {each.name}: left out; give --data")
                continue
            figures[f"{peer.name}: {each.name}"] = measured(name, peer, each, python, seeds, data)
            keeper.write(figures)
    print_tables(tables(figures))


def environment_of(peer: Peer) -> Path:
    """The Python of a peer's environment, which is made where it is not there.

    Raises:
        BoubaError: pip could not; with its last lines.
    """
    first = (f"torch=={version('torch').partition('+')[0]}",) if peer.torch else ()
    words = "\n".join([sys.version, *first, *peer.packages])
    folder = cache_folder() / "peers" / f"{peer.name}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / "made").exists():
        return python
    steps = [[sys.executable, "-m", "venv", "--clear", str(folder)]]
    steps += [[str(python), "-m", "pip", "install", "--quiet", *them] for them in (first, peer.packages) if them]
    for step in steps:
        run = subprocess.run(step, capture_output=True, text=True, check=False)
        if run.returncode:
            raise BoubaError(f"{' '.join(step)} failed:\n" + "\n".join(run.stderr.splitlines()[-8:]))
    (folder / "made").touch()
    return python


def measured(
    module: str, peer: Peer, contest: Contest, python: Path, seeds: int | None, data: Path | None
) -> dict[str, Any]:
    """Seed by seed: scores and CPU-seconds of both, by turns."""
    sides: dict[str, dict[str, list[float]]] = {side: {"score": [], "cpu_s": []} for side in ("ours", "theirs")}
    for seed in range(min(contest.seeds, seeds or contest.seeds)):
        arrays = contest.data(seed, data)
        with tempfile.TemporaryDirectory() as folder:
            given, answers = Path(folder) / "given.npz", Path(folder) / "answers.npz"
            np.savez(given, **shown(arrays))  # type: ignore[arg-type]
            for side in ("ours", "theirs") if seed % 2 else ("theirs", "ours"):
                if side == "ours":
                    made, cost = ours_answered(module, contest.name, given, answers)
                else:
                    made, cost = theirs_answered(python, module, contest, given, answers)
                sides[side]["score"].append(contest.score(arrays, made))
                sides[side]["cpu_s"].append(cost)
    facts = {"peer": peer.packages[0] if peer.packages else peer.name, "note": peer.note}
    return {**facts, **sides, "measure": contest.measure, "settings": contest.settings, "lowest": contest.lowest}


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "peers": a line a contest."""
    lines: list[list[str]] = []
    alike: dict[tuple[str, str], list[str]] = {}  # peer and settings -> contests
    for name, of in figures.items():
        peer, _, what = name.partition(": ")
        ours, theirs = (dict(enumerate(of[side]["score"])) for side in ("ours", "theirs"))
        cost = {side: float(np.mean(of[side]["cpu_s"])) for side in ("ours", "theirs")}
        lines.append(
            [
                peer,
                what,
                f"{of['measure']}{', lower is better' if of['lowest'] else ''}",
                mean(ours, 3),
                mean(theirs, 3),
                gain(ours, theirs, 3),
                *(cost_text(cost[side]) for side in ("ours", "theirs")),
                cost_text(cost["ours"] / cost["theirs"]),
            ]
        )
        alike.setdefault((of["peer"], of["settings"]), []).append(what)
    header = ["peer", "what", "measure", "bouba", "peer's", "difference", "CPU-s", "peer's CPU-s", "ratio"]
    others = dict.fromkeys(of["note"] for of in figures.values() if of["note"])
    note = " ".join(
        [
            "Means over draws of the data with 95% intervals (Student t); the difference is paired, bold where its "
            "interval leaves out 0. Each side fits in a fresh process on one thread; imports are not counted.",
            *(f"{'; '.join(whats)}: {peer}, {settings}." for (peer, settings), whats in alike.items()),
            *others,
        ]
    )
    return {"peers": Table(header, lines, labels=2, note=note)}
