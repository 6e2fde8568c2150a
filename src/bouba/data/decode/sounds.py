"""A cell with a sound -> samples of one channel."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bouba.data.decode.cells import as_numpy, is_array, name_of, reason
from bouba.data.decode.files import opened
from bouba.data.several import first_of
from bouba.errors import DataError

if TYPE_CHECKING:
    from soundfile import SoundFile

OTHER_FORMATS = ("RAW", "SD2")
"""Of libsndfile, not read: the first has no header, the second keeps it in a file of its own."""
SDS_MARK = b"\xf0\x7e"
"""The first bytes of a MIDI sample dump, of which libsndfile prints what is wrong; not read either."""
HIGHEST_RATE = 1_000_000
"""Hz; recorders of bats take 500,000."""
MOST_SAMPLES = 1 << 27
"""Of one sound in memory, after its channels are averaged: 46 minutes at 48,000 Hz, 512 MB."""
MOST_CHANNELS = 1024
"""As libsndfile."""
LOUDEST = 32.0
"""Where 1 is full scale: mixes and codecs go a little beyond it, samples that were integers far."""
LARGEST_FACTOR = 1 << 16
"""Of resampling by a ratio of whole numbers: its filter has 20 times as many taps. A ratio of larger numbers is taken
for the nearest of smaller ones, which moves no sample by more than a part in four billion."""
BLOCK = 1 << 20
"""Samples that are decoded at once."""


def audio(value, rate: int, *, seconds: float | None = None) -> NDArray[np.float32]:
    """A cell -> samples of one channel at `rate`, float32 (n,) in about [-1, 1]; several channels are averaged.

    Args:
        value: a path or file:// address, encoded bytes, an open file, {"bytes": ..., "path": ...} or {"array": ...,
            "sampling_rate": ...} as `datasets` stores them, (samples, rate), (rate, samples) as SciPy gives them, or
            samples alone, which are at `rate` already. Samples are (n,), or (n, channels) either way round, time being
            longer; int8, int16 and int32 span their range, and uint8 does around 128, as in a WAV. Files are WAV,
            FLAC, OGG, MP3 and what else libsndfile reads.
        rate: in Hz; sounds of another are resampled.
        seconds: read this much from the start; None reads all.

    Raises:
        DataError: the bytes are no sound, hold no sample or one that is NaN, or a rate or length beyond what is taken;
            the message says which and why.
    """
    samples, native = stored_audio(value, rate, seconds)
    if native == rate:
        return samples
    from scipy.signal import resample_poly

    up, down = _ratio(rate, native)
    if len(samples) * up // down > MOST_SAMPLES:
        length = len(samples) * up // down
        raise DataError(f"not a sound: {name_of(value)} ({length:,} samples at {rate} Hz, at most {MOST_SAMPLES:,})")
    return resample_poly(samples, up, down).astype(np.float32)


def stored_audio(value, rate: int, seconds: float | None = None) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) at the rate they are stored with, and that rate; `rate` for samples that come without one."""
    value = first_of(value)
    try:
        if (given := samples_and_rate(value, rate)) is not None:
            samples, native = _one_channel(*given, seconds)
        else:
            samples, native = _from_file(value, seconds)
        _refuse_silly(samples)
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a sound: {name_of(value)} ({reason(error)})") from error
    return samples, native


def sound_header(value) -> None:
    """Refuse a cell that shows at a glance that it is no sound: of a file, its header and its two ends are read.

    Raises:
        DataError: as `audio`. What breaks in the middle is found by `audio` alone.
    """
    try:
        if (given := samples_and_rate(value, 1)) is not None:
            _refuse_silly(_one_channel(*given, None)[0])
            return
        with _file_of(value) as file:
            # the end first: of some short Vorbis files libsndfile finds no end once it has read their beginning
            breaks = False
            if file.format != "MP3" and file.seekable() and 1 < file.frames < 1 << 62:  # an MP3's length is estimated
                file.seek(file.frames - 1)
                breaks = not len(file.read(1, always_2d=True))
                file.seek(0)
            if not len(file.read(1, always_2d=True)):
                raise DataError("it holds no sample")
            if breaks:
                raise DataError("its data break off")
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a sound: {name_of(value)} ({reason(error)})") from error


def refuse_sound(value) -> None:
    """Refuse a cell that cannot be decoded, block by block to its end or to MOST_SAMPLES; nothing is kept.

    Raises:
        DataError: as `audio`.
    """
    sound_header(value)
    if samples_and_rate(value, 1) is not None:
        return
    try:
        with _file_of(value) as file:
            for block in _blocks(file, MOST_SAMPLES):
                _refuse_silly(block)
    except Exception as error:  # decoders raise anything on broken bytes
        raise DataError(f"not a sound: {name_of(value)} ({reason(error)})") from error


def samples_and_rate(value, rate: int | None) -> tuple[Any, Any] | None:
    """The samples and the rate of a cell in memory, `rate` where it has none; None where it is a file.

    Raises:
        DataError: a mapping with samples and without their rate.
    """
    if isinstance(value, dict) and "array" in value:
        if value.get("sampling_rate") is None:
            raise DataError("samples without their 'sampling_rate'; give it in Hz")
        return value["array"], value["sampling_rate"]
    if isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) != np.ndim(value[1]):
        return value if np.ndim(value[0]) else value[::-1]
    if isinstance(value, list | tuple) or is_array(value):
        return value, rate
    return None


