"""An approximate index: clusters of cells of which a search looks into a few, as many as a measured recall takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bouba.errors import UsageError, require
from bouba.search import grow
from bouba.search.cells import VECTOR
from bouba.search.query import METRIC, Filter, Source, approximate_rows, nearest_hits, nearest_rows
from bouba.search.signs import check_refine
from bouba.search.store import State

FEWEST = 256  # cells that clusters are learnt from, at the least
QUESTIONS = 100  # stored cells of each view by which recall is measured
FOUND = 10  # cells that each of them should find
STEP = 1.5  # by which the clusters that are looked into grow until recall is reached


@dataclass(frozen=True)
class Probe:
    """A stored cell as a query, put to the next view, and the rows of its FOUND nearest cells but for itself."""

    query: np.ndarray
    view: str
    own_row: int | None
    rows: frozenset[int]

    @classmethod
    def of(cls, source: Source) -> list[Probe]:
        """Some of every view, evenly taken."""
        views = [view for view, matrix in source.matrices.items() if len(matrix) > len(matrix.removed)]
        probes = []
        for view, other in zip(views, views[1:] + views[:1], strict=True):
            matrix = source.matrices[view]
            places = np.arange(len(matrix)) if matrix.live is None else np.flatnonzero(matrix.live)
            places = places[np.unique(np.linspace(0, len(places) - 1, min(QUESTIONS, len(places))).round().astype(int))]
            queries = np.pad(matrix.vectors[places], ((0, 0), (0, source.state.offsets)))
            hits = nearest_hits(source, queries, k=FOUND + 1, exact=True, filters=Filter(other, None, {}))
            for query, row, found in zip(queries, matrix.rows[places].tolist(), hits, strict=True):
                own = row if view == other else None
                best = [hit.row for hit in found if hit.row != own][:FOUND]
                probes.append(cls(query, other, own, frozenset(best)))
        return probes

    def recall(self, table: Any, state: State) -> float:
        """Share of the rows that an approximate search finds."""
        found = approximate_rows(table, state, self.query, FOUND + 1, self.view, None)[self.view].tolist()
        return len(self.rows & set([row for row in found if row != self.own_row][:FOUND])) / max(1, len(self.rows))


def exact_seconds(source: Source) -> float:
    """What an exact search of every cell takes: the quickest of three."""
    query = np.ones((1, source.state.dim + source.state.offsets), np.float32)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        nearest_hits(source, query, k=FOUND, exact=True, filters=Filter(None, None, {}))
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def built(source: Source, *, recall: float, partitions: int | None, probes: int | None) -> State:
    """The state of an index of clusters, which replaces an earlier one.

    Args:
        recall: to be reached by looking into more clusters. partitions: clusters, sqrt(cells) when None.
        probes: clusters that a search looks into, whatever recall that gives.
    """
    state = source.state
    if state.cells < FEWEST:
        raise UsageError(f"build_ann needs {FEWEST} cells or more, got {state.cells}; search exactly instead")
    if not 0 < recall <= 1:
        raise UsageError(f"recall is the share of the nearest cells that is found, in (0, 1], got {recall}")
    clusters = max(1, math.isqrt(state.cells)) if partitions is None else partitions
    if not 1 <= (1 if probes is None else probes) <= clusters <= state.cells:
        raise UsageError(
            f"build_ann needs 1 <= probes <= partitions <= {state.cells} cells, "
            f"got probes={probes}, partitions={clusters}"
        )
    lists = require("lancedb.index", "search").IvfSq(distance_type=METRIC[state.similarity], num_partitions=clusters)
    queries = Probe.of(source)

    def write() -> State:
        source.table.create_index(VECTOR, config=lists)
        looked_into = 1 if probes is None else probes
        while True:
            changed = replace(state, probes=looked_into)
            reached = float(np.mean([probe.recall(source.table, changed) for probe in queries]))
            if probes is not None or reached >= recall or looked_into == clusters:
                return replace(changed, recall=reached)
            looked_into = min(clusters, math.ceil(STEP * looked_into))

    return grow.change(source.path, source.table, state, write, grow.same_cells(source.path, state))


def refined_recall(source: Source, refine: int) -> float:
    """Share of the FOUND nearest cells that `refine` finds, over stored cells as questions to the next view."""
    views = [view for view, matrix in source.matrices.items() if len(matrix) > len(matrix.removed)]
    shares = []
    for view, other in zip(views, views[1:] + views[:1], strict=True):
        matrix = source.matrices[view]
        places = np.arange(len(matrix)) if matrix.live is None else np.flatnonzero(matrix.live)
        places = places[np.unique(np.linspace(0, len(places) - 1, min(QUESTIONS, len(places))).round().astype(int))]
        queries = np.pad(matrix.vectors[places], ((0, 0), (0, source.state.offsets)))
        check_refine(source.state, refine, queries)
        k = min(FOUND, len(source.matrices[other]) - len(source.matrices[other].removed))
        _, exact = nearest_rows(source, queries, k, other)
        for (_, scores), best in zip(source.signs(other).found(queries, k * refine, None), exact, strict=True):
            shares.append(float((np.sort(scores)[::-1][:k] >= best[-1]).mean()) if len(scores) >= k else 0.0)
    return float(np.mean(shares))
