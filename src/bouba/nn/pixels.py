"""Pixels as numbers of order 1, and back."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

Numbers = TypeVar("Numbers", Tensor, np.ndarray, float)


def standardised(light: Numbers) -> Numbers:
    """Light in [0, 1] -> numbers of order 1, whatever the picture."""
    return (light - 0.5) / 0.3


def light(numbers: Numbers) -> Numbers:
    """The way back, beyond [0, 1] where the numbers are."""
    return numbers * 0.3 + 0.5
