"""What a page shows of cells that no file holds: small pictures and short sounds, made when they are cut out."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.video import video
from bouba.data.views import Column
from bouba.errors import DataError

SIDE = 256
"""Pixels, the long side of a picture."""
SMALL = 96
"""Pixels up to which a picture is kept without loss."""
QUALITY = 80
SECONDS = 30.0
"""Of a sound, from its start."""
RATE = 16_000
"""Hz of samples that come without a rate, as encoders take them."""
RATES = (8_000, 48_000)
"""Hz that a sound is brought between."""
BLOCK = 4096  # samples that are encoded at once: libsndfile fails on very many


class Miniatures(Sequence[bytes | None]):
    """The cells of a view as small files, None where a cell is missing or a file holds it; made some rows at a time.

    Args:
        column: of a kind in MAKERS.
    """

    def __init__(self, column: Column):
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, part: Any) -> Any:
        """Of one row, or of a slice of rows."""
        if not isinstance(part, slice):
            return self._made(int(part))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            return list(pool.map(self._made, range(*part.indices(len(self)))))

    def _made(self, row: int) -> bytes | None:
        column = self._column
        if not column.has[column.index[row]] or file_of(cell := column[row]) is not None:
            return None
        try:
            return MAKERS[column.kind](cell)
        except DataError:
            return None


def file_of(cell: Any) -> str | None:
    """The file that a cell points to, wherever it is looked at later; None for one that is held otherwise, whatever
    name stands beside its bytes."""
    path = decode.path_of(cell)
    if path is None or (isinstance(cell, dict) and cell.get("bytes") is not None and not os.path.isfile(path)):
        return None
    return os.path.abspath(path)


def picture(cell: Any) -> bytes:
    """A picture as WebP, SIDE pixels at most; one that is so already as it is."""
    stored = cell.get("bytes") if isinstance(cell, dict) else cell
    shown = decode.image(cell)
    if isinstance(stored, bytes) and stored[:4] == b"RIFF" and stored[8:12] == b"WEBP" and max(shown.size) <= SIDE:
        return stored
    return _webp(shown)


def still(cell: Any) -> bytes:
    """The middle picture of a clip, in the same way."""
    return _webp(video(cell, 1)[0])


def sound(cell: Any) -> bytes:
    """The first SECONDS of a sound, as OGG Vorbis of one channel."""
    import soundfile

    samples, rate = decode.stored_audio(cell, RATE, SECONDS)
    low, high = RATES
    if not low <= rate <= high:
        rate = min(max(rate, low), high)
        samples = decode.audio(cell, rate, seconds=SECONDS)
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(samples), BLOCK):
            file.write(np.clip(samples[start : start + BLOCK], -1, 1))
    return out.getvalue()


def _webp(shown: Any) -> bytes:
    shown.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    if max(shown.size) <= SMALL:
        shown.save(out, "WEBP", lossless=True, quality=30, method=2)
    else:
        shown.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()


MAKERS: dict[str, Callable[[Any], bytes]] = {"image": picture, "video": still, "audio": sound}
"""Kind -> what makes the small file."""
