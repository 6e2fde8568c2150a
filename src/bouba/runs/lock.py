"""One writer of a run folder at a time: a lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bouba.errors import UsageError

UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system answers that has no locks."""
ATTEMPTS = 5
"""A reader that asks who writes holds the lock for a moment."""


@contextmanager
def locked(out: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a run folder.

    Args:
        out: the run folder, resolved; the lock is a file beside it. say: takes a sentence where files cannot be locked.

    Raises:
        UsageError: somebody else holds it; the message says who.
    """
    file = lock_file(out)
    handle, enforced = _acquired(file, out)
    if not enforced:
        if (who := _living(file)) is not None:
            os.close(handle)
            raise _refusal(out, who)
        say(f"{file.parent} is on a file system without locks: start no second fit of {out.name} meanwhile")
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_this_process()).encode(), 0)
        yield
    finally:
        try:
            with contextlib.suppress(OSError):
                file.unlink()  # while it is held: who opens the name from now on makes a new file
        finally:
            os.close(handle)


def _acquired(file: Path, out: Path) -> tuple[int, bool]:
    """The open lock, and whether the system enforces it."""
    for attempt in range(ATTEMPTS):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            enforced = _lock(handle)
            if not enforced or _stands(file, handle):
                return handle, enforced
        except BlockingIOError:
            if attempt + 1 == ATTEMPTS:
                os.close(handle)
                raise _refusal(out, _holder(file)) from None
            time.sleep(0.03)
        os.close(handle)  # somebody looked, or ended and removed it, just now
    raise _refusal(out, "another process")


def holder(out: Path) -> str | None:
    """Who writes a run folder now, in words; None where nobody does."""
    file = lock_file(out)
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _lock(handle, shared=True) else _living(file)
    except BlockingIOError:
        return _holder(file)
    finally:
        os.close(handle)


def lock_file(out: Path) -> Path:
    """The lock of a run folder: a file beside it."""
    return out.with_name(f".{out.name}.lock")


def _lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file; False where the system has no locks. BlockingIOError: another one holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in UNLOCKABLE:
            return False
        raise
    return True


def _stands(file: Path, handle: int) -> bool:
    """Whether the name still means the file that is open."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(handle))
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, Any]:
    return {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def _record(file: Path) -> dict[str, Any]:
    """What the holder wrote about itself; it may not have come to it yet."""
    for _ in range(20):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(record, dict):
                return record
        time.sleep(0.02)
    return {}


def _holder(file: Path) -> str:
    record = _record(file)
    if not {"process", "host", "since"} <= set(record):
        return "another process"
    return f"process {record['process']} on {record['host']} since {record['since']}"


def _living(file: Path) -> str | None:
    """The holder where locks are not enforced: a process of this machine that still runs."""
    record = _record(file)
    process = record.get("process")
    if record.get("host") != socket.gethostname() or not isinstance(process, int) or process == os.getpid():
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return _holder(file)


def _refusal(out: Path, who: str) -> UsageError:
    return UsageError(f"{out} is being written by {who}; wait until it is done, or choose another -o")
