"""Does a query find its partner: recall, rank and average precision for each query, and what chance gives."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError
from bouba.metrics.checks import check_embeddings, check_labels, check_same_width, encode
from bouba.metrics.similarity import ranking_space, rounding
from bouba.metrics.ties import TieGroups, expectations, miss_probability

# metric -> (key among the values of each query, statistic over queries)
RETRIEVAL_METRICS: dict[str, tuple[str, str]] = {
    "recall@1": ("recall@1", "mean"),
    "recall@5": ("recall@5", "mean"),
    "recall@10": ("recall@10", "mean"),
    "precision@10": ("precision@10", "mean"),
    "median_rank": ("rank", "median"),
    "mrr": ("reciprocal_rank", "mean"),
    "map": ("average_precision", "mean"),
}


def retrieval(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_key: ArrayLike,
    gallery_key: ArrayLike,
    *,
    similarity: str = "cosine",
    ks: Sequence[int] = (1, 5, 10),
    tile: int = 1024,
) -> dict[str, NDArray[np.float64]]:
    """Retrieval metrics of every query; an item is relevant when its key equals the query's.

    Equal scores count as their expectation over a random order: embeddings that are all alike score chance,
    not what the order of the file gives. `summarise` makes one number a metric of these values.

    Args:
        queries: (n, d). gallery: (m, d).
        query_key: (n,) any labels. gallery_key: (m,); several items may share a key.
        similarity: "cosine" (a row of zeros has cosine 0), "dot" or "euclidean" (nearest first).
        ks: the k of recall@k.
        tile: queries scored at once; memory is about 8 * tile * m bytes.

    Returns:
        Arrays (n,): "recall@k" (probability of a hit in the first k), "precision@10" (if 10 is in `ks`),
        "rank" (of the first hit, from 1; not whole under ties), "reciprocal_rank", "average_precision".

    Raises:
        DataError: NaN in an array, shapes that do not match, or queries without a relevant item.

    Reference: McSherry and Najork (2008) for ties. Departure: scores closer than rounding error are equal.

    >>> values = retrieval([[1, 0]], [[0, 1], [1, 0], [1, 0]], ["a"], ["b", "a", "c"])
    >>> float(values["recall@1"][0]), float(values["rank"][0])
    (0.5, 1.5)
    """
    query_z, gallery_z = check_embeddings("queries", queries), check_embeddings("gallery", gallery)
    check_same_width("queries", query_z, "gallery", gallery_z)
    query_code, items = _relevant_items(query_key, gallery_key, len(query_z), len(gallery_z))
    ks = _check_ks(ks)
    if tile < 1:
        raise UsageError(f"tile must be 1 or more, got {tile}")
    q, g = ranking_space(query_z, gallery_z, similarity)
    noise = rounding(q, g)
    parts = []
    for start in range(0, len(q), tile):
        stop = min(start + tile, len(q))
        relevant = [items[code] for code in query_code[start:stop]]
        groups = _tie_groups(q[start:stop] @ g.T, relevant, noise[start:stop])  # (tile, m) dies here
        parts.append(expectations(groups, ks))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chance_level(query_key: ArrayLike, gallery_key: ArrayLike, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """What `summarise(retrieval(...))` gives when the ranking is random, exact, under the same names.

    Means are expectations. "median_rank" is the median of the ranks that random rankings give, all queries
    pooled; with several relevant items it lies below the mean rank, (m+1)/(r+1), which is what embeddings
    that are all alike get.

    Args:
        query_key: (n,). gallery_key: (m,). ks: as in `retrieval`.

    Raises:
        DataError: a query without a relevant item.

    >>> chance_level(["a"], ["a", "b", "c", "d"], ks=(1,))
    {'recall@1': 0.25, 'median_rank': 2.5, 'mrr': 0.5208333333333333, 'map': 0.5208333333333333}
    """
    query_code, items = _relevant_items(query_key, gallery_key)
    size = sum(map(len, items))
    relevant = np.array([len(items[code]) for code in query_code])
    hits, share = np.unique(relevant, return_counts=True)
    zero = np.zeros_like(hits)
    one_group = TieGroups(np.arange(len(hits)), zero, np.full_like(hits, size), hits, zero)
    values = expectations(one_group, _check_ks(ks))
    weights = share / share.sum()
    chance = {name: float(weights @ values[key]) for name, (key, _) in _metrics_of(values).items()}
    missed = sum(weight * miss_probability(size, h) for weight, h in zip(weights, hits.tolist()))
    return chance | {"median_rank": _median_of_survival(np.asarray(missed))}


def summarise(per_query: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """One number a metric from the values of `retrieval`: means, and the median of the ranks.

    >>> summarise({"recall@1": np.array([1.0, 0.0]), "rank": np.array([1.0, 4.0])})
    {'recall@1': 0.5, 'median_rank': 2.5}
    """
    statistics: dict[str, Callable] = {"mean": np.mean, "median": np.median}
    return {
        name: float(statistics[statistic](per_query[key])) for name, (key, statistic) in _metrics_of(per_query).items()
    }


def _metrics_of(per_query: Mapping[str, NDArray[np.float64]]) -> dict[str, tuple[str, str]]:
    recalls = {key: (key, "mean") for key in per_query if key.startswith("recall@")}
    return recalls | {name: source for name, source in RETRIEVAL_METRICS.items() if source[0] in per_query}


def _relevant_items(
    query_key: ArrayLike, gallery_key: ArrayLike, n: int | None = None, m: int | None = None
) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
    """The code of each query's key (n,), and for each code the rows of the gallery that have it."""
    queries, gallery = check_labels("query_key", query_key, n), check_labels("gallery_key", gallery_key, m)
    (query_code, gallery_code), keys = encode(queries, gallery)
    by_code = np.argsort(gallery_code, kind="stable")
    items = np.split(by_code, np.searchsorted(gallery_code[by_code], np.arange(1, len(keys))))
    unmatched = np.flatnonzero(np.array([len(rows) for rows in items])[query_code] == 0)
    if len(unmatched):
        raise DataError(
            f"{len(unmatched)} of {len(queries)} queries have no relevant item in the gallery, first row "
            f"{unmatched[0]} with key {keys[query_code[unmatched[0]]]!r} (query_key is {queries.dtype}, gallery_key "
            f"{gallery.dtype}); drop those queries or add their items"
        )
    return query_code, items


