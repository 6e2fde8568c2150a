"""Which rows of vectors lie so much nearer to each other than to all others that they show one thing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 1024  # rows that are compared with all others at once
EXACT = 16_000  # rows up to which all are compared with all
CELLS_EACH = 3  # cells that a row stands in, of more rows


def candidates(
    z: np.ndarray, k: int, limit: float, *, queries: np.ndarray | None = None, asking: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of rows of which one is among the k nearest of the other, and within a limit.

    Up to EXACT rows by all distances, above among rows that share one of their nearest cells, so that the time grows as
    n^1.5 and the memory as n.

    Args:
        z: unit rows float32 (n, d). k: 1 or more. limit: largest distance.
        queries: (n, d), the same rows seen in another way, say mirrored; `z` when None.
        asking: the rows of which the nearest are looked for; all when None.

    Returns:
        First and second rows (m,), first < second, each pair once.
    """
    n, least = len(z), 1 - limit**2 / 2
    questions = z if queries is None else queries
    ends = []
    for rows, others in _together(z, questions, np.arange(n) if asking is None else asking):
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            similar = questions[block] @ z[others].T
            itself = np.searchsorted(others, block).clip(max=len(others) - 1)
            own = others[itself] == block
            similar[np.flatnonzero(own), itself[own]] = -np.inf
            close = similar >= least
            crowded = np.flatnonzero(close.sum(1) > k)
            if len(crowded):
                best = np.argpartition(-similar[crowded], k - 1, axis=1)[:, :k]
                close[crowded] = False
                close[crowded[:, None], best] = True
            row, other = np.nonzero(close)
            ends.append(np.stack([block[row], others[other]], 1))
    pairs = np.sort(np.concatenate(ends), axis=1).astype(np.int64) if ends else np.zeros((0, 2), np.int64)
    first, second = np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), max(n, 1))
    return first, second


def _together(z: np.ndarray, queries: np.ndarray, asking: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows, and the rows that they are compared with."""
    n = len(z)
    if n <= EXACT:
        yield asking, np.arange(n)
        return
    middles = z[np.linspace(0, n - 1, int(n**0.5)).round().astype(int)]
    home, near_cells = _nearest_cells(z, middles), _nearest_cells(queries[asking], middles)
    for cell in range(len(middles)):
        rows, others = asking[(near_cells == cell).any(1)], np.flatnonzero((home == cell).any(1))
        if len(rows) and len(others):
            yield rows, others


def _nearest_cells(z: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """(n, CELLS_EACH) the nearest middles of each row."""
    parts = [
        np.argpartition(-(z[start : start + BLOCK] @ middles.T), CELLS_EACH - 1, axis=1)[:, :CELLS_EACH]
        for start in range(0, len(z), BLOCK)
    ]
    return np.concatenate(parts)


def standing_out(
    n: int,
    first: np.ndarray,
    second: np.ndarray,
    distance: np.ndarray,
    *,
    near: float,
    far: float,
    k: int,
    limit: float,
) -> np.ndarray:
    """Which of the pairs (m,) are duplicates: those at most `near`, and those at most `far` where, seen from both
    sides, all rows up to there are at most half as far as the next one.

    The second rule finds copies that lost much, without joining pictures that merely lie close, as handwritten ones do:
    these have neighbours at any distance.

    Args:
        n: number of rows. first, second, distance: (m,) of each pair. k, limit: of `candidates`, that gave them.

    Reference: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, 7.1: the ratio test; here
        the gap may lie behind several copies.
    """
    reach, _ = reaches(n, first, second, distance, far=far, ratio=0.5, k=k, limit=limit)
    return (distance <= near) | (distance <= np.minimum(reach[first], reach[second]))


def reaches(
    n: int,
    first: np.ndarray,
    second: np.ndarray,
    distance: np.ndarray,
    *,
    far: float,
    ratio: float,
    k: int,
    limit: float,
) -> tuple[np.ndarray, np.ndarray]:
    """How far the copies of each row lie (n,), 0 without any, and which row is the next behind them (n,), -1 where it
    is none of the pairs. Copies are at most `far`, and `ratio` times as far as that next row."""
    reach, behind = np.zeros(n), np.full(n, -1)
    row, other = np.concatenate([first, second]), np.concatenate([second, first])
    d = np.concatenate([distance, distance])
    order = np.lexsort((other, d, row))
    row, other, d = row[order], other[order], d[order]
    listed = np.bincount(row, minlength=n)
    following = np.where(listed[row] < k, np.maximum(limit, d), d)  # behind the last of k there may be others
    same = row[1:] == row[:-1]
    following[:-1][same] = d[1:][same]
    gap = (d <= far) & (d <= ratio * following)
    np.maximum.at(reach, row[gap], d[gap])
    left = np.flatnonzero(d > reach[row])[::-1]
    behind[row[left]] = other[left]  # the nearest is written last
    return reach, behind


def linked(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) the component of each row, where pairs are linked."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    return connected_components(coo_matrix((np.ones(len(first), bool), (first, second)), (n, n)), directed=False)[1]