def _one_channel(samples, rate, seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """Samples in memory, as one channel."""
    samples, rate = as_numpy(samples), _whole_rate(rate)
    length = None if seconds is None else math.ceil(seconds * rate)
    if isinstance(samples, np.ma.MaskedArray):
        if masked := int(np.ma.count_masked(samples)):
            raise DataError(
                f"{masked:,} of {samples.size:,} samples are masked; fill them, for example array.filled(0)"
            )
        samples = samples.data
    if samples.ndim == 2:
        samples = samples if samples.shape[0] > samples.shape[1] else samples.T  # (n, channels)
        if samples.shape[0] == samples.shape[1] > 1:
            raise DataError(f"samples of shape {samples.shape}: which are the channels? give their mean")
        if samples.shape[1] > MOST_CHANNELS:
            raise DataError(f"{samples.shape[1]:,} channels, at most {MOST_CHANNELS:,}")
    known = samples.dtype.kind == "f" or samples.dtype in (np.int8, np.int16, np.int32, np.uint8)
    if not known or samples.ndim not in (1, 2):
        raise DataError(f"{samples.dtype} samples of shape {samples.shape} at {rate} Hz; give floats or int16")
    samples = samples[:length]
    if len(samples) > MOST_SAMPLES:
        raise DataError(f"{len(samples):,} samples, at most {MOST_SAMPLES:,}; cut it")
    if samples.dtype.kind == "u":
        samples = (samples - 128.0) / 128.0
    elif samples.dtype.kind == "i":
        samples = samples / 2.0 ** (8 * samples.dtype.itemsize - 1)
    samples = samples.astype(np.float32) if samples.dtype.itemsize < 4 else samples
    with np.errstate(over="ignore"):  # such samples become infinite, and are refused
        return (samples.mean(1) if samples.ndim == 2 else samples).astype(np.float32), rate


def _whole_rate(rate) -> int:
    """A rate in Hz. DataError where it is no whole number within bounds."""
    try:
        whole = float(rate)
    except (TypeError, ValueError):
        whole = math.nan
    if not (whole.is_integer() and 1 <= whole <= HIGHEST_RATE):
        raise DataError(f"samples at {rate!r:.40} Hz; a rate is a whole number from 1 to {HIGHEST_RATE:,}")
    return int(whole)


def _refuse_silly(samples: np.ndarray) -> None:
    """DataError for a sound without a sample, or with one that no sound has."""
    if not samples.size:
        raise DataError("it holds no sample")
    loudest = float(np.abs(samples).max())
    if not math.isfinite(loudest):
        raise DataError("it holds NaN or infinity")
    if loudest > LOUDEST:
        raise DataError(
            f"samples up to {loudest:,.6g}, where 1 is full scale; of integers made floats, divide by 32768"
        )


@contextmanager
def _file_of(value) -> Iterator[SoundFile]:
    """An encoded sound, open, its header within bounds."""
    import soundfile

    try:
        with opened(value) as stream, soundfile.SoundFile(_for_libsndfile(stream), closefd=False) as file:
            if file.format in OTHER_FORMATS:
                raise DataError(f"{file.format} is not read; save it as FLAC")
            if not 1 <= file.samplerate <= HIGHEST_RATE:
                raise DataError(f"it says {file.samplerate:,} Hz, at most {HIGHEST_RATE:,}")
            if file.channels > MOST_CHANNELS:
                raise DataError(f"it says {file.channels:,} channels, at most {MOST_CHANNELS:,}")
            yield file
    except soundfile.LibsndfileError as error:
        raise DataError(error.error_string.rstrip(".") or "its data break off") from error


def _for_libsndfile(stream: BinaryIO) -> Any:
    """A file as its descriptor, which libsndfile reads itself; bytes in memory as what it may seek in."""
    if stream.read(len(SDS_MARK)) == SDS_MARK:
        raise DataError("SDS is not read; save it as FLAC")
    if isinstance(stream, io.BytesIO):
        return _Bytes(stream.getvalue())
    os.lseek(stream.fileno(), 0, os.SEEK_SET)  # it reads from where the descriptor stands
    return stream.fileno()


class _Bytes(io.BytesIO):
    """Bytes in which a place before the first is the first: damaged headers point there."""

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, start + offset))


def _from_file(value, seconds: float | None) -> tuple[NDArray[np.float32], int]:
    """The start of an encoded sound, as one channel, decoded block by block: a header may say any length."""
    with _file_of(value) as file:
        wanted = math.inf if seconds is None else math.ceil(seconds * file.samplerate)
        parts = [np.zeros(0, np.float32)]
        for block in _blocks(file, min(wanted, MOST_SAMPLES + 1)):
            parts.append(block)
        samples = np.concatenate(parts)
        if len(samples) > MOST_SAMPLES:
            raise DataError(f"more than {MOST_SAMPLES:,} samples; cut it")
        return samples, file.samplerate


def _blocks(file: SoundFile, wanted: float) -> Iterator[NDArray[np.float32]]:
    """Up to `wanted` samples of one channel, as many as there are whatever the header says."""
    size = max(1, BLOCK // file.channels)
    while wanted > 0:
        block = file.read(int(min(wanted, size)), dtype="float32", always_2d=True)
        yield block.mean(1)
        wanted = wanted - len(block) if len(block) == min(wanted, size) else 0


def _ratio(rate: int, native: int) -> tuple[int, int]:
    """Whole numbers (up, down) by which samples at `native` become samples at `rate`, see LARGEST_FACTOR."""
    slow, fast = sorted((rate, native))
    share = Fraction(slow, fast).limit_denominator(LARGEST_FACTOR) or Fraction(1, fast // slow)
    return (share.numerator, share.denominator) if rate < native else (share.denominator, share.numerator)
