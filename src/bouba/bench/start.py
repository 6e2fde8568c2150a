"""bouba bench start: what a command costs before it answers, beside what importing torch costs.

Each line is a process of its own that starts cold, does one small thing and ends. All of them are run in turn, several
times over; the least CPU-seconds of each count, since whatever else a machine does only adds to them. The runs that are
searched are made first: frozen encoders with a closed form between them, and towers that were trained. Modules are
those of HEAVY that a process had imported when it ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table

HEAVY = ("torch", "sklearn", "lancedb", "accelerate", "scipy.stats", "pandas", "plotly", "transformers")
TORCH = "import torch"
MODEL = "x = numpy.random.default_rng(0).normal(size=(200, 5)); CCA(2, ridge=0.1).fit([x, x[:, ::-1]])"
ENDING = "import sys; sys.stderr.write('\\n' + ' '.join(name for name in {names!r} if name in sys.modules))"
COMMAND = """
import sys
sys.argv = ["bouba", *{words!r}]
from bouba.cli import main
try:
    main()
except SystemExit as ending:
    assert not ending.code or {refused}, ending.code
"""


def command(
    repeats: Annotated[int, typer.Option(help="Times that each is run; the least of them counts.", min=1)] = 5,
    run: Annotated[Path | None, typer.Option(help="Also search this run, for example runs/demo.")] = None,
    out: Out = None,
) -> None:
    """CPU-seconds of commands from a cold start, beside those of importing torch."""
    keeper = Keeper(out)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(starts(Path(folder), run), repeats)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: Mapping[str, Any]) -> dict[str, Table]:
    """ "starts": what each costs."""
    torch = figures[TORCH]["cpu_s"]
    lines = [
        [name, f"{of['cpu_s']:.2f}", f"{of['cpu_s'] / torch:.2f}", ", ".join(of["modules"]) or "-"]
        for name, of in figures.items()
    ]
    note = "CPU-seconds of a process, the least of several; then how many times as much as importing torch."
    return {"starts": Table(["a cold start", "CPU-s", "x torch", "imports"], lines, note=note)}


def starts(folder: Path, run: Path | None = None, *, methods: Sequence[str] = ("few-pairs", "clip")) -> dict[str, str]:
    """What is measured -> its program.

    Args:
        folder: for the table and the runs that are searched, which are made here. run: one more to search.
        methods: of the runs.
    """
    table = folder / "table.csv"
    words = ("red", "green", "blue", "round", "square", "small", "large", "old")
    rows = [f"a {a} {b} thing,{i},{j}" for i, a in enumerate(words) for j, b in enumerate(words)]
    table.write_text("\n".join(["title,width,height", *rows]) + "\n", encoding="utf-8")
    runs = {} if run is None else {f"search {run}": run}
    for method in methods:
        runs[f"search a run of {method}"] = folder / method
        options = ["--method", method, "--vector", "width", "--vector", "height", "-o", str(folder / method)]
        options += ["--towers", "scratch", "--epochs", "2"] if method == "clip" else []
        subprocess.run([sys.executable, "-m", "bouba", "fit", str(table), *options], check=True, capture_output=True)
    refused = ["fit", str(table), "-o", str(folder / "none"), "--method"]
    return {
        TORCH: TORCH,
        "import CCA": "from bouba import CCA",
        "import CCA, fit arrays": f"import numpy; from bouba import CCA; {MODEL}",
        "bouba --help": program(["--help"]),
        "bouba methods": program(["methods"]),
        "bouba inspect table.csv": program(["inspect", str(table)]),
        "a wrong --method": program([*refused, "clipp"], refused=True),
        "a wrong --text": program([*refused, "clip", "--text", "titel"], refused=True),
        "a target that is not there": program([*refused, "clip", "--target", "moon"], refused=True),
        "a recipe that is not there": program([*refused, "clip", "--recipe", "no.toml"], refused=True),
        "a table that is not there": program(["fit", str(folder / "no.csv"), *refused[2:], "clip"], refused=True),
        "a run that is not there": program(["search", str(folder / "none"), "red"], refused=True),
        **{name: program(["search", str(at), "snowman"]) for name, at in runs.items()},
    }


def program(words: Sequence[str], *, refused: bool = False) -> str:
    """Python that runs a command as its console script does. `refused`: it may end with an error."""
    return COMMAND.format(words=list(words), refused=refused)


def measure(programs: Mapping[str, str], repeats: int) -> dict[str, Any]:
    """Name -> least CPU-seconds, and the heavy modules imported."""
    figures: dict[str, Any] = {}
    for _ in range(repeats):
        for name, text in programs.items():
            spent, modules = cold(text)
            least = min(spent, figures[name]["cpu_s"]) if name in figures else spent
            figures[name] = {"cpu_s": least, "modules": modules}
    return figures


def cold(text: str, names: Sequence[str] = HEAVY) -> tuple[float, list[str]]:
    """CPU-seconds of a program of Python in a process of its own, and which of some modules it imported.

    Raises:
        RuntimeError: it failed.
    """
    words = [sys.executable, "-c", f"{text}\n{ENDING.format(names=tuple(names))}"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        written = errors.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"a process ended with {process.returncode}: {written[-2000:]}")
    return used.ru_utime + used.ru_stime, written.rpartition("\n")[2].split()
