"""Files that bouba wrote, opened again: whatever became of them since, the answer is one DataError."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bouba.errors import DataError, UsageError

MOST_BYTES = 1 << 30
"""A description is text; more than this is no description of bouba's."""


def as_path(path: Any) -> Path:
    """A path as a Path. UsageError for what is none."""
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise UsageError(f"give the path of a folder, got {path!r:.80}")
    return Path(path)


def refuse_irregular(file: Path) -> int:
    """The size of a file in bytes. DataError where it is absent, a folder, a pipe or a device: nothing is opened."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{file} is missing") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise DataError(f"{file} is {kind}, not a file")
    return status.st_size


def read_text(file: Path) -> str:
    """The text of a file. DataError where it is no file of UTF-8, or absurdly large."""
    size = refuse_irregular(file)
    if size > MOST_BYTES:
        raise DataError(f"{file} holds {size:,} bytes; bouba writes at most {MOST_BYTES:,} there")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is damaged: byte {error.start:,} is no UTF-8") from error


def read_json(file: Path, shape: type = dict) -> Any:
    """The content of a JSON file.

    Args:
        file: to read. shape: dict or list, what it must hold.

    Raises:
        DataError: no file, no JSON (cut off, a key twice, nested too deeply), or JSON of another shape.
    """
    return _parsed(file, read_text(file), "", shape)


def read_json_lines(file: Path) -> list[dict]:
    """The objects of a file of JSON lines. DataError names the line that is none."""
    lines = read_text(file).split("\n")
    return [_parsed(file, line, f"line {number}: ", dict) for number, line in enumerate(lines, 1) if line.strip()]


def _parsed(file: Path, text: str, where: str, shape: type) -> Any:
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise DataError(f"{file} is damaged: {where}nested too deeply") from error
    except ValueError as error:  # also a number of too many digits
        raise DataError(f"{file} is damaged: {where}{'it is empty' if not text.strip() else error}") from error
    if not isinstance(content, shape):
        expected = "a list" if shape is list else "an object"
        raise DataError(f"{file} is damaged: {where}expected {expected}, got {type(content).__name__}")
    return content


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once."""
    content = dict(pairs)
    if len(content) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r:.80} stands twice")
    return content
