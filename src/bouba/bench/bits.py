"""Which rows were right, as text that JSON can hold."""

from __future__ import annotations

import base64

import numpy as np


def packed(right: np.ndarray) -> str:
    """bool (..., n) as base64.

    >>> packed(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: str, *shape: int) -> np.ndarray:
    """What was packed, bool of that shape.

    Raises:
        ValueError: the text is no base64, or too short.

    >>> unpacked("oA==", 3)
    array([ True, False,  True])
    """
    cells, count = np.frombuffer(base64.b64decode(text), np.uint8), int(np.prod(shape))
    if 8 * len(cells) < count:
        raise ValueError(f"{8 * len(cells)} bits are no {count}")
    return np.unpackbits(cells, count=count).astype(bool).reshape(shape)
