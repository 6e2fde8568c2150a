"""bouba bench search: what a search costs against a product of matrices with top-k, and what the approximate one finds.

The rival has the same vectors ready in memory as float32: NumPy's product, then torch's topk (which is faster than
NumPy's argpartition). Its times and ours are CPU-seconds of paired, alternating runs in one process: read the ratios.
Ours are whole calls of `Index.search`, from a vector to hits with their columns. Every filter is new, so that nothing
of an earlier one is remembered. Busy neighbours make threads wait for each other, which counts as CPU time: --threads 1
is the quietest.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from bouba.bench.fresh import cost_text, peak_mb
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table
from bouba.search import Index

K = 10
SHARES = (0.01, 0.2, 0.5, 0.95)
"""Of the cells, that pass a filter."""
FEW = 20  # queries whose hits are compared with the rival's
BARS = {"exact": 1.5, "float32": 1.5, **{f"filter {share:.0%}": 2.0 for share in SHARES}, "many": 1.2, "codes": 0.5}
"""Largest ratio that is good enough."""


def command(
    cells: Annotated[list[int] | None, typer.Option(help="Cells; may be repeated. 200,000 and 1,000,000.")] = None,
    dim: Annotated[int, typer.Option(help="Width of the vectors.")] = 128,
    queries: Annotated[int, typer.Option(help="Queries searched at once.")] = 64,
    repeats: Annotated[int, typer.Option(help="Paired runs of each variant.")] = 15,
    clusters: Annotated[
        int, typer.Option(help="Groups of like cells that the approximate search is judged on.")
    ] = 2000,
    threads: Annotated[int, typer.Option(help="Threads of NumPy and torch.")] = 1,
    out: Out = None,
) -> None:
    """CPU-seconds and recall of exact, filtered, coded and approximate search."""
    import torch

    torch.set_num_threads(threads)
    keeper = Keeper(out)
    sizes = {}
    with threadpool_limits(threads):
        for n in cells or [200_000, 1_000_000]:
            sizes[str(n)] = measured(n, dim, queries, repeats)
        figures = {
            "sizes": sizes,
            "dim": dim,
            "queries": queries,
            "repeats": repeats,
            "threads": threads,
            "approximate": approximate(min(cells or [200_000]), dim, clusters),
        }
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: Mapping[str, Any]) -> dict[str, Table]:
    """ "exact": against products with top-k. "memory": of writing and searching. "approximate": recall."""
    lines = [
        [f"{int(n):,}", WHAT[name].format(queries=figures["queries"]), *map(cost_text, (row["ms"], row["rival_ms"])),
         cost_text(row["ratio"]), f"{BARS[name]:g}" if name in BARS else "-", f"{row['recall']:.3f}"]
        for n, size in figures["sizes"].items()
        for name, row in size["searches"].items()
    ]  # fmt: skip
    note = (
        f"{figures['dim']} numbers a cell, the {K} nearest, threads: {figures['threads']}; CPU-ms, medians of "
        f"{figures['repeats']} runs by turns. Rival: a product over a matrix in memory with top-k; of 8-bit codes, "
        "float32 by the same search. Recall: of the cells that float64 finds."
    )
    header = ["cells", "search", "ms", "rival ms", "ratio", "bar", f"recall@{K}"]
    memory = [
        [f"{int(n):,}", *(f"{size[name]:,.0f}" for name in ("vectors_mb", "write_mb", "search_mb"))]
        for n, size in figures["sizes"].items()
    ]
    ann = figures["approximate"]
    rows = [[f"{ann['cells']:,}", f"{ann['probes']} of {ann['partitions']}", f"{ann['build_s']:.1f}"]]
    rows[0] += [f"{ann[name]:.3f}" for name in ("measured", "recall")] + [
        cost_text(ann["ms"]),
        cost_text(ann["exact_ms"]),
    ]
    return {
        "exact": Table(header, lines, labels=2, note=note),
        "memory": Table(
            ["cells", "vectors MB", "written from blocks, MB", "opened and searched, MB"],
            memory,
            note="Peaks of fresh processes less that of one that does the same with 256 cells; pages of files count.",
        ),
        "approximate": Table(
            [
                "cells",
                "clusters looked into",
                "build CPU-s",
                "recall told",
                "recall of new questions",
                "ms",
                "exact ms",
            ],
            rows,
            note=f"Cells in {ann['clusters']:,} groups; questions are near a group of their own.",
        ),
    }


WHAT = {
    "exact": "exact, as it is by default with torch loaded",
    "float32": "exact, float32",
    **{f"filter {share:.0%}": f"exact, {share:.0%} of the cells pass a filter" for share in SHARES},
    "many": "exact, {queries} queries at once",
    "many float32": "exact, {queries} queries at once, float32",
    "codes": "8-bit codes and float64 scores",
    "lancedb": "LanceDB's own exact search",
}


class Made:
    """Random vectors (n, d), made when they are cut out."""

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, n: int, dim: int):
        self.shape = (n, dim)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        return np.random.default_rng(start).standard_normal((stop - start, self.shape[1]), np.float32)


def write(folder: str, cells: int, dim: int) -> None:
    """An index of random cells, with a number in [0, 1) to filter by."""
    columns: dict[str, Sequence[object]] = {
        "share": _shares(cells).tolist(),
        "name": [f"cell {i}" for i in range(cells)],
    }
    Index.create(folder, {"v": Made(cells, dim)}, columns=columns)


def _shares(cells: int) -> np.ndarray:
    return np.random.default_rng(1).random(cells)


def read(folder: str, cells: int, dim: int) -> None:
    """Open an index and search it once."""
    if len(Index.open(folder).search(np.ones(dim), k=K)) != min(K, cells):
        raise RuntimeError("cells are missing")


def measured(cells: int, dim: int, queries: int, repeats: int) -> dict[str, Any]:
    """All exact searches at one size."""
    with tempfile.TemporaryDirectory() as parent:
        folder, small = f"{parent}/index", f"{parent}/small"
        bare = peak_mb("bouba.bench.search:write", folder=small, cells=256, dim=dim)
        writing = peak_mb("bouba.bench.search:write", folder=folder, cells=cells, dim=dim)
        little = peak_mb("bouba.bench.search:read", folder=small, cells=256, dim=dim)
        reading = peak_mb("bouba.bench.search:read", folder=folder, cells=cells, dim=dim)
        searches = _searches(Path(folder), dim, queries, repeats)
    return {
        "searches": searches,
        "vectors_mb": 4 * cells * dim / 1e6,
        "write_mb": writing - bare,
        "search_mb": reading - little,
    }


Pair = tuple[Callable[[int], Any], Callable[[int], Any], int]
"""Ours, the rival, and how often both are run."""


def _searches(folder: Path, dim: int, queries: int, repeats: int) -> dict[str, dict[str, float]]:
    index, floats = Index.open(folder), Index.open(folder)
    floats._source.codes = False
    vectors = np.array(index._source.matrices["v"].vectors)  # (n, d), in memory
    questions = np.random.default_rng(2).standard_normal((max(queries, FEW), dim), np.float32)
    shares = _shares(len(vectors))
    one = lambda i: questions[i % len(questions)]  # noqa: E731
    product = lambda i: _top(vectors @ one(i))  # noqa: E731
    products = lambda i: _top(questions[:queries] @ vectors.T)  # noqa: E731
    several = max(3, repeats // 5)
    filters: dict[str, Pair] = {
        f"filter {share:.0%}": (_filtered(index, questions, share), product, repeats) for share in SHARES
    }
    pairs: dict[str, Pair] = {
        "exact": (lambda i: index.search(one(i), k=K), product, repeats),
        "float32": (lambda i: floats.search(one(i), k=K), product, repeats),
        **filters,
        "many": (lambda i: index.search_many(questions[:queries], k=K), products, several),
        "many float32": (lambda i: floats.search_many(questions[:queries], k=K), products, several),
        "codes": (lambda i: index.search(one(i), k=K), lambda i: floats.search(one(i), k=K), repeats),
        "lancedb": (lambda i: _lancedb(index, one(i)), product, several),
    }
    figures = {}
    for name, (ours, rival, times) in pairs.items():
        figures[name] = {**_paired(ours, rival, times), "recall": _recall(name, ours, vectors, questions, shares)}
    return figures


def _filtered(index: Index, questions: np.ndarray, share: float) -> Callable[[int], Any]:
    """A search with a filter that no search had before."""
    return lambda i: index.search(questions[i % len(questions)], k=K, where=f"share < {share + 1e-9 * i:.12f}")


def _top(scores: np.ndarray) -> np.ndarray:
    import torch  # not by the processes whose memory is measured

    return torch.from_numpy(scores).topk(min(K, scores.shape[-1])).indices.numpy()


def _lancedb(index: Index, query: np.ndarray) -> list[int]:
    """Rows that LanceDB finds without an index."""
    builder = index._table.search(query, vector_column_name="_vector").distance_type("dot").bypass_vector_index()
    return builder.select(["_row", "_distance"]).limit(K).to_arrow()["_row"].to_pylist()


def _paired(ours: Callable[[int], Any], rival: Callable[[int], Any], times: int) -> dict[str, float]:
    """Median CPU-milliseconds of both, by turns, and the median ratio."""
    spent: list[tuple[float, float]] = []
    for i in range(times + 1):
        marks = [time.process_time()]
        for run in (ours, rival):
            run(i)
            marks.append(time.process_time())
        if i:  # the first one warms up
            spent.append((1000 * (marks[1] - marks[0]), 1000 * (marks[2] - marks[1])))
    mine, theirs = (statistics.median(each) for each in zip(*spent, strict=True))
    return {"ms": mine, "rival_ms": theirs, "ratio": statistics.median(a / b for a, b in spent)}


def _recall(
    name: str, search: Callable[[int], Any], vectors: np.ndarray, questions: np.ndarray, shares: np.ndarray
) -> float:
    """Share of the cells that float64 finds."""
    found, wide = [], vectors.astype(np.float64)
    for i in range(1 if name.startswith("many") else FEW):
        answers = search(i)
        for query, hits in (
            zip(questions, answers, strict=False) if name.startswith("many") else [(questions[i], answers)]
        ):
            scores = wide @ query.astype(np.float64)
            if name.startswith("filter"):
                scores[shares >= float(name.split()[1].rstrip("%")) / 100 + 1e-9 * i] = -np.inf
            rows = {hit if isinstance(hit, int) else hit.row for hit in hits}
            found.append(len(rows & set(np.argpartition(scores, -K)[-K:].tolist())) / K)
    return float(np.mean(found))


def approximate(cells: int, dim: int, clusters: int) -> dict[str, Any]:
    """The approximate index over cells in groups, and questions that are no cells."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((clusters, dim), np.float32)

    def near(n: int) -> np.ndarray:
        return centres[rng.integers(clusters, size=n)] + 0.5 * rng.standard_normal((n, dim), np.float32)

    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(folder, {"v": near(cells)})
        begun = time.process_time()
        reached = index.build_ann(within=0)
        build = time.process_time() - begun
        questions, shares = near(100), []
        for question in questions:
            truth = {hit.row for hit in index.search(question, k=K)}
            shares.append(len(truth & {hit.row for hit in index.search(question, k=K, exact=False)}) / K)
        spent = _paired(lambda i: index.search(questions[i], exact=False), lambda i: index.search(questions[i]), 15)
        probes = index._state.probes
    return {
        "cells": cells,
        "clusters": clusters,
        "partitions": math.isqrt(cells),
        "probes": probes,
        "build_s": build,
        "measured": reached,
        "recall": float(np.mean(shares)),
        "ms": spent["ms"],
        "exact_ms": spent["rival_ms"],
    }