def _tie_groups(
    costs: NDArray[np.float64], relevant: Sequence[NDArray[np.intp]], noise: NDArray[np.float64]
) -> TieGroups:
    """Where the relevant items of each row lie among its tie groups. Sorts `costs` (t, m) in place."""
    m = costs.shape[1]
    rows, above, size = [], [], []
    for row, (cost, items) in enumerate(zip(costs, relevant)):
        relevant_costs = cost[items]
        cost.sort()
        starts = np.append(0, np.flatnonzero(np.diff(cost) > noise[row]) + 1)
        group = np.searchsorted(starts, np.searchsorted(cost, relevant_costs), side="right") - 1
        rows.append(np.full(len(items), row))
        above.append(starts[group])
        size.append(np.append(starts, m)[group + 1] - starts[group])
    place = np.concatenate(rows) * m + np.concatenate(above)  # one number for each (row, group)
    place, first, hits = np.unique(place, return_index=True, return_counts=True)
    row = place // m
    hits_above = np.cumsum(hits) - hits  # over all rows; less what earlier rows have
    hits_above -= hits_above[np.searchsorted(row, row)]
    return TieGroups(row, place % m, np.concatenate(size)[first], hits, hits_above)


def _median_of_survival(missed: NDArray[np.float64]) -> float:
    """The median of a rank whose P(rank > x) is `missed[x]`: midway where a whole step lies at one half."""
    if (half := np.flatnonzero(np.isclose(missed, 0.5, rtol=0, atol=1e-12))).size:
        return float(half[0]) + 0.5
    return float(np.argmax(missed < 0.5))


def _check_ks(ks: Sequence[int]) -> tuple[int, ...]:
    if len(ks) == 0 or any(int(k) != k or k < 1 for k in ks):
        raise UsageError(f"ks must be whole numbers of 1 or more, got {ks!r}; for example ks=(1, 5, 10)")
    return tuple(int(k) for k in ks)


def mean_reciprocal_rank(
    embedded: Mapping[str, ArrayLike], present: Mapping[str, ArrayLike], key: ArrayLike, *, similarity: str = "cosine"
) -> float:
    """Mean reciprocal rank of the true partner, averaged over every ordered pair of views.

    Args:
        embedded: view -> (n, d). present: view -> bool (n,); rows without both views are left out of a pair.
        key: (n,) what each row shows. similarity: as in `retrieval`.

    Raises:
        UsageError: no row has two views.
    """
    values, things = [], np.asarray(key)
    for a, b in itertools.permutations(embedded, 2):
        both = np.asarray(present[a]) & np.asarray(present[b])
        if both.any():
            queries, gallery = np.asarray(embedded[a])[both], np.asarray(embedded[b])[both]
            per_query = retrieval(queries, gallery, things[both], things[both], similarity=similarity)
            values.append(per_query["reciprocal_rank"].mean())
    if not values:
        raise UsageError(f"ranks need rows with two views or more, got views {list(embedded)}")
    return float(np.mean(values))
