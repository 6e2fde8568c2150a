"""What must hold before a release: `make release`.

Builds the sdist and the wheel, and installs each without extras on every Python of PYTHONS that is here, in a place of
its own, where `check_wheel.py` runs. Then every extra is resolved against the pins, beside the torch that is installed:
none may swap it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HOME = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def run(*words: str | Path, folder: Path = HOME) -> str:
    """Standard output. SystemExit with the last lines where it fails."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=alone)
    if done.returncode:
        raise SystemExit("\n".join([" ".join(map(str, words)), *(done.stdout + done.stderr).splitlines()[-20:]]))
    return done.stdout


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def version() -> str:
    """The one version, which the changelog must know.

    Raises:
        SystemExit: it does not.
    """
    found = VERSION.findall((HOME / "src" / "bouba" / "__init__.py").read_text(encoding="utf-8"))[0]
    if f"## [{found}]" not in (HOME / "CHANGELOG.md").read_text(encoding="utf-8"):
        raise SystemExit(f"CHANGELOG.md has no section [{found}]")
    return found


def pythons() -> dict[str, str]:
    """Version -> command, of those that start."""
    found = {}
    for name in PYTHONS:
        command = shutil.which(f"python{name}")
        if command and subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode == 0:
            found[name] = command
    return found


def extras() -> list[str]:
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["optional-dependencies"])


def install(python: str, built: Path, place: Path) -> Path:
    """The Python of an environment that has this and what it depends on, at the pins."""
    run(python, "-m", "venv", "--clear", place)
    inside = place / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", "--constraint", HOME / "constraints.txt", "torch")
    run(inside, "-m", "pip", "install", "--quiet", "--constraint", HOME / "constraints.txt", built)
    return inside


def swapped(inside: Path, built: Path, extra: str) -> str | None:
    """What an extra would put in the place of the torch that is there, if anything."""
    words = ["install", "--quiet", "--dry-run", "--report", "-", "--constraint", HOME / "constraints.txt"]
    report = json.loads(run(inside, "-m", "pip", *words, f"{built}[{extra}]"))
    torch = [each["metadata"] for each in report["install"] if each["metadata"]["name"].lower() == "torch"]
    return f"torch {torch[0]['version']}" if torch else None


def main() -> int:
    release, found = version(), pythons()
    shutil.rmtree(HOME / "dist", ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", "dist", ".")
    built = sorted((HOME / "dist").iterdir())
    say(f"built {', '.join(file.name for file in built)}")
    with tempfile.TemporaryDirectory() as folder:
        for name, python in found.items():
            for file in built:
                place = Path(folder) / f"{name}-{file.suffix.strip('.')}"
                inside = install(python, file, place)
                run(inside, HOME / "scripts" / "check_wheel.py", folder=place)
                say(f"Python {name}: {file.name} works without extras")
        wheel = next(file for file in built if file.suffix == ".whl")
        for extra in extras():
            if other := swapped(inside, wheel, extra):
                raise SystemExit(f"the extra {extra!r} would install {other} over the one that is there")
        say(f"{len(extras())} extras resolve, and leave torch as it is")
    missing = [name for name in PYTHONS if name not in found]
    say(
        f"bouba {release} can go out; "
        + (f"not tried here: Python {', '.join(missing)}" if missing else "on every Python")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
