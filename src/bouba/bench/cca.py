"""bouba bench cca: linear CCA of two dense views, against other libraries and against the floor.

The floor is what nobody can do without: the three centred products X'X, X'Y, Y'Y in float64, two Cholesky factors,
two triangular solves and one singular value decomposition. Times are CPU-seconds of fits that take turns in one
process: read the ratios. Memory is the peak of a fresh process that fits, less that of one that only holds the data.
Agreement is the largest difference from the floor's correlations. Libraries that are not installed are left out
(`pip install 'bouba[bench]'`); scikit-learn's NIPALS takes hundreds of times longer and runs up to 10^6 cells a view.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
import typer
from scipy import linalg

from bouba.align import CCA
from bouba.bench.fresh import cost_text, peak_mb
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table

PLANTED = 20
MOST_CELLS = {"scikit-learn": 10**6}


def floor(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """The k largest canonical correlations by the shortest way."""
    n, mean_x, mean_y = len(x), x.mean(0), y.mean(0)
    s11 = x.T @ x / n - np.outer(mean_x, mean_x)
    s22 = y.T @ y / n - np.outer(mean_y, mean_y)
    s12 = x.T @ y / n - np.outer(mean_x, mean_y)
    l1, l2 = linalg.cholesky(s11, lower=True), linalg.cholesky(s22, lower=True)
    t = linalg.solve_triangular(l1, s12, lower=True)
    t = linalg.solve_triangular(l2, t.T, lower=True)
    return linalg.svd(t)[1][:k]


def bouba(x, y, k):
    return CCA(k, ridge=0.0).fit([x, y]).correlations_


def cca_zoo(x, y, k):
    from cca_zoo.linear import CCA as Rival

    return _paired(*Rival(n_components=k).fit([x, y]).transform([x, y]))


def cca_zoo_mcca(x, y, k):
    from cca_zoo.linear import MCCA as Rival

    return _paired(*Rival(n_components=k).fit([x, y]).transform([x, y]))


def statsmodels(x, y, k):
    from statsmodels.multivariate.cancorr import CanCorr

    return np.asarray(CanCorr(y, x).cancorr)[:k]


def scikit_learn(x, y, k):
    from sklearn.cross_decomposition import CCA as Rival

    return _paired(*Rival(n_components=k, max_iter=2000, scale=False).fit(x, y).transform(x, y))


FITS: dict[str, tuple[str, Callable]] = {  # name -> (package it needs, fit)
    "floor": ("numpy", floor),
    "bouba": ("bouba", bouba),
    "cca-zoo CCA": ("cca_zoo", cca_zoo),
    "cca-zoo MCCA": ("cca_zoo", cca_zoo_mcca),
    "statsmodels": ("statsmodels", statsmodels),
    "scikit-learn": ("sklearn", scikit_learn),
}


def command(
    rows: Annotated[int, typer.Option(help="Rows.")] = 100_000,
    columns: Annotated[int, typer.Option(help="Columns of each view.")] = 500,
    components: Annotated[int, typer.Option("-k", help="Components asked for.")] = 20,
    repeats: Annotated[int, typer.Option(help="Fits of each library, taking turns.")] = 3,
    out: Out = None,
) -> None:
    """CPU-seconds, memory and agreement of one fit."""
    keeper = Keeper(out)
    figures = measure(rows, columns, components, repeats)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "libraries": what a fit costs in each."""
    lines = [
        [name, *(cost_text(row[cost]) for cost in ("cpu_s", "ratio", "extra_mb")), f"{row['differs_by']:.0e}"]
        for name, row in figures["libraries"].items()
    ]
    left_out = "".join(f" {name} was left out: {why}." for name, why in figures["left_out"].items())
    note = (
        f"{figures['rows']:,} rows, {figures['columns']} columns a view, {figures['components']} components; medians "
        f"of {figures['repeats']} fits by turns. Differs: from the floor's correlations.{left_out}"
    )
    return {
        "libraries": Table(["library", "CPU-s", "ratio to floor", "MB above the data", "differs by"], lines, note=note)
    }


def measure(rows: int, columns: int, components: int, repeats: int) -> dict[str, Any]:
    """Every library that is there, at one size."""
    left_out = {name: "not installed" for name, (package, _) in FITS.items() if find_spec(package) is None}
    left_out |= {n: "too slow at this size" for n, most in MOST_CELLS.items() if rows * columns > most}
    names = [name for name in FITS if name not in left_out]
    x, y = views(rows, columns)
    spent: dict[str, list[float]] = {name: [] for name in names}
    correlations = {}
    for _ in range(repeats):
        for name in names:
            start = time.process_time()
            correlations[name] = FITS[name][1](x, y, components)
            spent[name].append(time.process_time() - start)
    del x, y
    size = {"rows": rows, "columns": columns, "components": components}
    baseline_mb = peak_mb("bouba.bench.cca:hold", name=None, **size)
    libraries = {}
    for name in names:
        libraries[name] = {
            "cpu_s": statistics.median(spent[name]),
            "ratio": statistics.median([a / b for a, b in zip(spent[name], spent["floor"])]),
            "extra_mb": peak_mb("bouba.bench.cca:hold", name=name, **size) - baseline_mb,
            "differs_by": float(np.abs(correlations[name] - correlations["floor"]).max()),
        }
    return {
        **size,
        "repeats": repeats,
        "libraries": libraries,
        "left_out": left_out,
    }


def hold(name: str | None, rows: int, columns: int, components: int) -> None:
    """In a fresh process: make the data and, if a library is named, fit once."""
    if name is not None:
        FITS[name][1](*views(40 * components, 2 * components), components)  # loads what it loads on first use
    x, y = views(rows, columns)
    if name is not None:
        FITS[name][1](x, y, components)


def views(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two float64 views (rows, columns), means away from zero, with PLANTED latent directions in common, block by
    block so that their making leaves no peak."""
    draw = np.random.default_rng(seed)
    strength = np.linspace(3.0, 0.5, PLANTED)
    maps = [draw.normal(size=(PLANTED, columns)) / np.sqrt(columns) * 3 for _ in range(2)]
    both = [np.empty((rows, columns)) for _ in range(2)]
    for start in range(0, rows, 4096):
        stop = min(start + 4096, rows)
        latent = draw.normal(size=(stop - start, PLANTED)) * strength
        for view, mix in zip(both, maps):
            view[start:stop] = latent @ mix + draw.normal(size=(stop - start, columns)) + 1.0
    return both[0], both[1]


def _paired(z_x: np.ndarray, z_y: np.ndarray) -> np.ndarray:
    """Correlation of each pair of variates (k,), largest first."""
    pairs = zip(np.asarray(z_x).T, np.asarray(z_y).T)
    return np.sort([abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs])[::-1]
