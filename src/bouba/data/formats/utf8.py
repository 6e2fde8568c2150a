"""The text of a file that people write."""

from __future__ import annotations

import codecs
from pathlib import Path

from bouba.errors import DataError


def text_of(path: Path) -> str:
    """All of it, as UTF-8 or, where it begins with the mark of UTF-16, as that. DataError where it is neither."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8-sig" else "UTF-16"
        raise DataError(
            f"{path} is not {name} text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
