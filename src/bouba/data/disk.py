"""Files kept beside memory: made once, found again by what they were made of, shared by processes, and cleaned.

Each entry is a folder of `cache_folder()` that is there whole or not at all. All of them together may take SHARE of the
disk; where a new one would take more, those that nobody used for longest go, if that is DAYS ago or more. Removing the
whole folder only costs the time to make it again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from bouba.errors import StorageError

log = logging.getLogger("bouba")
ROOM = "tables"
"""The folder of all entries; a part of `cache_folder()`."""
SHARE = 0.8  # of what the disk has free, with what is kept already
DAYS = 1.0  # without use, after which an entry may go
PART = ".part-"


def cache_folder() -> Path:
    """$BOUBA_CACHE, else $XDG_CACHE_HOME/bouba, else ~/.cache/bouba."""
    named = os.environ.get("BOUBA_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bouba"


def key_of(*facts: object) -> str:
    """The name of an entry, from all that it depends on."""
    hashed = blake2b(digest_size=16)
    for fact in facts:
        text = repr(fact).encode("utf-8", "surrogatepass")
        hashed.update(len(text).to_bytes(8, "little") + text)
    return hashed.hexdigest()


def kept(key: str, write: Callable[[Path], None], *, size: int, what: str) -> Path:
    """The folder of an entry, made by `write` where it is not there yet. Another process that makes it is waited for.

    Args:
        key: from `key_of`. write: fills an empty folder. size: bytes that it will hold, about. what: in the log.

    Raises:
        StorageError: the disk cannot take it. Whatever `write` raises; then nothing stays behind.
    """
    entry = cache_folder() / ROOM / key
    if not entry.is_dir():
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with _alone(entry):
                if not entry.is_dir():
                    _make(entry, write, size, what)
        except OSError as error:
            raise error if isinstance(error, StorageError) else _unwritable(what, entry.parent, error) from error
    with contextlib.suppress(OSError):
        os.utime(entry)  # it was used
    return entry


def _make(entry: Path, write: Callable[[Path], None], size: int, what: str) -> None:
    make_room(size, what)
    part = Path(tempfile.mkdtemp(prefix=f"{PART}{os.getpid()}-", dir=entry.parent))
    try:
        write(part)
        _settle(part, entry)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    log.info("%s is kept in %s, %.2f GB", what, entry, size_of(entry) / 1e9)


def _settle(part: Path, entry: Path) -> None:
    """Give a filled folder the name of its entry, unless another process was first where there are no locks."""
    try:
        os.replace(part, entry)
    except OSError:
        if not entry.is_dir():
            raise
        shutil.rmtree(part, ignore_errors=True)


def make_room(size: int, what: str) -> None:
    """Remove entries that nobody used lately where a new one of `size` bytes needs it.

    Raises:
        StorageError: there is no room for it even so.
    """
    room = cache_folder() / ROOM
    room.mkdir(parents=True, exist_ok=True)
    _sweep(room)
    entries = sorted((entry.stat().st_mtime, size_of(entry), entry) for entry in room.iterdir() if entry.is_dir())
    taken = sum(bytes_ for _, bytes_, _ in entries)
    most = SHARE * (shutil.disk_usage(room).free + taken)
    for used, bytes_, entry in entries:
        if taken + size > most and time.time() - used > DAYS * 86_400:
            shutil.rmtree(entry, ignore_errors=True)
            entry.with_name(f"{entry.name}.lock").unlink(missing_ok=True)
            taken -= bytes_
    if taken + size > most:
        raise StorageError(
            f"{what} takes {size / 1e9:.1f} GB on disk, and {room} has room for {max(0, most - taken) / 1e9:.1f}; set "
            "BOUBA_CACHE to a folder on a larger disk"
        )


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    with contextlib.suppress(OSError):  # another process removes it
        total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return total


@contextmanager
def scratch_file() -> Iterator[int]:
    """An open file without a name, which is gone when nothing refers to it any more."""
    room = cache_folder() / ROOM
    room.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{PART}{os.getpid()}-", dir=room)
    try:
        with contextlib.suppress(OSError):  # Windows removes no open file; the next sweep does
            os.unlink(name)
        yield handle
    finally:
        os.close(handle)


def _sweep(room: Path) -> None:
    """Remove what processes left behind that died while they wrote."""
    for part in room.glob(f"{PART}*"):
        process = part.name.removeprefix(PART).split("-")[0]
        if not process.isdigit() or not _runs(int(process)):
            shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def _alone(entry: Path) -> Iterator[None]:
    """Hold the lock of an entry, which the system lets go of when the process ends; wait for who holds it."""
    handle = os.open(entry.with_name(f"{entry.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(ImportError, OSError):  # Windows, some network drives: both write, the first one stays
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _unwritable(what: str, room: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{what} cannot be kept in {room} ({error.strerror or error}); set BOUBA_CACHE to another folder"
    )


def file_facts(paths: Iterable[str | os.PathLike]) -> list[tuple[str, int, int]]:
    """(path, size, time of change) of files, by which it is known whether they are what they were."""
    states = [(os.path.abspath(path), os.stat(path)) for path in paths]
    return [(path, state.st_size, state.st_mtime_ns) for path, state in states]
