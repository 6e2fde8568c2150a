"""Cells that need no decoder, where a cell points to, and what a message calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bouba.data.characters import file_text, on_disk, written
from bouba.data.missing import is_missing
from bouba.data.several import Several, first_of

NUMBERS = (int, float, np.number, np.bool_, Decimal)
LONGEST_REASON = 200  # characters of a decoder's own words
LONGEST_NAME = 300  # characters of a path in a message


def path_of(value) -> str | None:
    """The file a cell points to, the first of several, if it points to one; of a file:// address, its path."""
    value = first_of(value)
    path = value.get("path") if isinstance(value, dict) else value
    if not isinstance(path, str | os.PathLike):
        return None
    path = os.fsdecode(path)
    if path[:7].lower() != "file://":
        return path
    from urllib.request import url2pathname

    return url2pathname(urlsplit(path).path)


def resolved(value, base: Path | None):
    """A cell whose relative path, if it holds one, is made to start at `base`, as it is spelt on the disk. One with the
    backslashes of Windows is read with slashes, where only that exists."""
    if isinstance(value, Several):
        return Several(resolved(part, base) for part in value)
    if (isinstance(value, dict) and value.get("bytes") is not None) or not isinstance(value, str | dict | os.PathLike):
        return value
    path = path_of(value)
    if path is None or not path.strip() or "://" in path:
        return value
    path = on_disk(path if base is None else str(base / path))
    if "\\" in path and not os.path.lexists(path) and os.path.lexists(path.replace("\\", "/")):
        path = path.replace("\\", "/")
    return {**value, "path": path} if isinstance(value, dict) else path


def text(value) -> str:
    """A cell -> text that can be encoded; halves of surrogate pairs become U+FFFD."""
    return written(str(value))


def vector(value) -> np.ndarray:
    """A cell -> float32 (d,)."""
    return np.asarray(value, dtype=np.float32)


def record(value: Mapping) -> dict[str, float | str]:
    """A cell of a table -> its values that are present: numbers as floats, all else as text.

    >>> record({"age": 31, "city": "Bonn", "size": None})
    {'age': 31.0, 'city': 'Bonn'}
    """
    present = {name: cell for name, cell in value.items() if not is_missing(cell)}
    return {name: float(cell) if isinstance(cell, NUMBERS) else text(cell) for name, cell in present.items()}


def as_numpy(value) -> Any:
    """A tensor, on whatever device and with or without a gradient, or any other array, as an array of NumPy."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value  # which NumPy does not have
    return np.asanyarray(value)


def is_tensor(value) -> bool:
    """Whether a cell is a tensor of torch, which has channels first."""
    return hasattr(value, "detach")


def is_array(value) -> bool:
    """Whether a cell is an array of NumPy or of whatever else turns into one."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def name_of(value) -> str:
    """What a message calls a cell."""
    path = file_text(path_of(value) or "")
    if path:
        return repr(path) if len(path) <= LONGEST_NAME else f"{path[:LONGEST_NAME]!r}..."
    content = value.get("bytes") if isinstance(value, Mapping) else value
    return f"{len(content):,} bytes" if isinstance(content, bytes | bytearray) else type(value).__name__


def reason(error: Exception) -> str:
    """Why a decoder gave up, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    words = " ".join(str(error).split())
    if "Invalid data found" in words or "Invalid argument" in words:
        return "these bytes are no known film format"
    if "identify" in words:
        return "these bytes are no known image format"
    if type(error).__module__.startswith("av."):
        return f"FFmpeg cannot read it: {words}"[:LONGEST_REASON]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return words[:LONGEST_REASON] or type(error).__name__
