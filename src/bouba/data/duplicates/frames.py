"""Pictures as a few small ones of fixed size, by which they are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import scratch
from bouba.data.scratch import Stored
from bouba.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FINE, TONES = 32, 8  # pixels a side of the luminance that is kept, and of the colour
LARGEST = 128  # pixels a side that what is drawn is found at
PLAIN, GROUND, INK = 0.9, 28, 20  # share of the border near one colour, how near, and what differs enough to be drawn
SPREAD = 2.0  # standard deviations from the centre of what is drawn to the edge of its frame
INK_OF = [max(0, difference - INK) for difference in range(256)]
WHOLE, DRAWN = 0, 1
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Frames:
    """n different pictures, or clips of T pictures each, in two frames: the whole, and what is drawn on a plain ground.

    Args:
        luminance: uint8 (n, 2, T, FINE, FINE). colour: int16 (n, 2, T, TONES, TONES, 2), red and blue less luminance.
        shape: (n, 2) logarithm of width by height. plain: bool (n,), whether the ground is plain; where it is not, both
            frames are the whole. side: (n,) pixels of the shorter side.
        of_cell: (cells,) which of the n a cell is; -1 where it is missing, or cannot be decoded.
        digests: n digests of pixels, sorted.
    """

    luminance: np.ndarray
    colour: np.ndarray
    shape: np.ndarray
    plain: np.ndarray
    side: np.ndarray
    of_cell: np.ndarray
    digests: list[bytes]

    def __len__(self) -> int:
        return len(self.luminance)

    @classmethod
    def of(cls, cells: Iterable[Any], present: np.ndarray, shown: Callable[[Any], list[Image]]) -> Frames:
        """Of cells, equal pixels once, in an order that is that of their digests.

        Args:
            present: (n,) False where a cell is missing. shown: the pictures of a cell, T of them, or fewer; may raise
                DataError.
        """
        digests: list[bytes | None] = []
        kept: dict[bytes, _Small] = {}
        pixels = Stored()
        seen: dict[bytes, bytes | None] = {}  # of encoded bytes -> of pixels: equal files are decoded once
        for cell, there in zip(cells, present, strict=True):
            stored = cell.get("bytes") if isinstance(cell, dict) else cell
            key = blake2b(stored, digest_size=16).digest() if isinstance(stored, bytes) else None
            if there and key is not None and key in seen:
                digests.append(seen[key])
                continue
            digest = _kept(cell, shown, kept, pixels) if there else None
            if key is not None:
                seen[key] = digest
            digests.append(digest)
        order = {digest: place for place, digest in enumerate(sorted(kept))}
        small = [kept[digest] for digest in order]
        most = max((pixels[one.place].shape[1] for one in small), default=1)
        luminance = scratch.zeros((len(small), 2, most, FINE, FINE), np.uint8)
        colour = scratch.zeros((len(small), 2, most, TONES, TONES, 2), np.int16)
        for place, one in enumerate(small):
            luminance[place] = _as_long(pixels[one.place], most)
            colour[place] = _as_long(pixels[one.place + 1], most)
        of_cell = np.array([-1 if digest is None else order[digest] for digest in digests], int)
        shape = np.array([one.shape for one in small]).reshape(-1, 2)
        plain, side = np.array([one.plain for one in small], bool), np.array([one.side for one in small])
        return cls(luminance, colour, shape, plain, side, of_cell, list(order))


@dataclass(frozen=True)
class _Small:
    """What is known of one picture: where its luminance is stored, its colour behind it; and as in Frames."""

    place: int
    shape: tuple[float, float]
    plain: bool
    side: int


def _kept(cell: Any, shown: Callable[[Any], list[Image]], kept: dict[bytes, _Small], pixels: Stored) -> bytes | None:
    """The digest of a cell's pixels, under which its frames are kept; None where it cannot be decoded."""
    try:
        pictures = shown(cell)
    except DataError:
        return None
    hashed = blake2b(digest_size=16)
    for picture in pictures:
        hashed.update(repr(picture.size).encode() + picture.tobytes())
    digest = hashed.digest()
    if digest not in kept:
        luminance, colour, shape, plain, side = _frames_of(pictures)
        kept[digest] = _Small(len(pixels), shape, plain, side)
        pixels.append(luminance)
        pixels.append(colour)
    return digest


def _as_long(frames: np.ndarray, most: int) -> np.ndarray:
    """Frames (2, t, ...) of a clip with its last picture repeated up to `most` of them."""
    return np.concatenate([frames, np.repeat(frames[:, -1:], most - frames.shape[1], axis=1)], axis=1)


def _frames_of(pictures: Sequence[Image]) -> tuple[np.ndarray, np.ndarray, tuple[float, float], bool, int]:
    """Luminance, colour, shapes, plainness and shorter side of one cell; see Frames."""
    small = [_shrunk(picture) for picture in pictures]
    whole = [_resized(picture, (0, 0, *picture.size)) for picture in small]
    drawn = [_drawn(picture) for picture in small]
    shape = float(np.log(small[0].width / small[0].height))
    plain = drawn[0] is not None
    framed = [whole, [other if one is None else one[0] for one, other in zip(drawn, whole)]]
    luminance = np.array([[np.asarray(picture.convert("L")) for picture in frame] for frame in framed])
    tones = np.array([[np.asarray(picture.reduce(FINE // TONES)) for picture in frame] for frame in framed], np.float32)
    colour = (tones[..., [0, 2]] - (tones @ LUMA)[..., None]).round().astype(np.int16)
    return luminance, colour, (shape, drawn[0][1] if drawn[0] is not None else shape), plain, min(pictures[0].size)


def _shrunk(picture: Image) -> Image:
    from PIL import Image as pil

    scale = LARGEST / max(picture.size)
    if scale >= 1:
        return picture
    return picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), pil.Resampling.BOX
    )


def _resized(picture: Image, box: tuple[float, float, float, float]) -> Image:
    from PIL import Image as pil

    return picture.resize((FINE, FINE), pil.Resampling.BILINEAR, box=box)


def _drawn(picture: Image) -> tuple[Image, float] | None:
    """What is drawn on a plain ground, framed by its centre and spread, and the logarithm of the frame's width by its
    height; None where the ground is not plain, or nothing is drawn."""
    from PIL import Image as pil
    from PIL import ImageChops

    pixels = np.asarray(picture)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]]).astype(np.int16)
    ground = np.median(border, axis=0).astype(np.int16)
    if (np.abs(border - ground).max(1) <= GROUND).mean() < PLAIN:
        return None
    colour = tuple(ground.tolist())
    red, green, blue = ImageChops.difference(picture, pil.new("RGB", picture.size, colour)).split()
    differs = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    ink = np.asarray(differs.point(INK_OF))
    total = float(ink.sum())
    if not total:
        return None
    left, right = _reach(ink.sum(0) / total)
    top, bottom = _reach(ink.sum(1) / total)
    width, height = picture.size
    over = int(np.ceil(max(0.0, -left, -top, right - width, bottom - height)))
    if over:
        wider = pil.new("RGB", (width + 2 * over, height + 2 * over), colour)
        wider.paste(picture, (over, over))
        picture = wider
    shown = _resized(picture, (left + over, top + over, right + over, bottom + over))
    return shown, float(np.log((right - left) / (bottom - top)))


def _reach(share: np.ndarray) -> tuple[float, float]:
    """The ends of a frame, from the share of ink at each place."""
    at = np.arange(len(share)) + 0.5
    centre = float(share @ at)
    reach = SPREAD * float(share @ (at - centre) ** 2 + 1 / 12) ** 0.5
    return centre - reach, centre + reach
