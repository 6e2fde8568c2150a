"""Files and folders that are there whole or not at all, whenever the process or the power dies.

What is to be replaced is written under another name, brought to the disk, and renamed: in that order.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import uuid
from pathlib import Path

_CURRENT_FOLDER, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def write_text(path: Path, text: str) -> None:
    """A file of UTF-8 text; an older one stays until the new one is on the disk."""
    part = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex[:8]}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring one file, or the entries of one folder, to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():  # Windows opens no folders
            return
        raise
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some network file systems sync files only
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Bring a folder with everything in it to the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            sync(Path(place, name))
        sync(Path(place))


def replace_folder(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`: in one step where the system can, else the old one goes when the new one
    stands.

    A process that dies in between leaves the old one as `.NAME.old`: see `recover_folder`.
    """
    old = replaced_name(folder)
    shutil.rmtree(old, ignore_errors=True)
    sync_tree(new)
    if folder.exists() and _exchanged(new, folder):
        os.replace(new, old)
    else:
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Put back, or remove, the old folder that an interrupted `replace_folder` left."""
    old = replaced_name(folder)
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def replaced_name(folder: Path) -> Path:
    """Where a folder stands while another takes its place."""
    return folder.with_name(f".{folder.name}.old")


def _exchanged(one: Path, two: Path) -> bool:
    """Whether two folders could change places in one step."""
    with contextlib.suppress(OSError, AttributeError):  # no such function, or not on this file system
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
        names = os.fsencode(one), os.fsencode(two)
        return exchange(_CURRENT_FOLDER, names[0], _CURRENT_FOLDER, names[1], _EXCHANGE) == 0
    return False
