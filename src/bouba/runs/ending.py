"""How a run that was not finished ends: one line that says what happened and how to go on."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bouba.data.formats.parts import is_pattern
from bouba.errors import BoubaError, DataError, Stopped, StorageError
from bouba.persist import model_folder
from bouba.runs.folder import CHECKPOINT, JOURNAL, finished, part_of, read_facts
from bouba.runs.lock import holder

FULL_MEMORY = ("can't allocate memory", "out of memory", "bad allocation")
ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REMEDIES = {
    **dict.fromkeys(ROOM, "free some space"),
    errno.EACCES: "change its permissions, or choose another -o",
    errno.EPERM: "change its permissions, or choose another -o",
    errno.EROFS: "choose another -o",
    errno.ENAMETOOLONG: "choose a shorter -o",
    errno.ENOENT: "it was removed meanwhile, or cannot be there",
    errno.ENOTDIR: "choose another -o",
}


@contextmanager
def in_a_line(out: Path) -> Iterator[None]:
    """Turns an interruption, and what the disk or a library that writes to it raises, into an error whose message says
    how to go on.

    Raises:
        Stopped: Ctrl-C or a signal. StorageError: what could not be written.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped(
            f"{str(stop) or 'interrupted'}; {how_to_go_on(out)}", signal=getattr(stop, "signal", None)
        ) from stop
    except Exception as error:
        cause = error.__cause__ if isinstance(error, StorageError) and error.__cause__ is not None else error
        if isinstance(cause, BoubaError) or not is_of_storage(cause):
            raise
        raise StorageError(f"{description(cause, out)}; {how_to_go_on(out)}") from cause


def is_of_storage(error: BaseException) -> bool:
    """Whether the machine failed, not bouba: what the system raises, and libraries that wrap it in words."""
    if isinstance(error, OSError) or is_of_memory(error):
        return True
    return type(error).__module__.startswith("safetensors") or any(
        words in str(error) for words in ("os error", "LanceError(IO)", "No space left on device")
    )


def is_of_memory(error: BaseException) -> bool:
    """Whether memory was full, of the machine or of a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in FULL_MEMORY)
    )


def description(error: BaseException, out: Path) -> str:
    """What failed, where, and what helps, in a line; in the folder `out` where the error does not say."""
    if is_of_memory(error):
        return "memory is full: lower --batch-size, or take fewer rows"
    code = error.errno if isinstance(error, OSError) else None
    text = " ".join(str(error).split())
    if code is None:  # libraries tell it in words: "I/O error: File too large (os error 27)"
        code = next((number for number in REMEDIES if f"os error {number})" in text), None)
    if code is None:
        return f"cannot read or write {out}: {text[:200]}"
    file = getattr(error, "filename", None)
    where = os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else str(out)
    remedy = f" ({REMEDIES[code]})" if code in REMEDIES else ""
    return f"cannot read or write {where}: {os.strerror(code)}{remedy}"


def how_to_go_on(out: Path) -> str:
    """What to do about a run that was not finished, as the end of a sentence."""
    part = part_of(out.resolve())
    try:
        if not (part / "recipe.toml").exists():
            return "nothing was written, start it again"
        kept = "what was trained is kept" if (part / CHECKPOINT).exists() else "no epoch was finished"
        kept = kept if (part / CHECKPOINT).exists() or not (part / JOURNAL).exists() else "trials are kept"
    except OSError:  # the folder cannot even be looked at
        return "start it again"
    return f"{kept}, go on with: {resuming(out)}"


def resuming(out: Path) -> str:
    """The command that goes on with an unfinished run."""
    try:
        facts = read_facts(part_of(out.resolve()))
    except (DataError, OSError):
        facts = {}
    command = f"bouba {'tune' if 'tune' in facts else 'fit'}{'' if facts.get('table') else ' TABLE'}"
    return f"{command} --resume -o {shlex.quote(str(out))}"


def refuse_unfinished(folder: Path) -> Path:
    """The run folder that a reader may open.

    Raises:
        DataError: no model there, or a run that is still being made or was cut off; the message says what to do.
    """
    inside = folder.name == "model" and (folder.parent / "recipe.toml").exists()
    run = folder.parent if inside else folder
    if run.name.endswith(".part") and (run / "recipe.toml").exists() and not finished(run):
        raise DataError(_state(run.with_name(run.name.removesuffix(".part"))))
    place = folder.resolve()
    if place.name and not (folder / "model.json").exists() and not (folder / "model" / "model.json").exists():
        occupied = place.exists() and not (place.is_dir() and not any(place.iterdir()))
        if (part_of(place) / "recipe.toml").exists() or (not occupied and holder(place) is not None):
            raise DataError(_state(folder))
    model_folder(folder)
    return run


def _state(run: Path) -> str:
    """What there is to say of a run that stands unfinished."""
    who = holder(run.resolve())
    if who is not None:
        return f"{run} is not there yet: it is being written by {who}; wait until it is done"
    return f"{run} was cut off before it was finished; go on with: {resuming(run)}"


def recorded(table: Any) -> list[str] | None:
    """The files of a table, for a run that goes on later; None for what is no file."""
    paths = [table] if isinstance(table, str | os.PathLike) else table
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str | os.PathLike) for path in paths):
        return None
    return [
        os.path.abspath(path) if os.path.exists(path) or is_pattern(path) else os.fspath(path) for path in paths
    ] or None
