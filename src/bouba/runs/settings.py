"""What a setting may be: refused before a table is read, under the name that the caller gave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from bouba.errors import UsageError


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`.

    Args:
        whole: whether they are whole. open: whether the ends are left out; `share` leaves out the upper one.
    """

    low: float
    high: float
    whole: bool = False
    open: bool = False
    share: bool = False

    def __contains__(self, value: Any) -> bool:
        kind: Any = Integral if self.whole else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        above = self.low < value if self.open else self.low <= value
        return above and (value < self.high if self.open or self.share else value <= self.high)  # NaN is nowhere

    def __str__(self) -> str:
        if self.share:
            return f"a share from {self.low:g} to below {self.high:g}"
        if self.whole:
            return f"a whole number from {self.low:,.0f} to {self.high:,.0f}"
        first, then = ("above", "and below") if self.open else ("from", "to")
        return f"a number {first} {self.low:g} {then} {self.high:,g}"


WIDTH = Range(1, 100_000, whole=True)
RANGES = {
    "epochs": Range(1, 1_000_000, whole=True),
    "dim": WIDTH,
    "n_components": WIDTH,
    "batch_size": Range(2, 100_000_000, whole=True),
    "chunk_size": Range(1, 100_000_000, whole=True),
    "patience": Range(1, 1_000_000, whole=True),
    "ema": Range(0, 1, share=True),
    "lr": Range(0, 1_000, open=True),
    "weight_decay": Range(0, 1_000),
    "ridge": Range(0, 1_000_000),
    "temperature": Range(0, 1_000, open=True),
    "random_state": Range(0, 2**32 - 1, whole=True),
    "validation": Range(0, 1, share=True),
    "holdout": Range(0, 1, share=True),
}
"""Name of a setting -> what it may be, whatever the method."""
BY_VIEW = ("ridge",)
"""Settings that may also be several numbers, one a view."""
LEVEL = Range(0, 1, open=True)
OPTIONS = {"random_state": "--seed", "n_components": "--dim"}
"""Settings that the command line calls by another name."""


def option_of(name: str) -> str:
    """What the command line calls a setting."""
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")


def refuse_out_of_range(settings: Mapping[str, Any], name_of: Callable[[str], str] = lambda name: name) -> None:
    """UsageError for the first number out of its range; None is nobody's.

    Args:
        settings: name -> value. name_of: what the caller calls a setting.
    """
    for name, value in settings.items():
        if name in RANGES and value is not None and not (name in BY_VIEW and not isinstance(value, str | Real)):
            refuse_outside(RANGES[name], value, name_of(name))


def refuse_outside(range: Range, value: Any, name: str) -> None:
    """UsageError for a value that is no number of a range."""
    if value not in range:
        raise UsageError(f"{name} is {range}, got {value!r:.80}")


def refuse_other_kind(name: str, value: Any, usual: Any) -> None:
    """UsageError for text where a number is usual, or the other way round; what is no plain value is let through."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    plain = next((kind for kind in kinds if isinstance(usual, kind)), None)
    given = next((kind for kind in kinds if isinstance(value, kind)), None)
    if plain is None or given is None or kinds[plain] == kinds[given]:
        return
    raise UsageError(f"{name} is {kinds[plain]}, got {value!r:.80}")


def refuse_other_list(name: str, value: Any, usual: Any) -> None:
    """UsageError for what is no list where one is usual, or one of other things."""
    if not isinstance(usual, tuple):
        return
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} is a list, got {value!r:.80}")
    for entry in value:
        refuse_other_kind(f"each of {name}", entry, usual[0] if usual else entry)
