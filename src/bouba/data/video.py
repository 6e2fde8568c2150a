"""A cell with a clip -> some of its pictures, evenly spaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data.decode import arrays, films
from bouba.data.decode.cells import is_array, name_of, path_of, reason
from bouba.data.decode.endings import IMAGE_ENDINGS, VIDEO_ENDINGS
from bouba.data.decode.pictures import from_pixels, has_its_end, image, on_white, picture_header, picture_of
from bouba.errors import DataError, MissingExtraError, require

if TYPE_CHECKING:
    from PIL.Image import Image

ANIMATED = (".gif", ".webp")
"""Endings of pictures that may move."""
FORMATS = ("GIF", "WEBP", "PNG")
"""What Pillow calls them; the pages of a TIFF are no clip."""
MOST_FRAMES = 1 << 16
"""Of one animation: 45 minutes at 24 a second."""
MOST_PIXELS = 1 << 31
"""Of one animation, over all its frames, which are decoded one after the other: 2,300 of 1,280 x 720."""


def video(value, frames: int = 8) -> list[Image]:
    """A cell -> up to `frames` RGB pictures of it, in order; transparency lies on white.

        picture i of T is frame floor((i + 1/2) n / T) of the n there are, counted from 0;  all of them where n <= T

    Frames are counted, not timed: where a clip shows some longer than others, the long ones are not taken twice. A film
    is decoded from its start to the last frame taken; cut hours into clips first.

    Args:
        value: a path or encoded bytes of an animated GIF, WebP or PNG, or of MP4, WebM and what else FFmpeg reads
            (extra `video`); {"bytes": ..., "path": ...} as `datasets` stores it; an animated PIL image; an array or
            tensor (n, H, W, 3), (n, 3, H, W) or (n, H, W), its range as in `decode.arrays.pixels`, that of all its
            frames together; a list of whatever `decode.image` takes.
        frames: T, 1 or more.

    Raises:
        DataError: the bytes are no clip, break off or hold no frame; the message says which and why.
        MissingExtraError: a film, and PyAV is not installed.

    >>> [picture.getpixel((0, 0))[0] for picture in video(np.arange(90, dtype=np.uint8).reshape(90, 1, 1), 3)]
    [15, 45, 75]
    """
    if frames < 1:
        raise DataError(f"a clip gives 1 picture or more, asked for {frames}")
    film = _is_film(value)
    try:
        if _is_in_memory(value):
            pictures = _in_memory(value, frames)
        else:
            pictures = films.film_frames(value, frames, chosen) if film else _animation(value, frames)
        if not pictures:
            raise DataError("it holds no frame")
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a clip: {name_of(value)} ({reason(error)})") from error
    return pictures


def clip_header(value) -> None:
    """Refuse a cell that shows without decoding that it is no clip: its header, length and end are read.

    Raises:
        DataError, MissingExtraError: as `video`. What breaks in the middle is found by `video` alone.
    """
    film, whole = _is_film(value), True
    try:
        if is_array(value):
            _checked_array(value)
        elif isinstance(value, list | tuple):
            for picture in value:
                picture_header(picture)
            whole = len(value) > 0
        elif film:
            films.film_header(value)
        else:
            with picture_of(value) as picture:
                _count(picture)
                whole = picture is value or has_its_end(picture)
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a clip: {name_of(value)} ({reason(error)})") from error
    if not whole:
        video(value)


def moves(value) -> bool | None:
    """Whether a cell is a picture of more than one frame; None where it cannot be opened."""
    try:
        with picture_of(value) as picture:
            return picture.format in FORMATS and bool(getattr(picture, "is_animated", False))
    except Exception:  # decoders raise anything on broken bytes
        return None


def chosen(n: int, frames: int) -> list[int]:
    """Numbers of the frames that `video` takes of n.

    >>> chosen(20, 4), chosen(3, 4)
    ([2, 7, 12, 17], [0, 1, 2])
    """
    return list(range(n)) if n <= frames else [(2 * i + 1) * n // (2 * frames) for i in range(frames)]


def _is_in_memory(value) -> bool:
    return is_array(value) or isinstance(value, list | tuple)


def _is_film(value) -> bool:
    """Whether a cell is for FFmpeg, by being nothing that Pillow opens.

    Raises:
        MissingExtraError: it is, and PyAV is not installed.
    """
    from PIL import UnidentifiedImageError

    if _is_in_memory(value):
        return False
    ending = (path_of(value) or "").lower()
    try:
        with picture_of(value):
            return False
    except UnidentifiedImageError:
        pass
    except Exception:  # there is nothing to open, or it is a picture beyond the bounds
        if not ending.endswith(VIDEO_ENDINGS):
            return False
    try:
        require("av", "video")
    except MissingExtraError:
        if ending.endswith(IMAGE_ENDINGS):
            return False  # a broken animation is refused without it
        raise
    return True


def _checked_array(value) -> tuple[np.ndarray, bool]:
    """A clip in memory, (n, H, W) or with channels, and whether they come before H and W; its range is looked at."""
    clip = arrays.as_plain(value)
    first = clip.ndim == 4 and (arrays.is_tensor(value) or clip.shape[3] not in arrays.CHANNELS)
    if clip.ndim not in (3, 4) or (clip.ndim == 3 and clip.shape[2] in (3, 4)):
        raise DataError(f"an array of shape {clip.shape}; give (frames, height, width, 3)")
    if len(clip):
        arrays.channels_last(clip[0], first=first)
    else:
        raise DataError("it holds no frame")
    arrays.refuse_range(clip)
    return clip, first


def _in_memory(value: Any, frames: int) -> list[Image]:
    """Of pictures in memory; the range of an array is that of the whole clip."""
    if not is_array(value):
        return [image(value[i]) for i in chosen(len(value), frames)]
    clip, first = _checked_array(value)
    taken = (arrays.channels_last(clip[i], first=first) for i in chosen(len(clip), frames))
    return [on_white(from_pixels(arrays.as_bytes(frame, checked=True))) for frame in taken]


def _animation(value, frames: int) -> list[Image]:
    """Of what Pillow reads: an animation, or a picture, which is a clip of one frame."""
    with picture_of(value) as picture:
        position = picture.tell()
        pictures = []
        for number in chosen(_count(picture), frames):
            picture.seek(number)
            pictures.append(on_white(picture))
        if picture is value:
            picture.seek(position)
    return pictures


def _count(picture: Image) -> int:
    """Frames of an animation. DataError where there are too many to go through."""
    width, height = picture.size
    count = getattr(picture, "n_frames", 1)
    if count > 1:
        arrays.refuse_size(width, height, films.MOST_PIXELS)
    most = min(MOST_FRAMES, max(1, MOST_PIXELS // (width * height)))
    if count > most:
        raise DataError(f"{count:,} frames of {width:,} x {height:,}, at most {most:,} of that size; cut it into clips")
    return count
