"""Spans of values that a search draws from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any


class Span(ABC):
    """Values of one setting."""

    def suits(self, usual: Any) -> bool:
        """Whether it means something beside this usual value."""
        return True

    @abstractmethod
    def holds(self, usual: Any) -> bool:
        """Whether the usual value is one of its own."""

    def point(self, usual: Any) -> Any:
        """What a trial records of the usual value."""
        return usual

    @abstractmethod
    def draw(self, trial: Any, name: str, usual: Any) -> Any:
        """A value by an optuna trial; exactly `usual` at its point."""


@dataclass(frozen=True)
class Times(Span):
    """The usual value times a factor, which is as likely as its inverse.

    Args:
        low, high: of the factor, above 0. whole: whether the value is a whole number of 1 or more.
    """

    low: float
    high: float
    whole: bool = False

    def suits(self, usual: Any) -> bool:
        return isinstance(usual, int | float) and not isinstance(usual, bool) and usual > 0

    def holds(self, usual: Any) -> bool:
        return self.low <= 1 <= self.high

    def point(self, usual: Any) -> Any:
        return 1.0

    def draw(self, trial: Any, name: str, usual: Any) -> Any:
        factor = trial.suggest_float(name, self.low, self.high, log=True)
        if factor == self.point(usual):
            return usual
        return max(1, round(usual * factor)) if self.whole else rounded(usual * factor)


@dataclass(frozen=True)
class Between(Span):
    """A number between two others.

    Args:
        low, high: the ends. log: whether its logarithm is uniform.
    """

    low: float
    high: float
    log: bool = False

    def suits(self, usual: Any) -> bool:
        return isinstance(usual, Real) and not isinstance(usual, bool)

    def holds(self, usual: Any) -> bool:
        return self.low <= usual <= self.high

    def draw(self, trial: Any, name: str, usual: Any) -> Any:
        return rounded(trial.suggest_float(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class OneOf(Span):
    """One of some values, or the usual one, which may be None."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any):
        object.__setattr__(self, "values", values)

    def holds(self, usual: Any) -> bool:
        return True

    def draw(self, trial: Any, name: str, usual: Any) -> Any:
        return trial.suggest_categorical(name, [usual, *(value for value in self.values if value != usual)])


def rounded(value: float) -> float:
    """Three digits, which is all that a search can tell apart.

    >>> rounded(0.0023456)
    0.00235
    """
    return float(f"{value:.3g}") if math.isfinite(value) else value
