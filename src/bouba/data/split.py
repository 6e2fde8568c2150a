"""Splits that keep together what belongs together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from bouba.data.duplicates.nearest import linked
from bouba.data.views import Views, is_missing
from bouba.errors import DataError


def split(
    views: Views, fractions: Mapping[str, float], *, together: np.ndarray | None = None, random_state: int = 0
) -> dict[str, Views]:
    """Cut rows into named parts so that what belongs together stands in one of them.

    Rows are kept together by `views.group`, else by `views.key`; a row without one stands for itself. Every part
    gets one group or more.

    Args:
        fractions: part -> share of the groups, adding up to 1: {"train": 0.8, "test": 0.2}.
        together: (n,) numbers; rows with an equal one stand in one part too, as `bouba.duplicates(views).groups`.
        random_state: which random cut.

    Returns:
        part -> Views, rows in their original order.

    Raises:
        DataError: shares below 0 or that do not add up to 1, or fewer groups than parts.

    >>> views = Views({"x": np.eye(6)}, key=[0, 0, 1, 1, 2, 2])
    >>> parts = split(views, {"train": 0.67, "test": 0.33})
    >>> set(parts["train"].key) & set(parts["test"].key)
    set()
    """
    if abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) < 0:
        total = sum(fractions.values())
        raise DataError(f"shares {dict(fractions)} add up to {total:g}; they must be 0 or more and add up to 1")
    unit = units_of(views, together)
    units = int(unit.max(initial=-1)) + 1
    if units < len(fractions):
        raise DataError(f"{units} groups cannot be cut into {len(fractions)} parts ({', '.join(fractions)})")
    order = np.random.default_rng(random_state).permutation(units)
    ends = np.round(np.cumsum(list(fractions.values())) * units).astype(int)
    for i in range(len(ends)):
        ends[i] = min(max(ends[i], ends[i - 1] + 1 if i else 1), units - (len(ends) - 1 - i))
    parts = dict(zip(fractions, np.split(order, ends[:-1])))
    return {name: views[np.isin(unit, part)] for name, part in parts.items()}


def units_of(views: Views, together: np.ndarray | None = None) -> np.ndarray:
    """(n,) the number of what each row must not be parted from, 0 and up: rows of one group, else of one key, and those
    that are joined by `together`."""
    own = views.group if views.group is not None else views.key
    if own is None and together is None:
        return np.arange(len(views))
    names = [(0, f"{i:012d}") if own is None or is_missing(own[i]) else (1, str(own[i])) for i in range(len(views))]
    if together is not None:
        joined = linked(len(views), *np.concatenate([_first_alike(names), _first_alike(together.tolist())]).T)
        least: dict[int, tuple[int, str]] = {}
        for unit, name in sorted(zip(joined.tolist(), names), reverse=True):
            least[unit] = name
        names = [least[unit] for unit in joined.tolist()]
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], int)


def _first_alike(values: Sequence[Hashable]) -> np.ndarray:
    """(n, 2) each row and the first row with the same value."""
    first: dict[Hashable, int] = {}
    return np.array([(first.setdefault(value, row), row) for row, value in enumerate(values)], int).reshape(-1, 2)
