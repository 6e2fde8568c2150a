"""An index on disk: `index.json` names one version of one LanceDB table, and nothing else counts.

Replacing that small file is the only step that changes what a reader sees, so a writer that dies
leaves the last complete index. One writer at a time.
"""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bouba.errors import DataError, require
from bouba.search.columns import IndexColumn

_POINTER = "index.json"
_FORMAT = "bouba search index 1"


@dataclass(frozen=True)
class State:
    """The contents of `index.json`."""

    table: str
    version: int
    similarity: str
    dim: int
    views: tuple[str, ...]
    columns: tuple[IndexColumn, ...]
    cells: int
    next_row: int
    probes: int | None = None  # of the approximate index, None without one


def write_table(path: Path, data: pa.Table) -> Any:
    """A new table in the folder; no reader sees it until a State that names it is committed."""
    lancedb = require("lancedb", "search")
    if path.exists() and not path.is_dir():
        raise DataError(f"{path} is a file; an index is a folder, name another path")
    if path.is_dir() and not (path / _POINTER).exists() and any(map(_foreign, path.iterdir())):
        raise DataError(f"{path} holds other files and is not an index; name a new or empty folder")
    created = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    name = f"cells-{uuid.uuid4().hex[:12]}"
    try:
        return lancedb.connect(str(path.absolute())).create_table(name, data, mode="create")
    except BaseException:
        drop_table(path, name)
        if created:
            path.rmdir()
        raise


def open_table(path: Path, state: State) -> Any:
    """The table at the version the state names, whatever an interrupted writer left after it."""
    lancedb = require("lancedb", "search")
    try:
        table = lancedb.connect(str(path.absolute())).open_table(state.table)
        if table.version != state.version:
            table.checkout(state.version)
    except Exception as error:
        raise DataError(
            f"{path} is a damaged index: table {state.table!r} version {state.version} cannot be opened; "
            f"write it again with bouba fit ... -o or Index.create"
        ) from error
    return table


def rewind(table: Any, state: State) -> None:
    """Make the table writable at the committed version, forgetting what an interrupted writer left."""
    table.checkout_latest()
    if table.version != state.version:
        table.restore(state.version)


def commit(path: Path, state: State) -> None:
    """Make the state the one that readers see, in one step."""
    part = path / f"{_POINTER}.{uuid.uuid4().hex[:8]}.part"
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, **asdict(state)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path / _POINTER)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path) -> State:
    """The committed state, or an error that explains how to make an index."""
    remedy = "make one with: bouba fit ... -o FOLDER, or Index.create(path, embeddings)"
    if not (path / _POINTER).is_file():
        raise DataError(f"{path} {'is not a search index' if path.exists() else 'does not exist'}; {remedy}")
    try:
        record = json.loads((path / _POINTER).read_text(encoding="utf-8"))
        if record.pop("format") != _FORMAT:
            raise ValueError("another format")
        return _state(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path / _POINTER} is not the record of a search index; {remedy}") from error


def _state(record: Mapping[str, Any]) -> State:
    columns = tuple(IndexColumn(**column) for column in record["columns"])
    return State(**{**record, "views": tuple(record["views"]), "columns": columns})


def drop_table(path: Path, name: str) -> None:
    """Remove one table's files."""
    shutil.rmtree(path / f"{name}.lance", ignore_errors=True)


def drop_others(path: Path, name: str) -> None:
    """Remove what older or interrupted writers left, all but the committed table."""
    for other in path.glob("cells-*.lance"):
        if other.name != f"{name}.lance":
            drop_table(path, other.stem)
    for part in path.glob(f"{_POINTER}.*.part"):
        part.unlink(missing_ok=True)


def _foreign(entry: Path) -> bool:
    return not entry.match("cells-*.lance") and not entry.match(f"{_POINTER}.*.part")
