"""A run folder: recipe.toml, model/, metrics.json, history.jsonl, bad_rows.jsonl, report.html, index/.

It grows in `<name>.part` beside and is renamed when everything is there, so that a run is whole or not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from bouba.errors import UsageError
from bouba.persist import swap_folders


def begin(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """The folder to work in. Only finished runs are ever replaced, and only when told.

    Raises:
        UsageError: `out` holds something, a cut-off run stands beside it, or there is nothing to resume.
    """
    out = out.resolve()
    part = out.with_name(out.name + ".part")
    if out.exists() and not (overwrite and _is_run(out)):
        how = "choose another -o, or say --overwrite" if _is_run(out) else "it is no run of bouba's; choose another -o"
        raise UsageError(f"{out} exists; {how}")
    if resume and not part.exists():
        raise UsageError(f"nothing to resume at {part}; leave --resume out to start anew")
    if (part / "checkpoint").exists() and not resume and not overwrite:
        raise UsageError(f"a run that was cut off stands at {part}; say --resume, or --overwrite to start anew")
    if not resume:
        shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    return part


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "recipe.toml").exists() or not any(folder.iterdir()))


def finish(part: Path, out: Path) -> None:
    """Put the finished folder in place of an older one."""
    shutil.rmtree(part / "checkpoint", ignore_errors=True)
    swap_folders(part, out.resolve())


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
