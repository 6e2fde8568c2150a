"""Cells as rows of plain numbers, before anything is learnt from them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bouba.data import decode
from bouba.data.video import video

AT_ONCE = 256  # pictures that are in memory as they are stored
SIDE = 16  # pixels of a picture or of a frame
FRAMES = 8  # of a clip
RATE, SECONDS = 16_000, 5.0  # of a sound
MELS, CEPSTRA = 40, 13


def plain_numbers(kind: str, cells: Sequence, *, crop: bool = False) -> np.ndarray:
    """Cells of one kind as rows of numbers (n, d).

        vector      as they are
        image       16 x 16 RGB pixels on white, in [0, 1]
        video       the mean of 8 frames, each such pixels; and the mean change from one to the next
        audio       mean and standard deviation over time of 40 log-mel energies, of 13 cepstral coefficients, and of
                    the change of these from one frame to the next

    Args:
        kind: "vector", "image", "video" or "audio". crop: cut the white margin of pictures and frames away first.

    Reference: Davis & Mermelstein 1980 (cepstral coefficients of mel energies); Furui 1981 (their changes).
    """
    if kind == "vector":
        return np.stack([decode.vector(cell) for cell in cells])
    if kind == "audio":
        return np.stack([_of_sound(cell) for cell in cells])
    if kind == "video":
        return np.stack([_of_clip(cell, crop) for cell in cells])
    with ThreadPoolExecutor(4) as pool:
        stretches = [cells[start : start + AT_ONCE] for start in range(0, len(cells), AT_ONCE)]
        return np.stack([row for some in stretches for row in pool.map(lambda c: _pixels(decode.image(c), crop), some)])


def _pixels(picture, crop: bool) -> np.ndarray:
    if crop:
        from bouba.towers.image import crop_to_content

        picture = crop_to_content(picture)
    return np.asarray(decode.fit_on_white(picture, SIDE), np.float32).ravel() / 255


def _of_clip(cell, crop: bool) -> np.ndarray:
    frames = np.stack([_pixels(frame, crop) for frame in video(cell, FRAMES)])
    change = np.abs(np.diff(frames, axis=0)).mean(0) if len(frames) > 1 else np.zeros_like(frames[0])
    return np.concatenate([frames.mean(0), change])


def _of_sound(cell) -> np.ndarray:
    from scipy.fft import dct

    from bouba.towers.audio import log_mel

    energies = log_mel(decode.audio(cell, RATE, seconds=SECONDS), RATE, MELS).numpy()  # (T, MELS)
    cepstra = dct(energies, norm="ortho", axis=1)[:, :CEPSTRA]
    change = np.diff(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    return np.concatenate(
        [statistic(part, axis=0) for part in (energies, cepstra, change) for statistic in (np.mean, np.std)]
    )
