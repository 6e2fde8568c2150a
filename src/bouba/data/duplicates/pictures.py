"""Pictures of one drawing or photograph: the same pixels in another size, format, brightness, margin or tone, cropped a
little or mirrored.

Of two pictures the distance is

    d = min over frames of || u_i - u_j ||,   u = (L - mean L) / || L - mean L ||,   L the luminance, (SIDE, SIDE)

which forgives brightness and contrast. A pair counts where d is tiny, or small and a gap away from all other pictures
(see `nearest.standing_out`), and where the frames also agree in detail, level and, unless one of them is grey, colour.
Mirrored pictures count, for training mirrors them (`data.augment`); turned ones do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bouba.data.duplicates.frames import DRAWN, FINE, WHOLE, Frames
from bouba.data.duplicates.nearest import candidates, linked, reaches, standing_out
from bouba.data.duplicates.registration import aligned_distance

COARSE, SIDE = 8, 16  # pixels a side at which candidates are looked for, and at which they are compared
CANDIDATES, LIMIT = 12, 0.45  # a row, and how far apart they are at most when COARSE
NEAR, FAR = 0.05, 0.2  # distances; on which pictures they were measured is in docs/decisions.md
DETAIL = 2.0  # how much larger the distance may be at FINE
SHAPE = 0.2  # logarithm of the ratio of width by height
LEVEL, GAIN = 0.15, 0.45  # of the mean luminance, and the logarithm of the ratio of contrasts
SAME_LEVEL, SAME_GAIN = 0.04, 0.1  # where one of them has lost its colour
CONTRAST, GREY, TONE, HUE = 0.02, 0.015, 0.02, 0.2  # least contrast; colour that is none, and that may differ
WIDE, CROPPED, APART, ALIGNED, STANDS = (
    1.2,
    0.6,
    0.7,
    0.2,
    0.25,
)  # of photographs of which one is a part: see `_cropped`
CHUNK = 8192  # pairs at once


@dataclass(frozen=True)
class Near:
    """Pairs of different pictures that show the same.

    Args:
        first, second: (m,) of the pictures. mirrored: bool (m,).
    """

    first: np.ndarray
    second: np.ndarray
    mirrored: np.ndarray


def near_pictures(frames: Frames) -> Near:
    """The pairs of near-duplicates among different pictures, or clips."""
    measured = [
        _measured(frames, frame, mirrored, *pairs)
        for frame in (WHOLE, DRAWN)
        for mirrored, pairs in _candidates(frames, frame)
    ]
    first, second, mirrored, agrees, distance = (np.concatenate([part[name] for part in measured]) for name in range(5))
    order = np.lexsort((distance, second, first))
    nearest = np.ones(len(order), bool)  # of each pair the way in which it is nearest
    nearest[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    first, second, mirrored, agrees, distance = (v[order[nearest]] for v in (first, second, mirrored, agrees, distance))
    kept = agrees & standing_out(len(frames), first, second, distance, near=NEAR, far=FAR, k=CANDIDATES, limit=LIMIT)
    first, second, mirrored = first[kept], second[kept], mirrored[kept]
    part, whole = _cropped(frames, linked(len(frames), first, second))
    return Near(
        np.append(first, part), np.append(second, whole), np.append(mirrored, np.zeros(len(part), bool)).astype(bool)
    )


def _candidates(frames: Frames, frame: int):
    """(mirrored, pairs) by one frame at low resolution."""
    rows = np.flatnonzero(frames.plain) if frame == DRAWN else np.arange(len(frames))
    z = _coarse(frames, rows, frame)
    for mirrored in (False, True):
        queries = _coarse(frames, rows, frame, mirrored=True) if mirrored else None
        first, second = candidates(z, CANDIDATES, LIMIT, queries=queries)
        yield mirrored, (rows[first], rows[second])


def _coarse(frames: Frames, rows: np.ndarray, frame: int, *, mirrored: bool = False) -> np.ndarray:
    """u of some pictures in one frame at low resolution, (m, T * COARSE * COARSE)."""
    z = np.zeros((len(rows), frames.luminance.shape[2] * COARSE**2), np.float32)
    for start in range(0, len(rows), CHUNK):
        luminance = frames.luminance[rows[start : start + CHUNK], frame]
        z[start : start + CHUNK] = _units(_reduced(luminance[..., ::-1] if mirrored else luminance, COARSE))
    return z


def _measured(frames: Frames, frame: int, mirrored: bool, first: np.ndarray, second: np.ndarray) -> tuple:
    """Of pairs in one frame: first, second, mirrored, whether all but the distance agrees, the distance."""
    alike = np.abs(frames.shape[first, frame] - frames.shape[second, frame]) <= SHAPE
    first, second = first[alike], second[alike]
    distance, agrees = np.zeros(len(first)), np.zeros(len(first), bool)
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        one = frames.luminance[first[part], frame]
        other = frames.luminance[second[part], frame]
        tones, other_tones = frames.colour[first[part], frame], frames.colour[second[part], frame]
        if mirrored:
            other, other_tones = other[..., ::-1], other_tones[..., ::-1, :]
        rough, fine = (
            np.linalg.norm(_units(_reduced(one, side)) - _units(_reduced(other, side)), axis=1) for side in (SIDE, FINE)
        )
        distance[part] = rough
        agrees[part] = (fine <= DETAIL * rough + NEAR) & _same_tones(one, other, tones, other_tones)
    return first, second, np.full(len(first), mirrored), agrees, distance


def _cropped(frames: Frames, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of pictures, not both on a plain ground, of which one is a part of the other: they stand out when they
    are small, and much more so once one is moved and scaled onto the other.

    Args:
        group: (n,) of each picture; those that are in one group already are not looked at again.
    """
    photographs = np.flatnonzero(~frames.plain & (frames.side >= FINE))
    if not len(photographs):
        return photographs, photographs
    z = _coarse(frames, np.arange(len(frames)), WHOLE)
    first, second = candidates(z, CANDIDATES, WIDE, asking=photographs)
    apart = np.linalg.norm(z[first] - z[second], axis=1)
    reach, behind = reaches(len(frames), first, second, apart, far=CROPPED, ratio=APART, k=CANDIDATES, limit=WIDE)
    kept = (apart <= np.minimum(reach[first], reach[second])) & (group[first] != group[second])
    kept &= (frames.side[first] >= FINE) & (frames.side[second] >= FINE)
    first, second, apart = first[kept], second[kept], apart[kept]
    groups = np.sort(np.stack([group[first], group[second]], 1), axis=1)
    order = np.argsort(apart, kind="stable")
    once = order[np.unique(groups[order], axis=0, return_index=True)[1]]  # the nearest pair of two groups
    first, second = first[once], second[once]
    aligned = _aligned(frames, first, second)
    agrees = (aligned <= ALIGNED) & _same_tones(
        frames.luminance[first, WHOLE],
        frames.luminance[second, WHOLE],
        frames.colour[first, WHOLE],
        frames.colour[second, WHOLE],
        hue=2 * HUE,
    )
    for rows in (first, second):  # the row behind the copies must be much farther, moved and scaled as well
        followed = np.flatnonzero(agrees & (behind[rows] >= 0))
        agrees[followed] = aligned[followed] <= STANDS * _aligned(frames, rows[followed], behind[rows[followed]])
    return first[agrees], second[agrees]


