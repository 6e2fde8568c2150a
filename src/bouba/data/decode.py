"""From a cell as it is stored to the thing itself: a picture, a sentence, numbers."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm")
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff")
VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


def path_of(value) -> str | None:
    """The file a cell points to, if it points to one."""
    if isinstance(value, dict):
        return value.get("path")
    return os.fspath(value) if isinstance(value, str | os.PathLike) else None


def image(value) -> Image:
    """A cell -> RGB picture; transparency lies on white.

    Args:
        value: a path, encoded bytes, a PIL image, an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or of floats
            in [0, 1], or {"bytes": ..., "path": ...} as `datasets` stores it.

    Raises:
        DataError: the bytes are no picture; the message says which and why.
    """
    from PIL import Image as pil
    from PIL import ImageOps

    try:
        picture = _open(pil, value)
        picture.load()
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a picture: {_name(value)} ({_reason(error)})") from error
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # Pillow would cut all above 255 to white
        picture = pil.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = pil.alpha_composite(pil.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _open(pil, value) -> Image:
    if isinstance(value, pil.Image):
        return value
    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value["path"]
    if isinstance(value, bytes | bytearray | memoryview):
        return pil.open(io.BytesIO(value))
    if isinstance(value, np.ndarray):
        return pil.fromarray(
            (value * 255).round().astype(np.uint8) if value.dtype.kind == "f" else value.astype(np.uint8)
        )
    return pil.open(value)


def text(value) -> str:
    """A cell -> text that can be encoded; halves of surrogate pairs become "?"."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def vector(value) -> np.ndarray:
    """A cell -> float32 (d,)."""
    return np.asarray(value, dtype=np.float32)


def check(kind: str, value: Any) -> str | None:
    """Why a cell of that kind cannot be read, or None when it can."""
    try:
        if kind == "image":
            image(value)
        elif kind in ("audio", "video"):
            path = path_of(value)
            if path is not None and (not Path(path).is_file() or not os.path.getsize(path)):
                return "no such file" if not Path(path).is_file() else "the file is empty"
    except DataError as error:
        return str(error)
    return None


def _name(value) -> str:
    path = path_of(value)
    return repr(path) if path else f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return "these bytes are no known image format" if "identify" in str(error) else str(error) or type(error).__name__
