"""bouba licenses: what bouba stands on, as it is installed, and under which licences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any

import typer

from bouba.cli.options import Json
from bouba.cli.printing import text_columns

LONGEST = 60  # characters of a licence in the table
COPYLEFT = r"\b(A?GPL|LGPL|MPL|EUPL|CDDL|EPL|GNU|Mozilla)"
BUNDLED = {  # shared libraries in wheels whose licence is not the package's -> theirs
    "x264": "GPL-2.0-or-later",
    "x265": "GPL-2.0-or-later",
    "avcodec": "LGPL-3.0-or-later",
    "gnutls": "LGPL-2.1-or-later",
    "gmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "nettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "hogweed": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "unistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "mp3lame": "LGPL-2.0-or-later",
    "asound": "LGPL-2.1-or-later",
    "sndfile": "LGPL-2.1-or-later",
    "gfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "quadmath": "LGPL-2.1-or-later",
    "gomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
}


def command(as_json: Json = False) -> None:
    """The licences of bouba, of the packages it requires, and of the libraries that their wheels bundle."""
    packages = [_facts(package) for package in _installed()]
    if as_json:
        typer.echo(json.dumps(packages, ensure_ascii=False, indent=1))
        return
    rows = [["package", "version", "licence", "copyleft"]]
    for facts in packages:
        rows.append([facts["name"], facts["version"], facts["license"][:LONGEST], "yes" if facts["copyleft"] else ""])
        rows += [["", "", f"bundles lib{name}: {license}", "yes"] for name, license in facts["bundles"].items()]
    typer.echo(text_columns(rows))


def _installed() -> Iterator[Distribution]:
    """bouba and all that it or an extra of it requires, as far as it is installed, by name; everything installed where
    bouba runs from its source alone."""
    found: dict[str, Distribution] = {}
    waiting = ["bouba"]
    while waiting:
        name = _normal(waiting.pop())
        try:
            package = found[name] if name in found else distribution(name)
        except PackageNotFoundError:  # of an extra, or for another system
            continue
        if name not in found:
            found[name] = package
            waiting += [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in package.requires or ()]
    if not found:
        found = {_normal(package.metadata["Name"]): package for package in distributions()}
    yield from (package for _, package in sorted(found.items()))


def _facts(package: Distribution) -> dict[str, Any]:
    license = _license(package)
    files = [file.name for file in package.files or () if re.search(r"\.(so|dylib|dll|pyd)\b", file.name)]
    names = {re.sub(r"^(lib)?([a-z]+\d*).*", r"\2", file.lower().replace("_", "-")) for file in files}
    return {
        "name": package.metadata["Name"],
        "version": package.version,
        "license": license,
        "copyleft": bool(re.search(COPYLEFT, license)),
        "bundles": {name: BUNDLED[name] for name in sorted(names & BUNDLED.keys())},
    }


def _license(package: Distribution) -> str:
    """The expression, else the classifiers, else the first line of the text that the package names."""
    metadata: Any = package.metadata
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if "License ::" in line]
    text = " ".join((metadata.get("License") or "").split("\n")[0].split())
    return metadata.get("License-Expression") or "; ".join(classifiers) or text or "not said"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
