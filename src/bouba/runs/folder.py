"""A run folder: recipe.toml, run.json, model/, metrics.json, history.jsonl, bad_rows.jsonl, report.html, index/,
known/, duplicates.json, and checkpoint/, from which a longer training goes on; of a search
study.json and study.journal.

It grows in `<name>.part` beside and is renamed when everything is there, so that a run is whole or not there. All that
is written here supposes the lock of `runs.lock`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bouba import durable
from bouba.errors import DataError, StorageError, UsageError
from bouba.files import read_json, read_json_lines

FORMAT = 2
"""Of the folder as a whole. 1 had no run.json; it is still read."""
CHECKPOINT = "checkpoint"
JOURNAL = "study.journal"
"""The trials of a search, as optuna keeps them; see `bouba.runs.tuning`."""
BASELINES = "baselines"
"""The folder of the checkpoints of baselines, while a run is made."""


def part_of(out: Path) -> Path:
    """Where a run grows."""
    return out.with_name(out.name + ".part")


def settle(out: Path) -> None:
    """Finish what a process that died around the last rename had begun: of two whole folders the later one stays."""
    durable.recover_folder(out)
    part = part_of(out)
    durable.recover_folder(part)
    shutil.rmtree(_new(part), ignore_errors=True)
    if not finished(part):
        return
    if (is_run(out) or not out.exists()) and finished(out) < finished(part):
        durable.replace_folder(part, out)
    else:
        shutil.rmtree(part)


def refuse_occupied(out: Path, *, overwrite: bool) -> None:
    """Only finished runs are ever replaced, and only when asked to.

    Raises:
        UsageError: something stands there. StorageError: a file does.
    """
    part = part_of(out)
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out} is a file; a run is a folder, choose another -o")
    if out.exists() and not is_run(out):
        raise UsageError(f"{out} exists; it is no run of bouba's; choose another -o")
    if any((part / name).exists() for name in (CHECKPOINT, JOURNAL)) and not overwrite:
        raise UsageError(f"a run that was cut off stands at {part}; say --resume, or --overwrite to start anew")
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise UsageError(f"{out} exists; choose another -o, or say --overwrite")


def begin(out: Path, write: Callable[[Path], None], *, base: Path | None = None) -> Path:
    """A new folder to work in, which replaces one that was cut off.

    Args:
        out: the run to be. write: fills the folder with what must be there from the start.
        base: a finished run whose checkpoint training goes on from, if any.
    """
    part = part_of(out)
    new = _new(part)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        write(new)
        if base is not None:
            shutil.copytree(base / CHECKPOINT, new / CHECKPOINT)
            shutil.copy(base / "history.jsonl", new)
        durable.replace_folder(new, part)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return part


def _new(part: Path) -> Path:
    return part.with_name(f".{part.name}.new")


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, or nothing."""
    return folder.is_dir() and ((folder / "recipe.toml").exists() or not any(folder.iterdir()))


def finished(folder: Path) -> str:
    """When a run was finished, as sortable text; "" where it is not, or not known."""
    with contextlib.suppress(DataError):  # damaged, or of a later bouba
        return str(read_facts(folder).get("finished", ""))
    return ""


def finish(part: Path, out: Path) -> None:
    """Put the finished folder in place of an older one."""
    facts = {name: value for name, value in read_facts(part).items() if name != "format"}
    write_facts(part, **facts | {"finished": f"{time.time():017.6f}"})
    durable.replace_folder(part, out)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted name of a setting -> its values in two recipes, of those that differ."""
    old, new = _settings(before), _settings(now)
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _settings(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        flat |= _settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line."""
    durable.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict]:
    """The objects of a file of JSON lines; none where there is no file."""
    return read_json_lines(path) if path.exists() else []


def write_facts(folder: Path, **facts: Any) -> None:
    """run.json: the format, and what was found out about the table."""
    durable.write_text(folder / "run.json", json.dumps({"format": FORMAT, **facts}, ensure_ascii=False, indent=1))


def add_facts(folder: Path, **facts: Any) -> None:
    """More, or other ones, for run.json; what else it holds is kept."""
    write_facts(folder, **{name: value for name, value in read_facts(folder).items() if name != "format"} | facts)


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
