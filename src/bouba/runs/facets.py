"""What the columns of a run's index hold: counts of values and of ranges, among the rows that pass filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.search.filters import joined

if TYPE_CHECKING:
    from bouba.search.listing import Coded, Listing

BINS = 20
WHOLE_NUMBERS = 12  # distinct ones up to which whole numbers are counted one by one


@dataclass(frozen=True)
class Facet:
    """One column.

    Args:
        name: of the column. kind: "values" or "range".
        values: (value, how many rows) by falling count, None for missing; of "values".
        edges: (b + 1,) of b ranges of numbers. counts: (b,) rows in each; of "range".
    """

    name: str
    kind: str
    values: tuple[tuple[Any, int], ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Colours:
    """One column as a code a row, for a map.

    Args:
        codes: (n,) uint8, 255: missing, or a value that is none of `values`.
        kind: "values": a code is the place in `values`; or "range": codes 0 to 254 go from low to high.
    """

    codes: np.ndarray
    kind: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0


def facets_of(run: Any, where: str | None, filters: Sequence[Mapping[str, Any]]) -> list[Facet]:
    """Of a Run, see `Run.facets`."""
    listing = run.index.listing
    everywhere = listing.passing(joined(where, filters))
    facets = []
    for name in run.filters():
        others = [each for each in filters if each.get("column") != name]
        passing = everywhere if len(others) == len(filters) else listing.passing(joined(where, others))
        facets.append(_facet(listing, name, passing))
    return [facet for facet in facets if facet is not None]


def _facet(listing: Listing, name: str, passing: np.ndarray) -> Facet | None:
    coded = _coded(listing, name)
    if coded is not None:
        counts = np.bincount(coded.codes[passing] + 1, minlength=len(coded.values) + 1)
        found = zip((None, *coded.values), counts.tolist(), strict=True)
        return Facet(name, "values", tuple(sorted(((v, n) for v, n in found if n), key=lambda pair: -pair[1])))
    if listing.column(name).kind not in ("int", "float"):
        return None
    numbers = listing.numbers(name)
    finite = np.isfinite(numbers)
    if not finite.any():
        return None
    edges = np.linspace(numbers[finite].min(), numbers[finite].max(), BINS + 1)
    counts = np.histogram(numbers[finite & passing], edges)[0] if edges[0] < edges[-1] else np.zeros(BINS, int)
    return Facet(name, "range", edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


def _coded(listing: Listing, name: str) -> Coded | None:
    """A column whose values are counted one by one; None for another."""
    coded = listing.coded(name)
    most = {"int": WHOLE_NUMBERS, "float": 0}.get(listing.column(name).kind, len(coded.values) if coded else 0)
    return coded if coded is not None and 0 < len(coded.values) <= most else None


def colourable(run: Any) -> list[str]:
    """The columns that points can be coloured by."""
    listing = run.index.listing
    every = np.ones(len(listing.rows), bool)
    return [name for name in run.filters() if _facet(listing, name, every) is not None]


def colours_of(run: Any, name: str) -> Colours:
    """Of one column: its values by falling count, or its range.

    Raises:
        UsageError: no such column, or one of other texts than few.
    """
    listing = run.index.listing
    coded = _coded(listing, name)
    if coded is None:
        numbers = listing.numbers(name)
        finite = np.isfinite(numbers)
        low, high = (float(end(numbers[finite])) for end in (np.min, np.max)) if finite.any() else (0.0, 0.0)
        scaled = (np.where(finite, numbers, low) - low) / ((high - low) or 1.0)
        return Colours(np.where(finite, np.rint(254 * scaled), 255).astype(np.uint8), "range", low=low, high=high)
    counts = np.bincount(coded.codes[coded.codes >= 0], minlength=len(coded.values))
    order = np.argsort(-counts, kind="stable")
    code_of = np.full(len(order) + 1, 255, np.uint8)  # the last one for -1
    code_of[order] = np.arange(len(order))
    return Colours(code_of[coded.codes], "values", values=tuple(coded.values[place] for place in order.tolist()))
