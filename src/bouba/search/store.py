"""An index on disk: `index.json` names one version of one LanceDB table, and nothing else counts.

Replacing that small file is the only step that changes what a reader sees, so a writer that dies
leaves the last complete index. One writer at a time: a second one waits.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bouba.errors import DataError, require
from bouba.search.columns import IndexColumn

_POINTER = "index.json"
_FORMAT = "bouba search index 1"
ENDINGS = ("lance", "matrix")  # of the folders of a table


@dataclass(frozen=True)
class Version:
    """What an index held after one change.

    Args:
        number: counts changes from 1. version: of the table. cells, rows: that it holds. views: of the cells.
        written: when, in UTC as ISO 8601. change: what was done, in words.
        probes, recall: of the approximate index, see State.
    """

    number: int
    version: int
    cells: int
    rows: int | None = None
    views: tuple[str, ...] = ()
    written: str | None = None
    change: str | None = None
    probes: int | None = None
    recall: float | None = None

    @property
    def date(self) -> str:
        """When it was written, to the second; "" where that was not noted."""
        return (self.written or "")[:19].replace("T", " ")

    @property
    def counted(self) -> str:
        """How many rows it holds; "" where they were not counted."""
        return "" if self.rows is None else f"{self.rows:,}"


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
    recall: float | None = None  # share of the nearest cells that the approximate index was measured to find
    offsets: int = 0  # numbers behind each vector that a question may weigh into the score
    extra: tuple[str, ...] = ()  # columns of the table that an index of before lacks, see cells.EXTRA
    number: int = 1  # counts changes of what the index holds
    rows: int | None = None  # that have a cell; None where an earlier bouba did not count
    written: str | None = None  # when, in UTC as ISO 8601
    change: str | None = None  # what was done, in words
    earlier: tuple[Version, ...] = ()  # what can be restored, the oldest first

    @property
    def as_version(self) -> Version:
        """The state as one of the versions of the index."""
        return Version(**{name: getattr(self, name) for name in Version.__dataclass_fields__})


def new_name() -> str:
    """Of a table."""
    return f"cells-{uuid.uuid4().hex[:12]}"


def write_table(path: Path, name: str, data: pa.RecordBatchReader) -> Any:
    """A new table in the folder; no reader sees it until a State that names it is committed."""
    lancedb = require("lancedb", "search")
    try:
        return lancedb.connect(str(path.absolute())).create_table(name, data, mode="create")
    except BaseException:
        drop_table(path, name)
        raise


def refuse_other_files(path: Path) -> None:
    """DataError for a file, and a folder of other files than an index."""
    if path.exists() and not path.is_dir():
        raise DataError(f"{path} is a file; an index is a folder, name another path")
    if path.is_dir() and not (path / _POINTER).exists() and any(map(_foreign, path.iterdir())):
        raise DataError(f"{path} holds other files and is not an index; name a new or empty folder")


def opened(path: Path) -> State:
    """The committed state, whose table is there. Where another process replaces the index meanwhile, the new one.

    LanceDB is not opened, which takes seconds to import.

    Raises:
        DataError: there is none, or the table that is named is gone.
    """
    state = load(path)
    while not _table_exists(path, state):
        before, state = state, load(path)
        if (state.table, state.version) == (before.table, before.version):
            raise _damaged(path, state)
    return state


def next_number(path: Path) -> int:
    """Of the version of an index that takes the place of what is there."""
    try:
        return load(path).number + 1
    except DataError:
        return 1


def _table_exists(path: Path, state: State) -> bool:
    return (path / f"{state.table}.lance" / "_versions").is_dir()


def open_table(path: Path, state: State) -> Any:
    """The table at the version the state names, whatever an interrupted writer left after it."""
    lancedb = require("lancedb", "search")
    try:
        table = lancedb.connect(str(path.absolute())).open_table(state.table)
        if table.version != state.version:
            table.checkout(state.version)
    except Exception as error:
        raise _damaged(path, state) from error
    return table


def _damaged(path: Path, state: State) -> DataError:
    return DataError(
        f"{path} is a damaged index: table {state.table!r} version {state.version} cannot be opened; "
        f"write it again with bouba fit ... -o or Index.create"
    )


def rewind(table: Any, state: State) -> None:
    """Make the table writable at the committed version, forgetting what an interrupted writer left."""
    table.checkout_latest()
    if table.version != state.version:
        table.restore(state.version)


def commit(path: Path, state: State) -> None:
    """Make the state the one that readers see, in one step; what it names is on the disk before it is."""
    for written in (path / f"{state.table}.lance").rglob("*"):
        if written.is_file():
            _sync(written)
    part = path / f"{_POINTER}.{uuid.uuid4().hex[:8]}.part"
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(_record(state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path / _POINTER)
        _sync(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make the folder of an index, if it is missing, and keep other writers waiting; wait for one that is at it.

    A folder that was made for nothing is removed. Where the system has no locks on folders, writers are on their own.
    """
    created = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    lock = _locked(path)
    try:
        yield
    except BaseException:
        if created:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _locked(path: Path) -> int | None:
    """A descriptor that holds a lock on a folder until it is closed; None where there are none."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(path, os.O_RDONLY)
    with contextlib.suppress(OSError):  # some network drives have none
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk; where it can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load(path: Path) -> State:
    """The committed state, or an error that explains how to make an index."""
    remedy = "make one with: bouba fit ... -o FOLDER, or Index.create(path, embeddings)"
    try:
        text = (path / _POINTER).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        what = "is not a search index" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}; {remedy}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path / _POINTER} is not the record of a search index; {remedy}") from error
    try:
        record = json.loads(text)
        if record.pop("format") != _FORMAT:
            raise ValueError("another format")
        return _state(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path / _POINTER} is not the record of a search index; {remedy}") from error


def _record(state: State) -> dict[str, Any]:
    """A state as JSON, of what it has."""
    known = lambda record: {name: fact for name, fact in record.items() if fact is not None}  # noqa: E731
    lists = {name: [known(asdict(each)) for each in getattr(state, name)] for name in ("columns", "earlier")}
    return known({"format": _FORMAT, **asdict(state), **lists})


def _state(record: Mapping[str, Any]) -> State:
    columns = tuple(IndexColumn(**column) for column in record["columns"])
    earlier = tuple(Version(**{**each, "views": tuple(each["views"])}) for each in record.get("earlier", ()))
    lists = {name: tuple(record[name]) for name in ("views", "extra") if name in record}
    return State(**{**record, **lists, "columns": columns, "earlier": earlier})


def matrix_folder(path: Path, table: str) -> Path:
    """The folder of the matrices of a table."""
    return path / f"{table}.matrix"


def drop_table(path: Path, name: str) -> None:
    """Remove one table's files."""
    for ending in ENDINGS:
        shutil.rmtree(path / f"{name}.{ending}", ignore_errors=True)


def drop_others(path: Path, name: str) -> None:
    """Remove what older or interrupted writers left, all but the committed table."""
    for ending in ENDINGS:
        for other in path.glob(f"cells-*.{ending}"):
            if other.stem != name:
                drop_table(path, other.stem)
    for part in path.glob(f"{_POINTER}.*.part"):
        part.unlink(missing_ok=True)


def _foreign(entry: Path) -> bool:
    return not any(entry.match(own) for own in (f"{_POINTER}.*.part", *(f"cells-*.{ending}" for ending in ENDINGS)))
