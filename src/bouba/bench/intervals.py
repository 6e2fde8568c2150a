"""bouba bench intervals: do 95% intervals cover what they say, near 0 and 1, of few rows, of groups, pairs and seeds?

Samples are drawn whose true mean is known; coverage is the share of them whose interval holds it. Rates of independent
rows are not simulated: the coverage is summed over all counts. Groups have 1 to 5 rows, and `alike` is the correlation
of two rows of one group: 0 independent, 1 all the same. Intervals are symmetric, so a rate of .9 is covered as .1 is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy import stats

from bouba.bench.kept import Keeper, print_tables
from bouba.evaluation import interval, over_seeds, seeds_interval
from bouba.evaluation.intervals import ends_of_difference
from bouba.evaluation.table import Table

SIZES = (10, 20, 50, 100, 300, 1000)
RATES = (0.001, 0.01, 0.05, 0.1, 0.5)
ALIKE = (0.0, 0.3, 1.0)
EVERY_RATE = "uniform"
Random = np.random.Generator
Figures = list[dict[str, Any]]
"""Each with what it is of, and `covered`, in percent."""


def command(
    repeats: Annotated[int, typer.Option(help="Samples drawn for each number.")] = 1000,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Coverage of the intervals of rates, other means, medians, paired differences and means over seeds."""
    keeper = Keeper(out)
    figures: dict[str, Any] = {
        "repeats": repeats,
        "rates": list(rates()),
        "groups": list(grouped(repeats)),
        "values": list(other_values(repeats)),
        "pairs": list(pairs(repeats)),
        "seeds": list(seeds(repeats)),
    }
    keeper.write(figures)
    print_tables(tables(figures))


