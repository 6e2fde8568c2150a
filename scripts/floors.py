"""The lowest versions that pyproject.toml allows, one `name==version` a line: `make test-floors` installs them.

python scripts/floors.py [EXTRA ...]

Two are not taken at their floor. torch: its wheels before the one in constraints.txt come with gigabytes of CUDA, so it
stays as pinned there and its floor is not tested. An extra that names bouba itself is followed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

HOME = Path(__file__).parent.parent
NOT_LOWERED = ("torch",)


def floors(extras: list[str]) -> dict[str, str]:
    """Distribution -> lowest version, of the core and of the extras named.

    Raises:
        ValueError: a requirement without a floor.
    """
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    optional = project.get("optional-dependencies", {})
    lowest = {}
    for requirement in [*project["dependencies"], *(line for extra in extras for line in optional[extra])]:
        name, comma_separated = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?.*", requirement).groups()
        if name == project["name"]:
            lowest |= floors(comma_separated.split(","))
            continue
        floor = re.search(r">=\s*([\w.]+)", requirement)
        if floor is None:
            raise ValueError(f"{requirement!r} in pyproject.toml names no lowest version; write >=")
        lowest[name.lower()] = floor[1]
    return lowest


def pins() -> dict[str, str]:
    """Distribution -> version, as constraints.txt says."""
    lines = (HOME / "constraints.txt").read_text().splitlines()
    return {name.lower(): version for name, version in (line.split("==") for line in lines if "==" in line)}


def main() -> None:
    lowest = floors(sys.argv[1:]) | {name: pins()[name] for name in NOT_LOWERED}
    sys.stdout.write("".join(f"{name}=={version}\n" for name, version in lowest.items()))


if __name__ == "__main__":
    main()
