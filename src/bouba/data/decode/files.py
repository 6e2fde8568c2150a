"""Opening what a cell points to: bytes in memory or a regular file, and nothing that could be waited for."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO

from bouba.data.decode.cells import path_of
from bouba.data.several import first_of
from bouba.errors import DataError

OTHER_FILES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
LARGEST_STREAM = 1 << 30
"""Bytes that are read of an open file: it has no size of its own, and 1 GiB is more than a cell in memory needs."""


def opened(value) -> BinaryIO:
    """The bytes of a cell, open for reading; the caller closes them.

    Args:
        value: a path, a file:// address, bytes, an open file or BytesIO, or {"bytes": ..., "path": ...}; of Several
            the first is read.

    Raises:
        DataError: a pipe, a device, a folder, an address, an empty file, no such kind of cell. OSError: as `open`.
    """
    value = first_of(value)
    if isinstance(value, dict) and value.get("bytes") is not None:
        value = value["bytes"]
    if isinstance(value, bytes | bytearray | memoryview):
        return io.BytesIO(value)
    if isinstance(value, io.BytesIO):
        return io.BytesIO(value.getvalue())  # a position of its own: threads may share the cell
    if hasattr(value, "read") and hasattr(value, "seek"):
        value.seek(0)
        content = value.read(LARGEST_STREAM + 1)
        if not isinstance(content, bytes) or len(content) > LARGEST_STREAM:
            raise DataError(f"an open file of text or of more than {LARGEST_STREAM:,} bytes; give its path")
        return io.BytesIO(content)
    path = path_of(value)
    if path is None:
        raise DataError("no file; give a path, bytes or an array")
    return regular_file(path)


def regular_file(path: str) -> BinaryIO:
    """A file with content, open for reading. What a pipe or a device would give is never waited for, and what was put
    in the place of a file meanwhile is looked at again."""
    if "://" in path:
        raise DataError("this is an address; download it and give the file")
    _refuse_other(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_other(os.fstat(descriptor))
    except DataError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def irregular(path: str | os.PathLike) -> str | None:
    """What a path leads to where that is neither a regular file nor a folder, as "a named pipe"; None where it is."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None
    return None if kind in (stat.S_IFREG, stat.S_IFDIR) else OTHER_FILES.get(kind, "no regular file")


def _refuse_other(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise DataError(f"it is {OTHER_FILES.get(stat.S_IFMT(state.st_mode), 'no regular file')}; give a file")
    if not state.st_size:
        raise DataError("the file is empty")