def rates(sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """Exact coverage of rates of independent rows, also on average over all rates and over half to twice a rate; and
    that of the percentiles of a bootstrap."""
    for n in sizes:
        counts = np.arange(n + 1)
        ours = np.array([interval(counts[1:] <= k) for k in counts])
        drawn = np.stack([stats.binom.ppf(q, n, counts / n) / n for q in (0.025, 0.975)], axis=1)
        for at in (*RATES, EVERY_RATE):
            exactly = np.linspace(0, 1, 501)[1:-1] if at == EVERY_RATE else np.array([at])
            around = exactly if at == EVERY_RATE else np.minimum(np.geomspace(0.5, 2, 61) * at, 0.999)
            yield {
                "n": n,
                "rate": at,
                "covered": _exact(ours, exactly),
                "around": _exact(ours, around),
                "bootstrap": _exact(drawn, exactly),
            }


def _exact(ends: np.ndarray, true: np.ndarray) -> float:
    """Percent of samples whose interval, ends (n + 1, 2) by count, holds the rate, on average over rates."""
    n = len(ends) - 1
    chance = stats.binom.pmf(np.arange(n + 1), n, true[:, None])
    inside = (ends[:, 0] <= true[:, None]) & (true[:, None] <= ends[:, 1])
    return 100 * float((chance * inside).sum(1).mean())


def grouped(repeats: int, sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """Coverage of rates of rows in groups, at each rate and over half to twice of it."""
    random = np.random.default_rng(0)
    for n in sizes:
        for alike in ALIKE:
            for at in (*RATES, EVERY_RATE):
                fixed = [] if isinstance(at, str) else [_grouped_once(random, n, alike, at) for _ in range(repeats)]
                about = [_grouped_once(random, n, alike, _near(random, at)) for _ in range(repeats)]
                around = 100 * float(np.mean(about))
                covered = 100 * float(np.mean(fixed)) if fixed else around
                yield {"n": n, "alike": alike, "rate": at, "covered": covered, "around": around}


def _near(random: Random, at: float | str) -> float:
    return random.random() if isinstance(at, str) else min(at * 2 ** random.uniform(-1, 1), 0.999)


def _grouped_once(random: Random, n: int, alike: float, rate: float) -> bool:
    group = in_groups(random, n)
    right = _rates_of(random, int(group.max()) + 1, alike, rate)[group]
    low, high = interval(random.random(n) < right, groups=group)
    return low <= rate <= high


def in_groups(random: Random, n: int) -> np.ndarray:
    """(n,) groups of 1 to 5 rows, two or more of them."""
    group = np.repeat(np.arange(n), random.integers(1, 6, n))[:n]
    return group if group[-1] else np.arange(n) % 2


def _rates_of(random: Random, groups: int, alike: float, rate: float) -> np.ndarray:
    """(groups,) the rate in each, so that two rows of one correlate by `alike`."""
    if alike in (0, 1):
        return np.full(groups, rate) if alike == 0 else (random.random(groups) < rate).astype(float)
    share = (1 - alike) / alike
    return random.beta(rate * share, (1 - rate) * share, groups)


def _ranks(random: Random, n: int, first: float) -> np.ndarray:
    """1 with this probability, else up to 1000, small ones more often."""
    return np.where(random.random(n) < first, 1, np.floor(np.exp(random.uniform(np.log(2), np.log(1000), n))))


VALUES: dict[str, tuple[str, Callable[[Random, int], np.ndarray]]] = {
    "reciprocal rank, 10% first": ("mean", lambda r, n: 1 / _ranks(r, n, 0.1)),
    "reciprocal rank, 50% first": ("mean", lambda r, n: 1 / _ranks(r, n, 0.5)),
    "reciprocal rank, 95% first": ("mean", lambda r, n: 1 / _ranks(r, n, 0.95)),
    "precision@10 of .05": ("mean", lambda r, n: r.binomial(10, r.beta(0.5, 9.5, n)) / 10),
    "average precision of .3": ("mean", lambda r, n: r.beta(0.5, 1.2, n)),
    "squared error (normal)": ("mean", lambda r, n: r.normal(size=n) ** 2),
    "absolute error (normal)": ("mean", lambda r, n: np.abs(r.normal(size=n))),
    "log loss (exponential)": ("mean", lambda r, n: r.exponential(size=n)),
    "error, heavy tail (lognormal)": ("mean", lambda r, n: r.lognormal(size=n)),
    "any number (normal)": ("mean", lambda r, n: r.normal(size=n)),
    "median of a number (normal)": ("median", lambda r, n: r.normal(size=n)),
    "median rank, 30% first": ("median", lambda r, n: _ranks(r, n, 0.3)),
}


def other_values(repeats: int, sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """Coverage of means of values that are no rates, and of medians."""
    random = np.random.default_rng(1)
    for name, (statistic, draw) in VALUES.items():
        truth = float(getattr(np, statistic)(draw(random, 2_000_001)))
        for n in sizes:
            ends = np.array([interval(draw(random, n), statistic) for _ in range(repeats)])  # type: ignore[arg-type]
            yield {"values": name, "n": n, "covered": _share(ends, truth)}


def _won_and_lost(won: float, lost: float) -> Callable[[Random, int], tuple[np.ndarray, np.ndarray]]:
    def draw(random: Random, n: int) -> tuple[np.ndarray, np.ndarray]:
        which = random.choice([1, -1, 0], n, p=[won, lost, 1 - won - lost])
        return (which == 1).astype(float), (which == -1).astype(float)

    return draw


def _two_ranks(random: Random, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Reciprocal ranks of two methods, which find half of the same queries at once."""
    easy = random.random(n) < 0.5
    a, b = (np.where(easy, 1, _ranks(random, n, 0.3)) for _ in "ab")
    return 1 / a, 1 / b


PAIRS: dict[str, tuple[float, Callable[[Random, int], tuple[np.ndarray, np.ndarray]]]] = {
    "hits, 1% won, 1% lost": (0.0, _won_and_lost(0.01, 0.01)),
    "hits, 5% won, none lost": (0.05, _won_and_lost(0.05, 0.0)),
    "hits, 5% won, 5% lost": (0.0, _won_and_lost(0.05, 0.05)),
    "hits, 30% won, 10% lost": (0.2, _won_and_lost(0.3, 0.1)),
    "reciprocal ranks, equally good": (0.0, _two_ranks),
    "any number (normal)": (0.0, lambda r, n: (r.normal(size=n), r.normal(size=n))),
}


def pairs(repeats: int, sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """Coverage of paired differences; where the difference is 0, 100 less it is how often one is found."""
    random = np.random.default_rng(2)
    for name, (truth, draw) in PAIRS.items():
        for n in sizes:
            ends = []
            for _ in range(repeats):
                a, b = draw(random, n)
                bounds = (0.0, 1.0) if min(a.min(), b.min()) >= 0 else (-np.inf, np.inf)
                ends.append(ends_of_difference(a, b, np.arange(n), bounds)(0.95))
            yield {"values": name, "n": n, "covered": _share(np.array(ends), truth)}


SEEDS = {
    "runs do not differ": (0.0, 2.0, 0.0),
    "runs differ by query": (0.0, 2.0, 1.0),
    "some runs are better": (0.2, 2.0, 1.0),
}
"""Name -> spread of runs, of queries, and of what is of the run and the query, in standard deviations."""


def seeds(repeats: int, shapes: tuple[tuple[int, int], ...] = ((3, 100), (5, 100), (5, 1000))) -> Figures:
    """Coverage of means over runs that are judged on the same rows, where 50% and where 97% are right."""
    random, figures = np.random.default_rng(3), []
    for name, spreads in SEEDS.items():
        spread = float(np.hypot.reduce(spreads))
        for rate in (0.5, 0.97):
            for runs, n in shapes:
                level = spread * stats.norm.ppf(rate)
                found: dict[str, list[tuple[float, float]]] = {"seeds alone": [], "by records": [], "by query": []}
                for _ in range(max(repeats // 2, 1)):
                    hits = _runs(random, runs, n, level, spreads)
                    by_row = np.array([interval(row) for row in hits])
                    found["seeds alone"].append(seeds_interval(hits.mean(1))[1:])
                    found["by records"].append(over_seeds(hits.mean(1), *by_row.T)[1:])
                    found["by query"].append(seeds_interval(hits)[1:])
                for way, ends in found.items():
                    covered = _share(np.array(ends), rate)
                    figures.append(
                        {"runs": name, "rate": rate, "seeds": runs, "n": n, "interval": way, "covered": covered}
                    )
    return figures


def _runs(random: Random, runs: int, n: int, level: float, spreads: tuple[float, ...]) -> np.ndarray:
    """Hits (runs, n)."""
    run, query, both = spreads
    score = level + run * random.normal(size=(runs, 1)) + query * random.normal(size=n)
    return (score + both * random.normal(size=(runs, n)) > 0).astype(float)


def _share(ends: np.ndarray, truth: float) -> float:
    """Percent of intervals (repeats, 2) that hold the truth, up to rounding."""
    return 100 * float(((ends[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= ends[:, 1])).mean())


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """Coverage in percent, by what is measured and the number of rows."""
    luck = 100 * (0.95 * 0.05 / figures["repeats"]) ** 0.5
    drawn = f"{figures['repeats']} samples each; standard error {luck:.1f}."
    return {
        "rates": _by_size(
            figures["rates"],
            ("rate",),
            ("covered", "bootstrap"),
            "Ours (percentiles of a bootstrap). Not simulated: summed over all counts.",
        ),
        "rates around": _by_size(
            figures["rates"], ("rate",), ("around",), "On average over rates from half to twice the one named."
        ),
        "groups": _by_size(figures["groups"], ("alike", "rate"), ("covered",), f"Rows in groups of 1 to 5. {drawn}"),
        "groups around": _by_size(
            figures["groups"],
            ("alike", "rate"),
            ("around",),
            f"On average over rates from half to twice the one named. {drawn}",
        ),
        "values": _by_size(figures["values"], ("values",), ("covered",), drawn),
        "pairs": _by_size(figures["pairs"], ("values",), ("covered",), drawn),
        "seeds": _of_seeds(figures["seeds"], f"{figures['repeats'] // 2} samples each."),
    }


def _by_size(figures: Figures, labels: tuple[str, ...], shown: tuple[str, ...], note: str) -> Table:
    """A line for each value of the labels, a column for each number of rows."""
    sizes = list(dict.fromkeys(figure["n"] for figure in figures))
    cells: dict[tuple[str, ...], list[str]] = {}
    for figure in figures:
        first, *rest = (f"{figure[column]:.1f}" for column in shown)
        line = cells.setdefault(tuple(_label(figure[label]) for label in labels), [])
        line.append(first + "".join(f" ({x})" for x in rest))
    header = [*labels, *(f"{n:,} rows" for n in sizes)]
    return Table(header, [[*line, *row] for line, row in cells.items()], labels=len(labels), note=note)


def _label(value: float | str) -> str:
    return "all equally likely" if value == EVERY_RATE else str(value)


def _of_seeds(figures: Figures, note: str) -> Table:
    ways = list(dict.fromkeys(figure["interval"] for figure in figures))
    cells: dict[tuple[str, ...], list[str]] = {}
    for f in figures:
        line = (f["runs"], f"{100 * f['rate']:.0f}%", str(f["seeds"]), f"{f['n']:,}")
        cells.setdefault(line, []).append(f"{f['covered']:.1f}")
    header = ["runs", "right", "seeds", "rows", *ways]
    return Table(header, [[*line, *row] for line, row in cells.items()], labels=4, note=note)
