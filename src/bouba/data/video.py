"""A cell with a clip -> some of its pictures, evenly spaced."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode
from bouba.errors import DataError, require

if TYPE_CHECKING:
    from PIL.Image import Image

ANIMATED = (".gif", ".webp")
"""Endings of pictures that may move."""
FORMATS = ("GIF", "WEBP", "PNG")
"""What Pillow calls them; the pages of a TIFF are no clip."""


def video(value, frames: int = 8) -> list[Image]:
    """A cell -> up to `frames` RGB pictures of it, in order; transparency lies on white.

        picture i of T is frame floor((i + 1/2) n / T) of the n there are, counted from 0;  all of them where n <= T

    Frames are counted, not timed: where a clip shows some longer than others, the long ones are not taken twice. A film
    is decoded from its start to the last frame taken; cut hours into clips first.

    Args:
        value: a path or encoded bytes of an animated GIF, WebP or PNG, or of MP4, WebM and what else FFmpeg reads
            (extra `video`); {"bytes": ..., "path": ...} as `datasets` stores it; an animated PIL image; an array
            (n, H, W, 3) or (n, H, W) of uint8 or of floats in [0, 1]; a list of whatever `decode.image` takes.
        frames: T, 1 or more.

    Raises:
        DataError: the bytes are no clip, break off or hold no frame; the message says which and why.
        MissingExtraError: a film, and PyAV is not installed.

    >>> [picture.getpixel((0, 0))[0] for picture in video(np.arange(90, dtype=np.uint8).reshape(90, 1, 1), 3)]
    [15, 45, 75]
    """
    if frames < 1:
        raise DataError(f"a clip gives 1 picture or more, asked for {frames}")
    value = _content(value)
    film = _is_film(value)
    if film:
        require("av", "video")
    try:
        decoded = _in_memory if _is_in_memory(value) else _film if film else _animation
        pictures = decoded(value, frames)
        if not pictures:
            raise DataError("it holds no frame")
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a clip: {decode.name_of(value)} ({decode.reason(error)})") from error
    return pictures


def moves(value) -> bool | None:
    """Whether a cell is a picture of more than one frame; None where it cannot be opened."""
    from PIL import Image

    value = _content(value)
    try:
        picture = value if isinstance(value, Image.Image) else Image.open(_file(value))
        return picture.format in FORMATS and bool(getattr(picture, "is_animated", False))
    except Exception:  # decoders raise anything on broken bytes
        return None


def chosen(n: int, frames: int) -> list[int]:
    """Numbers of the frames that `video` takes of n.

    >>> chosen(20, 4), chosen(3, 4)
    ([2, 7, 12, 17], [0, 1, 2])
    """
    return list(range(n)) if n <= frames else [(2 * i + 1) * n // (2 * frames) for i in range(frames)]


def _content(value) -> Any:
    if not isinstance(value, dict):
        return value
    return value["bytes"] if value.get("bytes") is not None else value.get("path")


def _file(value) -> Any:
    return io.BytesIO(value) if isinstance(value, bytes | bytearray | memoryview) else value


def _is_in_memory(value) -> bool:
    return isinstance(value, np.ndarray | list | tuple)


def _is_film(value) -> bool:
    """Whether a cell is for FFmpeg: a path says so by its ending, bytes by being no picture."""
    path = decode.path_of(value)
    if path is not None:
        return path.lower().endswith(decode.VIDEO_ENDINGS)
    return isinstance(value, bytes | bytearray | memoryview) and moves(value) is None


def _in_memory(value: Sequence | np.ndarray, frames: int) -> list[Image]:
    """Of pictures in memory."""
    if isinstance(value, np.ndarray) and value.ndim not in (3, 4):
        raise DataError(f"an array of shape {value.shape}; give (frames, height, width, 3)")
    return [decode.image(value[i]) for i in chosen(len(value), frames)]


def _animation(value, frames: int) -> list[Image]:
    """Of what Pillow reads: an animation, or a picture, which is a clip of one frame."""
    from PIL import Image

    picture = value if isinstance(value, Image.Image) else Image.open(_file(value))
    position = picture.tell()
    pictures = []
    for number in chosen(getattr(picture, "n_frames", 1), frames):
        picture.seek(number)
        pictures.append(decode.on_white(picture))
    picture.seek(position)
    return pictures


def _film(value, frames: int) -> list[Image]:
    """Of what FFmpeg reads."""
    if isinstance(value, str | Path) and not Path(value).is_file():
        raise FileNotFoundError
    pictures, decoded = _frames(value, chosen(_count(value), frames))
    if len(pictures) < min(frames, decoded):  # some packets of a film may show nothing
        pictures, _ = _frames(value, chosen(decoded, frames))
    return pictures


def _count(value) -> int:
    """Frames of a film, without decoding them. DataError where it ends before its header says."""
    import av

    with av.open(_file(value)) as film:
        if not film.streams.video:
            raise DataError("it holds no picture")
        stream, n, end = film.streams.video[0], 0, 0.0
        for packet in film.demux():
            if packet.size:
                n += packet.stream.index == stream.index
                end = max(end, float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
        length = (film.duration or 0) / av.time_base
        if n < stream.frames or end < 0.9 * length:
            raise DataError(f"its data break off: {n} frames and {end:.1f} of {length:.1f} s are there")
    return n


def _frames(value, numbers: Sequence[int]) -> tuple[list[Image], int]:
    """The frames of these numbers, in order; and how many were decoded, up to the last of them."""
    import av

    pictures: list[Image] = []
    decoded = 0
    with av.open(_file(value)) as film:
        film.streams.video[0].thread_type = "AUTO"
        for frame in film.decode(video=0):
            if decoded in numbers:
                pictures.append(frame.to_image().rotate(frame.rotation, expand=True))  # as the telephone was held
            decoded += 1
            if len(pictures) == len(numbers):
                break
    return pictures, decoded
