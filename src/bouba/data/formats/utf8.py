"""The text of a file that people write."""

from __future__ import annotations

from pathlib import Path

from bouba.errors import DataError


def text_of(path: Path) -> str:
    """All of it. DataError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
