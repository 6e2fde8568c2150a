"""Pictures inside the page: each one stored once, as a data: URI that a style rule names."""

import base64
import io
from collections.abc import Sequence

from bouba.errors import DataError

LARGEST = 48 * 1024  # bytes kept as they are; a bigger picture is drawn smaller
SIDE = 256  # pixels, the long side of a picture drawn smaller

SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def mime(data: bytes) -> str | None:
    """The type by the first bytes, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in SIGNATURES if data.startswith(start)), None)


def data_uri(data: bytes) -> str:
    """Encoded picture -> `data:image/...;base64,...`; a big one becomes a small WebP first."""
    kind = mime(data)
    if kind is None:
        raise DataError(f"a picture of {len(data)} bytes is not PNG, WebP, JPEG or GIF; give encoded bytes, not pixels")
    if len(data) > LARGEST:
        data, kind = _smaller(data), "image/webp"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _smaller(data: bytes) -> bytes:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"a picture of {len(data)} bytes cannot be opened ({error}); leave it out") from error
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85)
    return out.getvalue()


class Album:
    """Gives every distinct picture a number; the page names it by the class `p<number>`."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def add(self, data: bytes | None) -> int | None:
        """The number of a picture, new or seen before; None for no picture."""
        return None if data is None else self._numbers.setdefault(bytes(data), len(self._numbers))

    def add_all(self, pictures: Sequence[bytes | None]) -> list[int | None]:
        """Numbers of several pictures, in order."""
        return [self.add(data) for data in pictures]

    def css(self) -> str:
        """One style rule per distinct picture."""
        return "\n".join(
            f'.p{number}{{background-image:url("{data_uri(data)}")}}' for data, number in self._numbers.items()
        )
