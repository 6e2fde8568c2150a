"""Pixels as numbers of order 1, and back."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Numbers = TypeVar("Numbers", Tensor, np.ndarray, float)


WHITE = {torch.uint8: 255, torch.uint16: 65_535}
"""Integers in which pixels are held, and what white is in them."""


def as_light(pixels: Tensor) -> Tensor:
    """Pixels of 8 or 16 bits, or floats in [0, 1] -> float light in [0, 1], no bit lost.

    >>> as_light(torch.tensor([257], dtype=torch.uint16)) * 65535
    tensor([257.])
    """
    white = WHITE.get(pixels.dtype)
    if white is not None:
        return pixels.float() / white
    return pixels if pixels.dtype in (torch.float32, torch.float64) else pixels.float()


def standardised(light: Numbers) -> Numbers:
    """Light in [0, 1] -> numbers of order 1, whatever the picture."""
    return (light - 0.5) / 0.3


def light(numbers: Numbers) -> Numbers:
    """The way back, beyond [0, 1] where the numbers are."""
    return numbers * 0.3 + 0.5
