"""A run folder: recipe.toml, model/, metrics.json, history.jsonl, bad_rows.jsonl, report.html, index/.

It grows in `<name>.part` beside and is renamed when everything is there, so that a run is whole or not there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from bouba.errors import UsageError


def begin(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """The folder to work in.

    Raises:
        UsageError: `out` exists, or there is nothing to resume.
    """
    part = out.with_name(out.name + ".part")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another -o, or say --overwrite")
    if resume and not part.exists():
        raise UsageError(f"nothing to resume at {part}; leave --resume out to start anew")
    if not resume:
        shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    return part


def finish(part: Path, out: Path) -> None:
    """Put the finished folder in place of an older one."""
    shutil.rmtree(part / "checkpoint", ignore_errors=True)
    old = out.with_name(out.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.replace(out, old)
    os.replace(part, out)
    shutil.rmtree(old, ignore_errors=True)


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
