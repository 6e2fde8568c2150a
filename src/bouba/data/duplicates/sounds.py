"""Sounds of one recording: in another format, at another rate or volume, with other silence around.

Candidates are the recordings whose spectra over time are nearest, once silence is cut off. A pair counts where the
waves themselves run together:

    max over lags of <a, b shifted> / (|a| |b|) >= SAME,   a and b the samples at RATE

which two takes of one word do not, however alike they sound: their waves are out of step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from bouba.data import decode
from bouba.data.duplicates.nearest import candidates
from bouba.data.mapped import Picked
from bouba.data.scratch import Stored
from bouba.errors import DataError

RATE = 8000  # Hz
SECONDS = 20.0  # that are compared, from the first sound on
SILENCE = 0.06  # of the loudest frame's level, below which there is silence
FRAME = 80  # samples of which a level is taken
BANDS, TIMES = 16, 8  # of the spectra that candidates are looked for by
CANDIDATES, LIMIT = 10, 0.7  # a recording, and how far its spectra are at most
SAME = 0.95  # correlation of the waves
DURATION = 0.5  # share by which durations may differ, what is nearly silent being cut off or not


def recordings(cells: Iterable[Any], present: np.ndarray) -> tuple[np.ndarray, Sequence[np.ndarray], list[bytes]]:
    """Which recording each cell is (n,), -1 where it is missing or cannot be decoded; the different ones without the
    silence around them, float32 at RATE; and their digests, sorted."""
    digests: list[bytes | None] = []
    kept: dict[bytes, int] = {}
    waves = Stored()
    for cell, there in zip(cells, present, strict=True):
        try:
            samples = decode.audio(cell, RATE, seconds=3 * SECONDS) if there else None
        except DataError:
            samples = None
        digest = None
        if samples is not None:
            digest = blake2b(np.ascontiguousarray(samples).tobytes(), digest_size=16).digest()
            if digest not in kept:
                kept[digest] = len(waves)
                waves.append(_trimmed(samples))
        digests.append(digest)
    order = {digest: place for place, digest in enumerate(sorted(kept))}
    return (
        np.array([-1 if d is None else order[d] for d in digests], int),
        Picked(waves, [kept[digest] for digest in order]),
        list(order),
    )


def near_sounds(sounds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (m,) of near-duplicates among different recordings without silence around them."""
    heard = np.array([place for place, sound in enumerate(sounds) if np.ptp(sound) > 0], int)
    if len(heard) < 2:
        return heard[:0], heard[:0]
    z = np.stack([_spectra(sounds[place]) for place in heard])
    first, second = candidates(z, CANDIDATES, LIMIT)
    first, second = heard[first], heard[second]
    same = [_same(sounds[a], sounds[b]) for a, b in zip(first.tolist(), second.tolist())]
    return first[same], second[same]


def _trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the silence before and after, at most SECONDS."""
    centred = samples - np.median(samples)
    frames = centred[: len(centred) // FRAME * FRAME].reshape(-1, FRAME)
    level = np.sqrt((frames**2).mean(1)) if len(frames) else np.ones(1)
    loud = np.flatnonzero(level > SILENCE * level.max())
    if not len(frames) or not len(loud):
        return centred
    return centred[loud[0] * FRAME : (loud[-1] + 1) * FRAME][: int(SECONDS * RATE)]


def _spectra(sound: np.ndarray) -> np.ndarray:
    """Float32 (TIMES * BANDS,), of length one: the logarithm of the power in bands, over time."""
    from scipy.signal import stft

    width = min(512, len(sound))
    power = np.abs(stft(sound, nperseg=width, noverlap=width // 2)[2]) ** 2  # (frequencies, frames)
    rows = np.unique(np.geomspace(1, len(power), BANDS + 1).round().astype(int) - 1)
    bands = np.log(np.add.reduceat(power, rows[:-1] if len(rows) > 1 else rows) + 3e-3 * power.max() + 1e-12)
    at = np.linspace(0, bands.shape[1] - 1, TIMES)
    low = at.astype(int)
    shown = bands[:, low] * (1 - (at - low)) + bands[:, np.minimum(low + 1, bands.shape[1] - 1)] * (at - low)
    whole = np.zeros((BANDS, TIMES), np.float32)
    whole[: len(shown)] = shown - shown.mean()
    return (whole / max(float(np.linalg.norm(whole)), 1e-6)).ravel()


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two waves run together at some lag."""
    from scipy.signal import correlate

    if abs(len(a) - len(b)) > DURATION * max(len(a), len(b)):
        return False
    most = np.abs(correlate(a, b, mode="full", method="fft")).max()
    return bool(most >= SAME * np.linalg.norm(a) * np.linalg.norm(b))
