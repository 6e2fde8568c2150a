"""bouba bench sparse-cca: MatrixFreeCCA on two views of 10^5 sparse columns, judged on rows it has not seen.

The data are made here, to look like two descriptions of the same documents in two vocabularies. A row has one of 30
topics and a style in each view. A view draws its words from three sources, and words are weighted by TF-IDF:

    30%    words of the topic, 1/30 of nine tenths of the columns for each, used with Zipf's frequencies (power 0.5)
    30%    words of the style, 40 styles of few and therefore frequent words
    40%    any other column, with Zipf's frequencies (power 1)

55 words a row leave about 48 non-zeros. Topics are shared by the views, which plants 29 directions of correlation 1
(30 indicators that add up to 1), seen through the sampling of words. Styles agree in only half of the rows, but they
vary more than topics do: what follows covariance instead of correlation finds them first.

Judged is the sum of the correlations of 30 pairs of variates on fresh rows. CPU-seconds are those of `fit`; memory is
the peak of a fresh process that holds the data and fits, libraries included. Beside it:

    planted       29, if words showed the topics without noise
    oracle        CCA of the 30 counts of topic words, told which columns those are. Not an upper bound: it weighs
                  all words of a topic alike
    alternating   ridge least squares in turn, each by 5 conjugate-gradient steps from the last solution (Lu and
                  Foster 2014, Wang et al. 2016), with the same ridge, precision and products; 6 rounds
    covariance    the singular vectors of X'Y, as MatrixFreeCCA with ridge 1
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import linalg, sparse
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

from bouba.align import CCA, MatrixFreeCCA
from bouba.align.lobpcg import ShrunkCovariance
from bouba.bench.fresh import high_water_mb, peak_mb
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.bench.paired import SECONDS, mean, mean_cost, means, runs_of, seeds_note
from bouba.evaluation import Record, Result
from bouba.evaluation.table import Table

TOPICS, STYLES, WORDS = 30, 40, 55
TOPIC_SHARE, STYLE_SHARE, STYLE_AGREES = 0.3, 0.3, 0.5
TOPIC_COLUMNS, STYLE_COLUMNS = 0.9, 0.01  # shares of the columns
ROUNDS, STEPS = 6, 5  # of the alternation
ORACLE = "oracle"
METHODS = (ORACLE, "bouba", "alternating", "covariance")
SUM, PEAK, STORED = "held-out correlations", "peak MB", "numbers a row"


def command(
    rows: Annotated[int, typer.Option(help="Rows to fit on; a tenth as many are held out.")] = 100_000,
    columns: Annotated[int, typer.Option(help="Columns of each view.")] = 100_000,
    ridge: Annotated[float, typer.Option(help="Of MatrixFreeCCA and the alternation.")] = 0.3,
    seeds: Annotated[int, typer.Option(help="Data sets, made from seeds 0, 1, ...")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of dense products; sparse ones have one.")] = 1,
    out: Out = None,
) -> None:
    """Sum of held-out correlations, CPU-seconds and memory."""
    keeper = Keeper(out)
    result = keeper.records
    for seed in range(seeds):
        if not result.where(seed=seed):
            result = result + measured(rows, columns, ridge, seed, threads)
            keeper.write(result)
            of = result.where(seed=seed, metric=SUM)
            sys.stderr.write(f"seed {seed}: {', '.join(f'{r.method} {r.value:.2f}' for r in of)}\n")
    print_tables(tables(result))


def tables(result: Result) -> dict[str, Table]:
    """ "correlations": sums on new rows by method, and what a fit costs."""
    runs = {m: {metric: runs_of(result, method=m, metric=metric) for metric in (SUM, SECONDS, PEAK)} for m in METHODS}
    compared = means({name: of[SUM] for name, of in runs.items() if name != ORACLE}, 2)
    cells = {ORACLE: mean(runs[ORACLE][SUM], 2)} | compared
    lines = [[name, cells[name], mean_cost(of[SECONDS]), mean_cost(of[PEAK])] for name, of in runs.items()]
    first = next(iter(result))
    stored = result.value(metric=STORED, seed=first.seed).value
    note = (
        f"Sums of correlations of {TOPICS} pairs of variates on {first.n:,} new rows, {TOPICS - 1} were planted. "
        f"{first.split}, {stored:.0f} numbers a row. {seeds_note(result)} The oracle knows the columns of "
        "each topic."
    )
    return {"correlations": Table(["method", "held-out sum", "CPU-s", "peak MB"], lines, note=note)}


def measured(rows: int, columns: int, ridge: float, seed: int, threads: int) -> Result:
    """Every method on one data set."""
    views, owners = corpus(rows + rows // 10, columns, seed)
    fitted, held_out = zip(*(weighted(view, rows) for view in views))
    totals = [[view @ owner for view, owner in zip(part, owners)] for part in (fitted, held_out)]
    oracle = CCA(TOPICS, ridge=1e-6).fit([total.toarray() for total in totals[0]])
    values = [(ORACLE, SUM, float(oracle.correlations([t.toarray() for t in totals[1]]).sum()))]
    with tempfile.TemporaryDirectory() as folder:
        for i, view in enumerate(fitted):
            sparse.save_npz(Path(folder) / f"view{i}.npz", view, compressed=False)
        for method in METHODS[1:]:
            function = "bouba.bench.sparse_cca:fit_alone"
            peak_mb(function, folder=folder, method=method, ridge=ridge, threads=threads)
            weights = np.load(Path(folder) / f"{method}.npz")
            variates = [view @ weights[name] for view, name in zip(held_out, ("view0", "view1"))]
            cost = json.loads((Path(folder) / f"{method}.json").read_text(encoding="utf-8"))
            values += [(method, SUM, float(correlations(*variates).sum())), *((method, *each) for each in cost.items())]
    values.append(("data", STORED, fitted[0].nnz / rows))
    size = f"{rows:,} rows, {columns:,} columns a view"
    n = held_out[0].shape[0]
    return Result([Record(m, size, "topics", "", metric, x, None, None, None, n, seed) for m, metric, x in values])


def corpus(rows: int, columns: int, seed: int) -> tuple[list[sparse.csr_matrix], list[sparse.csr_matrix]]:
    """Two views of word counts (rows, columns), and for each which topic a column belongs to, (columns, 30)."""
    draw = np.random.default_rng(seed)
    topic, style = draw.integers(0, TOPICS, rows), draw.integers(0, STYLES, rows)
    other = np.where(draw.random(rows) < STYLE_AGREES, style, draw.integers(0, STYLES, rows))
    of_topic = int(columns * TOPIC_COLUMNS) // TOPICS
    of_style = max(1, int(columns * STYLE_COLUMNS) // STYLES)
    rest = columns - of_topic * TOPICS - of_style * STYLES
    views, owners = [], []
    for its_style in (style, other):
        place = draw.permutation(columns)
        source = draw.random((rows, WORDS))
        word = _zipf(draw, rest, 1.0, (rows, WORDS)) + columns - rest
        named = _zipf(draw, of_topic, 0.5, (rows, WORDS)) + (topic * of_topic)[:, None]
        word = np.where(source < TOPIC_SHARE, named, word)
        styled = draw.integers(0, of_style, (rows, WORDS)) + (TOPICS * of_topic + its_style * of_style)[:, None]
        word = np.where((source >= TOPIC_SHARE) & (source < TOPIC_SHARE + STYLE_SHARE), styled, word)
        ends = np.arange(rows + 1) * WORDS
        view = sparse.csr_matrix((np.ones(rows * WORDS, np.float32), place[word].ravel(), ends), (rows, columns))
        view.sum_duplicates()
        views.append(view)
        named_at, topics = place[: TOPICS * of_topic], np.repeat(np.arange(TOPICS), of_topic)
        owners.append(sparse.csr_matrix((np.ones(len(topics)), (named_at, topics)), (columns, TOPICS)))
    return views, owners


def weighted(counts: sparse.csr_matrix, rows: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """TF-IDF of the first rows and of the others, with the frequencies of the first."""
    tfidf = TfidfTransformer().fit(counts[:rows])
    return tfidf.transform(counts[:rows]), tfidf.transform(counts[rows:])


def fit_alone(folder: str, method: str, ridge: float, threads: int) -> None:
    """In a fresh process: read the views, fit, and write the weights and what they cost."""
    views = [sparse.load_npz(Path(folder) / f"view{i}.npz") for i in range(2)]
    with threadpool_limits(threads):
        started = time.process_time()
        weights = FITS[method](views, ridge)
        spent = time.process_time() - started
    cost = {SECONDS: spent, PEAK: high_water_mb()}
    (Path(folder) / f"{method}.json").write_text(json.dumps(cost), encoding="utf-8")
    np.savez(Path(folder) / f"{method}.npz", view0=weights[0], view1=weights[1])


def matrix_free(views: Sequence[sparse.csr_matrix], ridge: float) -> list[np.ndarray]:
    return list(MatrixFreeCCA(TOPICS, ridge=ridge).fit(views).weights_.values())


def covariance(views: Sequence[sparse.csr_matrix], ridge: float) -> list[np.ndarray]:
    return matrix_free(views, 1.0)


def alternating(views: Sequence[sparse.csr_matrix], ridge: float) -> list[np.ndarray]:
    """Each view's directions are regressed on the other's variates and made orthonormal again, in turn."""
    operators = [ShrunkCovariance(view, ridge) for view in views]
    m = TOPICS + 10
    draw = np.random.default_rng(0)
    weights = [np.zeros((view.shape[1], m), view.dtype) for view in views]
    weights[1][:] = draw.standard_normal(weights[1].shape, np.float32)
    images = [operator.image(w) for operator, w in zip(operators, weights)]
    for _ in range(ROUNDS):
        for this, other in ((0, 1), (1, 0)):
            b = operators[this]
            right = b.pull(images[other])
            w = weights[this] @ (weights[this].T @ right)  # the best start in the span of the last solution
            wrong = right - b.data_share * b.pull(b.image(w)) - b.ridge * w
            w += b.solve(wrong, STEPS)[0]
            image = b.image(w)
            gram = b.data_share * (image.T @ image) + b.ridge * (w.T @ w)
            turn = linalg.inv(linalg.cholesky(gram.astype(np.float64))).astype(w.dtype)
            weights[this], images[this] = w @ turn, image @ turn
    u, _, v = linalg.svd((images[0].T @ images[1]).astype(np.float64))
    return [weights[0] @ u[:, :TOPICS], weights[1] @ v[:TOPICS].T]


FITS = {"bouba": matrix_free, "alternating": alternating, "covariance": covariance}


def _zipf(draw: np.random.Generator, words: int, power: float, size: tuple[int, int]) -> np.ndarray:
    """Words 0, 1, ... whose frequency falls with the power of their rank."""
    total = np.cumsum(np.arange(1, words + 1) ** -power)
    return np.searchsorted(total, draw.random(size) * total[-1])


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each column of `x` with the same column of `y`."""
    x, y = x - x.mean(0), y - y.mean(0)
    return (x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))