def _aligned(frames: Frames, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances of pairs once one is moved and scaled onto the other; of clips that of the picture that fits least."""
    one, other = frames.luminance[first, WHOLE], frames.luminance[second, WHOLE]
    return np.max([aligned_distance(one[:, t], other[:, t]) for t in range(one.shape[1])], axis=0)


def _same_tones(
    one: np.ndarray, other: np.ndarray, tones: np.ndarray, other_tones: np.ndarray, hue: float = HUE
) -> np.ndarray:
    """bool (m,), whether levels, contrasts and colours of pairs agree."""
    rms = lambda values: np.sqrt((values.astype(np.float32) ** 2).mean(axis=(1, 2, 3, 4))) / 255  # noqa: E731
    a, b = one / np.float32(255), other / np.float32(255)  # (m, T, FINE, FINE)
    contrasts = np.maximum(np.stack([a.std((1, 2, 3)), b.std((1, 2, 3))]), 1e-6)
    level = np.abs(a.mean((1, 2, 3)) - b.mean((1, 2, 3)))
    gain = np.abs(np.log(contrasts[0] / contrasts[1]))
    colours = np.stack([rms(tones), rms(other_tones)])
    apart = rms(tones - other_tones)
    coloured = (apart <= TONE) | (apart <= hue * colours.max(0))
    faded = (colours.min(0) < GREY) & (level <= SAME_LEVEL) & (gain <= SAME_GAIN)
    return (contrasts.min(0) > CONTRAST) & (level <= LEVEL) & (gain <= GAIN) & (coloured | faded)


def _reduced(luminance: np.ndarray, side: int) -> np.ndarray:
    """(m, T, FINE, FINE) -> float32 (m, T * side * side), means of squares."""
    pixels: np.ndarray = luminance.astype(np.float32)
    while pixels.shape[-1] > side:
        pixels = (pixels[..., ::2, :] + pixels[..., 1::2, :]) / 4
        pixels = pixels[..., ::2] + pixels[..., 1::2]
    return pixels.reshape(len(luminance), luminance.shape[1] * side * side)


def _units(pixels: np.ndarray) -> np.ndarray:
    """Rows without their mean, of length one; plain ones of length zero."""
    centred = pixels - pixels.mean(1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1.0)
