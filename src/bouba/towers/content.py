"""What a cell holds, as a short key: equal contents have equal keys, wherever they are stored."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import BinaryIO

import numpy as np

from bouba.data import decode
from bouba.data.characters import visible
from bouba.data.decode.cells import as_numpy
from bouba.data.decode.files import opened
from bouba.data.decode.sounds import samples_and_rate
from bouba.data.several import Several
from bouba.errors import DataError

DIGEST = 16  # bytes; two of a billion cells collide with a probability of 1e-21
BLOCK = 1 << 20  # bytes of a file that are read at once


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


def digest(parts: Iterable[bytes | BinaryIO]) -> bytes:
    """A digest of byte strings, or of what open files hold, that keeps their boundaries: "ab", "c" is not "a", "bc"."""
    hashed = blake2b(digest_size=DIGEST)
    for part in parts:
        file = io.BytesIO(part) if isinstance(part, bytes) else part
        hashed.update(file.seek(0, 2).to_bytes(8, "little"))
        file.seek(0)
        while block := file.read(BLOCK):
            hashed.update(block)
    return hashed.digest()


def _parts(kind: str, cell) -> Iterator[bytes | BinaryIO]:
    if isinstance(cell, Several):
        for part in cell:
            yield from _parts(kind, part)
    elif kind == "text":
        yield from (b"text", visible(str(cell)).encode())
    elif kind == "table" and isinstance(cell, Mapping):
        yield from (b"table", json.dumps(decode.record(cell), sort_keys=True).encode())
    elif kind == "audio" and (given := samples_and_rate(cell, None)) is not None:
        samples, rate = given
        yield from () if rate is None else (b"rate", str(int(rate)).encode())
        yield from _numbers(samples)
    elif isinstance(cell, dict | bytes | bytearray | memoryview) or decode.path_of(cell) or hasattr(cell, "read"):
        try:
            with opened(cell) as file:
                yield from (b"file", file)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {decode.name_of(cell)} ({decode.reason(error)})") from error
    else:
        yield from _numbers(
            decode.image(cell) if kind == "image" else decode.vector(cell) if kind == "vector" else cell
        )


def _numbers(values) -> list[bytes]:
    array = np.ascontiguousarray(as_numpy(values))
    return [b"array", array.dtype.str.encode(), str(array.shape).encode(), array.tobytes()]
