"""Arrays of pixels: which axis is which, and what range of numbers is black to white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bouba.data.decode.cells import as_numpy, is_tensor
from bouba.errors import DataError

MOST_PIXELS = 1 << 27
"""Of one picture, 16,384 x 8,192: telephones take 108 million. As RGB it is 400 MB."""
CHANNELS = (1, 2, 3, 4)
"""Grey, grey and alpha, RGB, RGB and alpha."""
SLACK = 1 / 512
"""How far beyond [0, 1] floats may lie, half a step of 256: rounding, not another range."""


def pixels(value) -> NDArray[np.uint8]:
    """An array of any range -> uint8 (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), the last of an even number alpha.

        bool                  False, True                       -> 0, 255
        uint8                 as it is
        uint16                0 ... 65,535                      -> its upper 8 bits; refused where all are below 256
        other integers        0 ... 255                         -> as they are; refused where one lies outside, all are
                                                                   0 and 1, or of int8, which ends at 127
        floats                0 ... 1                           -> 0 ... 255; refused where one lies outside

    Args:
        value: (H, W), (H, W, C) or (C, H, W), C in CHANNELS, of NumPy, torch or what turns into an array; nested lists.
            Where both orders would do, tensors of torch have channels first, all others last.

    Raises:
        DataError: another shape or range, NaN, a masked pixel, too many pixels; the message says what to do.
    """
    return as_bytes(channels_last(as_plain(value), first=is_tensor(value)))


def as_plain(value) -> np.ndarray:
    """An array without a mask, of numbers. DataError for masked pixels, other contents and what is no array."""
    try:
        array = as_numpy(value)
    except ValueError as error:
        raise DataError("rows of unequal lengths; give an array (H, W) or (H, W, 3)") from error
    if isinstance(array, np.ma.MaskedArray):
        if masked := int(np.ma.count_masked(array)):
            raise DataError(f"{masked:,} of {array.size:,} values are masked; fill them, for example array.filled(0)")
        array = array.data
    if array.dtype.kind not in "buif":
        raise DataError(f"an array of {array.dtype}; give uint8, or floats in [0, 1]")
    return np.asarray(array)


def channels_last(array: np.ndarray, *, first: bool) -> np.ndarray:
    """(H, W) or (H, W, C) of one picture. `first`: channels come first where both orders would do."""
    shape = array.shape
    last = array.ndim == 3 and shape[2] in CHANNELS
    if array.ndim == 3 and shape[0] in CHANNELS and (first or not last):
        array, last = np.moveaxis(array, 0, 2), True
    if array.ndim != 2 and not last:
        batch = "; of a batch, give each picture a cell" if array.ndim == 4 else ""
        raise DataError(f"an array of shape {shape}; give (H, W), (H, W, 3), (H, W, 4) or (3, H, W){batch}")
    if last and array.shape[2] == 1:
        array = array[:, :, 0]
    refuse_size(array.shape[1], array.shape[0])
    return array


def refuse_size(width: int, height: int, most: int = MOST_PIXELS) -> None:
    """DataError for a picture without a pixel, or of too many."""
    if not width * height:
        raise DataError(f"{width} x {height}: it holds no pixel")
    if width * height > most:
        raise DataError(f"{width:,} x {height:,} is {width * height:,} pixels, at most {most:,}; scale it down")


def refuse_range(array: np.ndarray) -> None:
    """DataError for numbers of which nobody can say what is black and what is white; see `pixels`."""
    if array.dtype in (np.bool_, np.uint8) or not array.size:
        return
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError("it holds NaN or infinity; fill such pixels")
        if low < -SLACK or high > 1 + SLACK:
            advice = "divide by 255" if low >= 0 and 2 < high <= 255 else "give (x - lowest) / (highest - lowest)"
            advice = "give (x + 1) / 2" if -1 - SLACK <= low < 0 and high <= 1 + SLACK else advice
            raise DataError(f"floats from {low:.6g} to {high:.6g}; a picture's lie in [0, 1]: {advice}")
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        if 0 < high < 256:
            raise DataError(
                f"uint16 up to {high}, where 65,535 is white: a black picture, or uint8 in disguise; give uint8 or "
                "floats in [0, 1]"
            )
    elif low < 0 or high > 255 or high == 1 or array.dtype == np.int8:
        what = "0 and 1; for a mask, give bool" if low >= 0 and high == 1 else f"{low:,} to {high:,}; scale it"
        raise DataError(f"{array.dtype} from {what}: uint8, uint16 or floats in [0, 1] have a range that is known")


def as_bytes(array: np.ndarray, *, checked: bool = False) -> NDArray[np.uint8]:
    """Numbers of any range as uint8, by the rule of `pixels`. `checked`: their range has been looked at."""
    if not checked:
        refuse_range(array)
    kind: Any = array.dtype.kind
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        array = array.astype(np.float32) if array.dtype.itemsize < 4 else array
        return (array.clip(0, 1) * 255).round().astype(np.uint8)
    if kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    return np.ascontiguousarray(array, dtype=np.uint8)
