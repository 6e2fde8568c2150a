"""A cell with a picture -> RGB."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from bouba.data.decode import arrays
from bouba.data.decode.cells import is_array, name_of, path_of, reason
from bouba.data.decode.files import opened
from bouba.data.several import first_of
from bouba.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "PPM", "JPEG2000", "ICO", "QOI", "SGI", "DDS"),
    *("PCX", "TGA"),
)
"""What Pillow may open, by content: decoders that run in this process, open no other file and start no program. EPS
starts Ghostscript, WMF draws by the operating system, FPX and MIC open files inside files. The last two have the
weakest marks and are tried last."""
DRAWN_BY_OTHERS = ("EPS", "WMF", "FPX", "MIC", "BUFR", "GRIB", "HDF5")
"""Formats of PIL images that are not taken before their pixels are loaded; whoever opened others meant to."""
SCALED_TO_16_BITS = ("PNG", "PPM")
"""Formats of which Pillow gives 16 bits of grey as 32-bit numbers up to 65,535 (PNG: before Pillow 11)."""
LARGEST_FILE = 1 << 29
"""Bytes of one picture: parts of a PNG or TIFF that are not pixels may be as long as the file and are read at once. The
largest picture takes 400 million without any compression."""
LAST = 64
"""Bytes of a file in which its format's end is looked for."""


def image(value) -> Image:
    """A cell -> RGB picture; transparency lies on white, and what the camera says of up and down is followed.

    Args:
        value: a path or file:// address, encoded bytes, an open file, a PIL image, {"bytes": ..., "path": ...} as
            `datasets` stores it, or an array or tensor of pixels, see `arrays.pixels`.

    Raises:
        DataError: the bytes are no picture, break off or have more than `arrays.MOST_PIXELS`; the message says which
            and why.
    """
    from PIL import ImageOps

    value = first_of(value)
    try:
        if is_array(value) or isinstance(value, list | tuple):
            return on_white(from_pixels(arrays.pixels(value)))
        with picture_of(value) as picture:
            picture.load()
            upright, own = picture, picture is not value
            with contextlib.suppress(Exception):  # damaged notes of a camera about a picture that is whole
                if own:
                    ImageOps.exif_transpose(picture, in_place=True)
                else:
                    upright = ImageOps.exif_transpose(picture)
            if own and upright.mode == "RGB" and "transparency" not in upright.info:
                return upright  # no copy of what may have a hundred million pixels
            return on_white(upright, picture.format)
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a picture: {name_of(value)} ({reason(error)})") from error


def picture_header(value) -> None:
    """Refuse a cell that shows at a glance that it is no picture: its header, size and end are read. So are its pixels
    where no header says their range.

    Raises:
        DataError: as `image`. What breaks in the middle is found by `image` alone.
    """
    whole = True
    try:
        if is_array(value) or isinstance(value, list | tuple):
            array = arrays.as_plain(value)
            arrays.refuse_range(arrays.channels_last(array, first=arrays.is_tensor(value)))
        else:
            with picture_of(value) as picture:
                whole = picture.mode not in ("I", "F") and (picture is value or has_its_end(picture))
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a picture: {name_of(value)} ({reason(error)})") from error
    if not whole:
        image(value)


@contextlib.contextmanager
def picture_of(value) -> Iterator[Image]:
    """A cell as PIL image whose pixels are not decoded yet, closed afterwards; one that is an image stays open.

    Raises:
        DataError: too many pixels, or none; no file to open. PIL.UnidentifiedImageError: the bytes are no picture.
    """
    from PIL import Image as pil

    if isinstance(value, pil.Image):
        refuse_image(value)
        yield value
    else:
        with opened(value) as file:
            yield _identified(file, path_of(value) or "")


