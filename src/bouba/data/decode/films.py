"""Films, by FFmpeg: how many frames there are, and some of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from bouba.data.decode import arrays
from bouba.data.decode.files import opened
from bouba.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

CONTAINERS = (
    *(
        "mov",
        "mp4",
        "m4a",
        "3gp",
        "3g2",
        "mj2",
        "matroska",
        "webm",
        "avi",
        "mpeg",
        "mpegts",
        "mpegvideo",
        "flv",
        "live_flv",
    ),
    *("asf", "ogg", "mxf", "yuv4mpegpipe", "dv", "ivf", "nut", "rm", "h264", "hevc", "m4v"),
)
"""What FFmpeg may open, by content: files that hold their frames. Playlists (concat, hls, dash, sdp) open other files
and addresses, and image2, lavfi and the devices are no files at all."""
MOST_FRAMES = 1 << 18
"""Of one film: 2.4 hours at 30 a second."""
LONGEST = 3 * 3600.0
"""Seconds of one film; a film is decoded from its start to the last frame taken."""
MOST_PIXELS = 1 << 25
"""Of one frame: 8K is 7,680 x 4,320. A decoder holds some twenty frames at once."""


def film_frames(value, frames: int, chosen: Any) -> list[Image]:
    """Up to `frames` pictures of a film, those with the numbers that `chosen(n, frames)` gives of n.

    Raises:
        DataError: no film, one that breaks off, or beyond the bounds above. What FFmpeg raises.
    """
    with opened(value) as file:
        pictures, decoded = _frames(file, chosen(_count(file), frames))
        if len(pictures) < min(frames, decoded):  # some packets of a film may show nothing
            pictures, _ = _frames(file, chosen(decoded, frames))
    return pictures


def film_header(value) -> None:
    """Refuse a film by its header and its length; no frame is decoded. Errors as `film_frames`."""
    with opened(value) as file:
        if not _count(file):
            raise DataError("it holds no frame")


@contextlib.contextmanager
def _film(file: BinaryIO) -> Iterator[Any]:
    """An open film, its header within bounds. It reads what it was given, and nothing that this may point to."""
    import av

    file.seek(0)
    options = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    with av.open(file, "r", options=options) as film:
        if not film.streams.video:
            raise DataError("it holds no picture")
        stream = film.streams.video[0]
        if stream.codec_context is None:
            raise DataError("its pictures are coded in a way that FFmpeg does not know here")
        if stream.width and stream.height:
            arrays.refuse_size(stream.width, stream.height, MOST_PIXELS)
        # frames may be larger than the header says; FFmpeg counts them with a border
        stream.codec_context.options = {"max_pixels": str(2 * MOST_PIXELS)}
        seconds = (film.duration or 0) / av.time_base
        if seconds > LONGEST:
            raise DataError(f"{seconds:,.0f} s long, at most {LONGEST:,.0f}; cut it into clips")
        if stream.frames > MOST_FRAMES:
            raise DataError(f"{stream.frames:,} frames, at most {MOST_FRAMES:,}; cut it into clips")
        yield film


def _count(file: BinaryIO) -> int:
    """Frames of a film, without decoding them. DataError where it ends before its header says, or never."""
    import av

    with _film(file) as film:
        stream, n, end = film.streams.video[0], 0, 0.0
        for packet in film.demux():
            if packet.size:
                n += packet.stream.index == stream.index
                end = max(end, float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
                if n > MOST_FRAMES:
                    raise DataError(f"more than {MOST_FRAMES:,} frames; cut it into clips")
        length = (film.duration or 0) / av.time_base
        if n < stream.frames or end < 0.9 * length:
            raise DataError(f"its data break off: {n} frames and {end:.1f} of {length:.1f} s are there")
    return n


def _frames(file: BinaryIO, numbers: Sequence[int]) -> tuple[list[Image], int]:
    """The frames of these numbers, in order; and how many were decoded, up to the last of them."""
    pictures: list[Image] = []
    decoded = 0
    with _film(file) as film:
        film.streams.video[0].thread_type = "AUTO"
        for frame in film.decode(video=0):
            if decoded in numbers:
                arrays.refuse_size(frame.width, frame.height, MOST_PIXELS)
                pictures.append(frame.to_image().rotate(frame.rotation, expand=True))  # as the telephone was held
            decoded += 1
            if len(pictures) == len(numbers) or decoded > MOST_FRAMES:
                break
    return pictures, decoded
