"""From a cell as it is stored to the thing itself: a picture, a sentence, a sound, numbers."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bouba.data.characters import file_text, on_disk, written
from bouba.data.missing import is_missing
from bouba.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm")
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff")
VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
NUMBERS = (int, float, np.number, np.bool_, Decimal)


def path_of(value) -> str | None:
    """The file a cell points to, if it points to one."""
    if isinstance(value, dict):
        return value.get("path")
    return os.fspath(value) if isinstance(value, str | os.PathLike) else None


def resolved(value, base: Path | None):
    """A cell whose relative path, if it holds one, is made to start at `base`, as it is spelt on the disk."""
    if isinstance(value, str) and value.strip():
        return on_disk(value if base is None else str(base / value))
    if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
        return {**value, "path": resolved(os.fspath(value["path"]), base)}
    return value


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
        raise DataError(f"not a picture: {name_of(value)} ({reason(error)})") from error
    return on_white(ImageOps.exif_transpose(picture))


def on_white(picture: Image) -> Image:
    """A new RGB picture; transparency lies on white, and 16 bits become the upper 8 of them."""
    from PIL import Image as pil

    if picture.mode.startswith("I;16"):  # Pillow would cut all above 255 to white
        picture = pil.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = pil.alpha_composite(pil.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def fit_on_white(picture: Image, size: int) -> Image:
    """The whole picture scaled into a white square of side `size`, centred."""
    from PIL import Image as pil

    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    shrunk = picture.resize((width, height), pil.Resampling.BOX if scale < 1 else pil.Resampling.BICUBIC)
    if (width, height) == (size, size):
        return shrunk
    square = pil.new("RGB", (size, size), "white")
    square.paste(shrunk, ((size - width) // 2, (size - height) // 2))
    return square


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
    """A cell -> text that can be encoded; halves of surrogate pairs become U+FFFD."""
    return written(str(value))


def audio(value, rate: int, *, seconds: float | None = None) -> NDArray[np.float32]:
    """A cell -> samples of one channel at `rate`, float32 (n,) in about [-1, 1]; several channels are averaged.

    Args:
        value: a path, encoded bytes, {"bytes": ..., "path": ...} or {"array": ..., "sampling_rate": ...} as `datasets`
            stores them, (samples, rate), or samples alone, which are at `rate` already. Samples are (n,), or (n,
            channels) either way round, time being longer; int8, int16 and int32 span their range. Files are WAV,
            FLAC, OGG, MP3 and what else libsndfile reads.
        rate: in Hz; sounds of another are resampled.
        seconds: read this much from the start; None reads all.

    Raises:
        DataError: the bytes are no sound, or hold no sample or one that is NaN; the message says which and why.
    """
    samples, native = stored_audio(value, rate, seconds)
    if native == rate:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate, native)
    return resample_poly(samples, rate // shared, native // shared).astype(np.float32)


def stored_audio(value, rate: int, seconds: float | None = None) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) at the rate they are stored with, and that rate; `rate` for samples that come without one."""
    try:
        if isinstance(value, tuple):
            samples, native = _from_memory(value[0], value[1], seconds)
        elif isinstance(value, dict) and "array" in value:
            samples, native = _from_memory(value["array"], value["sampling_rate"], seconds)
        elif isinstance(value, np.ndarray | list):
            samples, native = _from_memory(value, rate, seconds)
        else:
            samples, native = _from_file(value, seconds)
        if not samples.size or not np.isfinite(samples).all():
            raise DataError("it holds NaN or infinity" if samples.size else "it holds no sample")
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a sound: {name_of(value)} ({reason(error)})") from error
    return samples, native


def _from_memory(samples, rate, seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """Samples in memory, as one channel."""
    samples, rate = np.asarray(samples), int(rate)
    if samples.dtype in (np.int8, np.int16, np.int32):
        samples = samples / 2.0 ** (8 * samples.dtype.itemsize - 1)
    if samples.ndim == 2:
        samples = samples.mean(int(samples.shape[0] > samples.shape[1]))
    if samples.dtype.kind != "f" or samples.ndim != 1 or rate < 1:
        raise DataError(f"{samples.dtype} samples of shape {samples.shape} at {rate} Hz; give floats or int16")
    return samples[: None if seconds is None else math.ceil(seconds * rate)].astype(np.float32), rate


def _from_file(value, seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """The start of an encoded sound, as one channel."""
    import soundfile

    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value["path"]
    if isinstance(value, bytes | bytearray | memoryview):
        value = io.BytesIO(value)
    elif not Path(value).is_file():
        raise FileNotFoundError
    try:
        with soundfile.SoundFile(value) as file:
            length = -1 if seconds is None else math.ceil(seconds * file.samplerate)
            return file.read(length, dtype="float32", always_2d=True).mean(1), file.samplerate
    except soundfile.LibsndfileError as error:
        raise DataError(error.error_string.rstrip(".") or "its data break off") from error


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


def name_of(value) -> str:
    """What a message calls a cell."""
    path = path_of(value)
    return (
        repr(file_text(path)) if path else f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
    )


def reason(error: Exception) -> str:
    """Why a decoder gave up, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if "Invalid data found" in str(error):
        return "these bytes are no known film format"
    return "these bytes are no known image format" if "identify" in str(error) else str(error) or type(error).__name__
