"""A run folder: recipe.toml, run.json, model/, metrics.json, history.jsonl, bad_rows.jsonl, report.html, index/.

It grows in `<name>.part` beside and is renamed when everything is there, so that a run is whole or not there.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bouba.errors import DataError, UsageError
from bouba.files import read_json, read_json_lines
from bouba.persist import swap_folders

FORMAT = 2
"""Of the folder as a whole. 1 had no run.json; it is still read."""


def begin(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """The folder to work in. Only finished runs are ever replaced, and only when asked to.

    Raises:
        UsageError: `out` holds something, a cut-off run stands beside it, or there is nothing to resume.
    """
    out = out.resolve()
    part = out.with_name(out.name + ".part")
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (overwrite and _is_run(out)):
        remedy = (
            "choose another -o, or say --overwrite" if _is_run(out) else "it is no run of bouba's; choose another -o"
        )
        raise UsageError(f"{out} exists; {remedy}")
    if resume and not part.exists():
        raise UsageError(f"nothing to resume at {part}; leave --resume out to start anew")
    if (part / "checkpoint").exists() and not resume and not overwrite:
        raise UsageError(f"a run that was cut off stands at {part}; say --resume, or --overwrite to start anew")
    if not resume:
        shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    return part


def part_recipe(out: Path) -> Path | None:
    """The recipe of a run that was cut off, if there is one."""
    out = out.resolve()
    file = out.with_name(out.name + ".part") / "recipe.toml"
    return file if file.exists() else None


def refuse_other_recipe(part: Path, recipe: str) -> None:
    """UsageError naming the first setting in which a run that is resumed differs from what it began with."""
    file = part / "recipe.toml"
    if not file.exists():
        return
    before, now = (_settings(tomllib.loads(text)) for text in (file.read_text(encoding="utf-8"), recipe))
    for name in [*before, *now]:
        if before.get(name) != now.get(name):
            raise UsageError(
                f"the run that was cut off at {part} has {name} = {before.get(name)!r}, not {now.get(name)!r}; resume "
                "with the same settings, or say --overwrite to start anew"
            )


def _settings(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        flat |= _settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def abandon(part: Path) -> None:
    """Remove what has no checkpoint to resume from."""
    if not (part / "checkpoint").exists():
        shutil.rmtree(part)


def _is_run(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "recipe.toml").exists() or not any(folder.iterdir()))


def finish(part: Path, out: Path) -> None:
    """Put the finished folder in place of an older one."""
    shutil.rmtree(part / "checkpoint", ignore_errors=True)
    swap_folders(part, out.resolve())


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_jsonl(path: Path) -> list[dict]:
    """The objects of a file of JSON lines; none where there is no file."""
    return read_json_lines(path) if path.exists() else []


def write_facts(folder: Path, **facts: Any) -> None:
    """run.json: the format, and what was found out about the table."""
    (folder / "run.json").write_text(
        json.dumps({"format": FORMAT, **facts}, ensure_ascii=False, indent=1), encoding="utf-8"
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """What `write_facts` wrote; empty where there is no such file. DataError for a later format."""
    file = folder / "run.json"
    if not file.exists():
        return {}
    facts = read_json(file)
    if type(facts.get("format")) is not int:
        raise DataError(f"{file} is damaged: format is {facts.get('format')!r:.60}, not a whole number")
    if facts["format"] > FORMAT:
        raise DataError(
            f"{folder} is a run of format {facts['format']}, this bouba reads up to {FORMAT}; upgrade bouba"
        )
    return facts
