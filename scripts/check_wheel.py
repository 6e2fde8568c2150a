"""What an installed wheel must do without extras: `make release` runs this in a bare environment, in another folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

import bouba

HOME = Path(__file__).parent.parent


def correlated_views(rows: int = 200, columns: int = 6) -> list[np.ndarray]:
    """Two views (rows, columns) that share two directions."""
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(rows, 2))
    return [latent @ draw.normal(size=(2, columns)) + 0.1 * draw.normal(size=(rows, columns)) for _ in range(2)]


def faults() -> list[str]:
    """What does not hold, as sentences."""
    found = []
    package = Path(bouba.__file__).parent
    if HOME / "src" in package.parents:
        found.append(f"{package} is the source, not an installed wheel")
    if version("bouba") != bouba.__version__:
        found.append(f"the wheel is {version('bouba')}, the package says {bouba.__version__}")
    if not (package / "py.typed").exists():
        found.append("py.typed is missing: type checkers will not read the annotations")
    if len(bouba.samples.emoji()) != 6376:
        found.append("the emoji sample is not whole")
    cca = bouba.CCA(2).fit(correlated_views())
    if cca.correlations_.min() < 0.9:
        found.append(f"CCA finds correlations {cca.correlations_}, planted are two near 1")
    shapes = [z.shape for z in cca.embed(correlated_views()).values()]
    if shapes != [(200, 2), (200, 2)]:
        found.append(f"CCA embeds two views as {shapes}")
    found += quick_start()
    command = [str(Path(sys.executable).parent / "bouba"), "--help"]
    if "inspect" not in subprocess.run(command, capture_output=True, text=True, check=False).stdout:
        found.append("`bouba --help` does not list its commands")
    return found


def quick_start() -> list[str]:
    """A term is trained, saved and loaded, and a table is read by the command, without any extra."""
    found = []
    views = bouba.read(dict(zip("ab", correlated_views(), strict=True)))
    model = bouba.Learner(objective=bouba.InfoNCE(), dim=4, epochs=5).fit(views)
    if not model.history_[-1]["loss"] < model.history_[0]["loss"]:
        found.append("InfoNCE learns nothing")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        same = bouba.load(Path(folder) / "model").embed(views)
        if any((z != same[name]).any() for name, z in model.embed(views).items()):
            found.append("a saved model embeds otherwise")
        table = Path(folder) / "things.csv"
        table.write_text("caption,size\na red circle,1.5\na blue square,2.5\na green bar,2.0\n")
        command = [str(Path(sys.executable).parent / "bouba"), "inspect", str(table)]
        if "3 rows" not in subprocess.run(command, capture_output=True, text=True, check=False).stdout:
            found.append("`bouba inspect` does not read a table of three rows")
    return found


def main() -> int:
    found = faults()
    sys.stderr.write("".join(f"{fault}\n" for fault in found) or f"bouba {bouba.__version__}: the wheel works\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