def _identified(file: BinaryIO, path: str) -> Image:
    """A picture by its header. DataError where it is too large, PIL.UnidentifiedImageError where it is none."""
    from PIL import Image as pil

    if (size := file.seek(0, 2)) > LARGEST_FILE:
        raise DataError(f"{size:,} bytes, at most {LARGEST_FILE:,}; scale it down")
    try:
        picture = pil.open(file, formats=_formats())
    except pil.DecompressionBombError as error:
        count = int((re.findall(r"\d+", str(error)) or [0])[0])
        raise DataError(f"{count:,} pixels, at most {arrays.MOST_PIXELS:,}; scale it down") from error
    if picture.format == "TGA" and not _is_tga(file, path):
        raise pil.UnidentifiedImageError("cannot identify a file by chance alone")
    arrays.refuse_size(*picture.size)
    return picture


def _is_tga(file: BinaryIO, path: str) -> bool:
    """Whether a file says that it is a TGA, at its end or in its name: its start is that of many other files."""
    if path.lower().endswith(".tga"):
        return True
    file.seek(max(0, file.seek(0, 2) - LAST))
    return b"TRUEVISION-XFILE" in file.read()


@functools.cache
def _formats() -> tuple[str, ...]:
    """FORMATS, as far as this Pillow has them."""
    from PIL import Image as pil

    pil.init()
    return tuple(name for name in FORMATS if name in pil.OPEN)


def refuse_image(picture: Image) -> None:
    """DataError for a PIL image that is too large, or whose pixels another program would still have to draw."""
    if picture.format in DRAWN_BY_OTHERS and getattr(picture, "tile", None):
        raise DataError(f"an open {picture.format}, which other programs draw; load it yourself, or give it as PNG")
    arrays.refuse_size(*picture.size)


def has_its_end(picture: Image) -> bool:
    """Whether the file of a picture that was just opened ends as its format does; False where that is not known without
    decoding it."""
    file = picture.fp  # type: ignore[attr-defined]
    if file is None:
        return False
    size = file.seek(0, 2)
    file.seek(max(0, size - LAST))
    last = file.read(LAST)
    if picture.format in ("JPEG", "MPO"):
        return b"\xff\xd9" in last
    if picture.format == "PNG":
        return b"IEND" in last
    if picture.format == "GIF":
        return last.rstrip(b"\0").endswith(b";")
    if picture.format == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        places = (*tags.get(273, ()), *tags.get(324, ()))  # of strips, of tiles
        lengths = (*tags.get(279, ()), *tags.get(325, ()))
        return len(places) == len(lengths) and all(at + length <= size for at, length in zip(places, lengths))
    return False


def on_white(picture: Image, form: str | None = None) -> Image:
    """A new RGB picture; transparency lies on white, and what has more than 8 bits gets 8, see `arrays.pixels`. `form`:
    the format of its file, where the picture does not know it."""
    from PIL import Image as pil

    if picture.mode.startswith(("I", "F")):
        picture = _in_bytes(picture, form or picture.format)
    if picture.mode == "LAB":
        picture = _from_lab(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
        picture = pil.alpha_composite(pil.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _in_bytes(picture: Image, form: str | None) -> Image:
    """Grey of 16 or 32 bits, or floats, in 8 bits; the grey that is called transparent becomes white."""
    grey = np.asarray(picture)
    if picture.mode == "I" and form in SCALED_TO_16_BITS:
        grey = grey.astype(np.uint16)
    stated = grey.dtype.itemsize == 2 and form is not None  # a file says its depth, however dark it is
    shown = arrays.as_bytes(grey, checked=stated)
    if isinstance(clear := picture.info.get("transparency"), int):
        shown = np.where(grey == clear, np.uint8(255), shown)
    return from_pixels(shown)


def _from_lab(picture: Image) -> Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None, "it is not converted in place"
    return converted


def from_pixels(values: np.ndarray) -> Image:
    """uint8 (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) as an image."""
    from PIL import Image as pil

    return pil.fromarray(np.ascontiguousarray(values))


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
