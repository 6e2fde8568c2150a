"""Pictures, sounds and clips of rows: files of the index alone, looked up by row, known by their content."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from bouba.data.kinds import FILES
from bouba.runs.run import Run
from bouba.serve.limits import Limits, Refusal

AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
SOUNDS = {"WAV": "audio/wav", "FLAC": "audio/flac", "OGG": "audio/ogg", "MP3": "audio/mpeg"}
CLIPS = {b"\x1aE\xdf\xa3": "video/webm"}
LARGEST = 4096  # side of a picture of another format, which is sent as PNG
KEPT = 64_000_000  # bytes of thumbnails in memory


class Media:
    """What is sent for a cell, with thumbnails kept in memory."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._thumbnails: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._size, self._lock = 0, Lock()

    def of(self, run: Run, row: int, view: str, size: int | None) -> tuple[bytes | Path, str]:
        """Content, or the file that holds it, and its type.

        Args:
            size: the long side of a thumbnail; the whole when None.

        Raises:
            Refusal: no such cell, or it is no picture, sound or clip (any more).
        """
        item = run.items([row])[0]
        cell = item.views.get(view)
        if cell is None or cell.kind not in FILES:
            raise Refusal(404, f"row {row} has no picture, sound or clip {view!r}")
        content = None if cell.path is not None else run.index.shown(row, view)
        if cell.path is None and content is None:
            raise Refusal(404, f"the index keeps nothing to show of {view!r} in row {row}")
        source: bytes | Path = Path(cell.path) if content is None else content  # type: ignore[arg-type]
        try:
            return self._read(source, cell.kind, size)
        except (OSError, ValueError, SyntaxError, RuntimeError) as error:
            raise Refusal(404, f"{view!r} of row {row} cannot be shown: its file is gone or damaged") from error

    def _read(self, source: bytes | Path, kind: str, size: int | None) -> tuple[bytes | Path, str]:
        if isinstance(source, Path) and not source.is_file():  # a pipe or a device is never read
            raise FileNotFoundError(source)
        if kind == "audio":
            return source, _sound_type(source)
        if kind == "video" and (clip := _clip_type(source)) is not None:
            if size is None:
                return source, clip
            raise ValueError("a clip has no thumbnail")
        if size is not None:
            return self._thumbnail(source, size), "image/webp"
        return self._picture(source)

    def _picture(self, source: bytes | Path) -> tuple[bytes | Path, str]:
        """As it is where a browser shows it, else as PNG."""
        with self._opened(source) as picture:
            if picture.format in AS_THEY_ARE:
                return source, AS_THEY_ARE[picture.format]
            out = io.BytesIO()
            picture.thumbnail((LARGEST, LARGEST))
            picture.convert("RGBA" if "A" in picture.getbands() else "RGB").save(out, "PNG")
        return out.getvalue(), "image/png"

    def _thumbnail(self, source: bytes | Path, size: int) -> bytes:
        if isinstance(source, bytes):
            key: tuple[Any, ...] = (hash(source), len(source), size)
        else:
            stat = os.stat(source)
            key = (str(source), stat.st_mtime_ns, stat.st_size, size)
        with self._lock:
            if key in self._thumbnails:
                self._thumbnails.move_to_end(key)
                return self._thumbnails[key]
        from PIL import ImageOps

        with self._opened(source) as picture:
            picture.draft("RGB", (size, size))
            small = ImageOps.exif_transpose(picture)
            small.thumbnail((size, size))
            out = io.BytesIO()
            small = small.convert("RGBA" if "A" in small.getbands() or "transparency" in small.info else "RGB")
            small.save(out, "WEBP", quality=82, method=2)
        with self._lock:
            self._thumbnails[key] = out.getvalue()
            self._size += len(out.getvalue())
            while self._size > KEPT:
                self._size -= len(self._thumbnails.popitem(last=False)[1])
        return out.getvalue()

    def _opened(self, source: bytes | Path) -> Any:
        """A picture whose header says that it may be decoded."""
        from PIL import Image

        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        if picture.width * picture.height > self.limits.pixels:
            picture.close()
            raise ValueError("too many pixels")
        return picture


def _sound_type(source: bytes | Path) -> str:
    import soundfile

    found = soundfile.info(io.BytesIO(source) if isinstance(source, bytes) else str(source)).format
    if found not in SOUNDS:
        raise ValueError(f"a browser plays no {found}")
    return SOUNDS[found]


def _clip_type(source: bytes | Path) -> str | None:
    """Of a film; None for an animated picture."""
    head = source[:16] if isinstance(source, bytes) else _head(source)
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return next((kind for start, kind in CLIPS.items() if head.startswith(start)), None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
