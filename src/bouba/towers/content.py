"""What a cell holds, as a short key: equal contents have equal keys, wherever they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np

from bouba.data import decode
from bouba.data.characters import visible
from bouba.errors import DataError

DIGEST = 16  # bytes; two of a billion cells collide with a probability of 1e-21


def content_key(kind: str, cell) -> bytes:
    """A digest of what a cell holds: the bytes of the file it points to, of its text, of its numbers.

    Args:
        kind: of the cell, one of bouba.data.kinds.KINDS. cell: as bouba.data.decode takes it.

    Returns:
        DIGEST bytes. A file and its bytes have the same key; a decoded picture and its file have not.

    Raises:
        DataError: a file that cannot be read.

    >>> content_key("text", "ox") == content_key("text", np.str_("ox"))
    True
    """
    return digest(_parts(kind, cell))


def digest(parts: Iterable[bytes]) -> bytes:
    """A digest of byte strings that keeps their boundaries: ("ab", "c") is not ("a", "bc")."""
    hashed = blake2b(digest_size=DIGEST)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.digest()


def _parts(kind: str, cell) -> list[bytes]:
    if kind == "text":
        return [b"text", visible(str(cell)).encode()]
    if isinstance(cell, dict) and "array" in cell:
        cell = (cell["array"], cell["sampling_rate"])
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell["path"]
    if isinstance(cell, tuple) and kind == "audio":
        return [b"rate", str(int(cell[1])).encode(), *_numbers(cell[0])]
    if isinstance(cell, bytes | bytearray | memoryview):
        return [b"file", bytes(cell)]
    if path := decode.path_of(cell):
        return [b"file", _file(path)]
    return _numbers(decode.image(cell) if kind == "image" else decode.vector(cell) if kind == "vector" else cell)


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path!r} ({error.strerror or error})") from error


def _numbers(values) -> list[bytes]:
    array = np.ascontiguousarray(values)
    return [b"array", array.dtype.str.encode(), str(array.shape).encode(), array.tobytes()]
