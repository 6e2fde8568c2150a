"""bouba bench mmd: what the maximum mean discrepancy costs, forward and backward, against its formula.

Of two float32 samples of normal rows, one shifted by 0.1. The double loop is the formula as it reads; the whole-matrix
form makes the three kernel matrices, each by one matrix product, and lets autograd find its way back. All take their
bandwidth from the same median. Times are CPU-seconds in one process, of the whole matrix and ours by turns: read the
ratios. Memory is the peak of a fresh process that computes, less the peak of one that only holds the same inputs;
gradients of the inputs are in it. Agreement is the largest difference from the double loop, of the value and of every
gradient relative to the largest one, on 12 rows a sample in float64.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import torch
import typer

from bouba.bench.fresh import cost_text, peak_mb
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.errors import UsageError, nearest
from bouba.evaluation.table import Table
from bouba.terms.mmd import SHARES, median_squared_distance, mmd

WIDTHS = {"rbf": (1.0,), "multi": SHARES}
FEW = 12  # rows for which agreement is measured
MOST = {  # rows a sample; above, a variant would not fit into 10 GB, or never end
    ("double loop", "rbf"): 100,
    ("double loop", "multi"): 100,
    ("whole matrix", "rbf"): 16_384,
    ("whole matrix", "multi"): 8_192,
}


def double_loop(a, b, kernel):
    """Pair by pair."""
    spread = median_squared_distance(a, b)

    def k(x, y):
        return sum(torch.exp(-(x - y).square().sum() / (2 * spread * width)) for width in WIDTHS[kernel])

    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(k(x, y) for x in a for y in b) / (n * m)
    return (within_a + within_b - 2 * between) / len(WIDTHS[kernel])


def whole_matrix(a, b, kernel):
    """Three kernel matrices at once."""
    spread = median_squared_distance(a, b)

    def k(x, y):
        squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
        return sum(torch.exp(squares * (-0.5 / (spread * width))) for width in WIDTHS[kernel])

    n, m, count = len(a), len(b), len(WIDTHS[kernel])
    within_a, within_b = ((k(z, z).sum() - count * len(z)) / (len(z) * (len(z) - 1)) for z in (a, b))
    return (within_a + within_b - 2 * k(a, b).sum() / (n * m)) / count


def tiled(a, b, kernel):
    """What a user calls."""
    return mmd(a, b, kernel=kernel)


VARIANTS: dict[str, Callable[..., Any]] = {"double loop": double_loop, "whole matrix": whole_matrix, "bouba": tiled}


def command(
    rows: Annotated[int, typer.Option(help="Rows of each sample.")] = 4096,
    dim: Annotated[int, typer.Option(help="Width of the rows.")] = 256,
    kernel: Annotated[str, typer.Option(help="rbf (one Gaussian kernel) or multi (five).")] = "rbf",
    repeats: Annotated[int, typer.Option(help="Paired runs of each variant.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    out: Out = None,
) -> None:
    """CPU-seconds and memory of one step, forward and backward."""
    if kernel not in WIDTHS:
        raise UsageError(f"no kernel {kernel!r}{nearest(kernel, WIDTHS)}")
    torch.set_num_threads(threads)
    keeper = Keeper(out)
    figures = measure(rows, dim, kernel, repeats, threads)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "variants": what a step costs."""
    header = ["variant", "extra MB", "CPU-s", "ratio to whole matrix", "off the double loop"]
    lines = [[name, *map(cost_text, row.values())] for name, row in figures["variants"].items()]
    note = (
        f"Two samples of {figures['rows']:,} rows of {figures['dim']} numbers, kernel {figures['kernel']}, threads: "
        f"{figures['threads']}; medians of {figures['repeats']} steps by turns, forward and backward."
    )
    return {"variants": Table(header, lines, note=note)}


def measure(rows: int, dim: int, kernel: str, repeats: int, threads: int) -> dict[str, Any]:
    """All variants at one size; those too large for it are left out."""
    names = [name for name in VARIANTS if rows <= MOST.get((name, kernel), rows)]
    spent: dict[str, list[float]] = {}
    for together in (["whole matrix", "bouba"], ["double loop"]):  # its many small tensors slow down who comes next
        spent |= _seconds([name for name in together if name in names], rows, dim, kernel, repeats)
    size = {"rows": rows, "dim": dim, "kernel": kernel, "threads": threads}
    baseline_mb = peak_mb("bouba.bench.mmd:hold", variant=None, **size)
    variants: dict[str, Any] = {}
    for name in names:
        ratio = [ours / whole for ours, whole in zip(spent[name], spent.get("whole matrix", ()))]
        variants[name] = {
            "extra_mb": peak_mb("bouba.bench.mmd:hold", variant=name, **size) - baseline_mb,
            "cpu_s": statistics.median(spent[name]),
            "ratio": statistics.median(ratio) if ratio else None,
            "differs_by": differs_by(name, dim, kernel),
        }
    return {**size, "repeats": repeats, "variants": variants}


def hold(variant: str | None, rows: int, dim: int, kernel: str, threads: int) -> None:
    """In a fresh process: make the inputs and, if a variant is named, compute once."""
    torch.set_num_threads(threads)
    for each in VARIANTS:  # libraries load what they load on first use
        _step(each, _samples(8, dim), kernel)
    leaves = _samples(rows, dim)
    if variant is not None:
        _step(variant, leaves, kernel)


def differs_by(variant: str, dim: int, kernel: str) -> float:
    """The largest difference from the double loop, in float64 on FEW rows a sample."""
    outcomes = []
    for name in (variant, "double loop"):
        leaves = _samples(FEW, dim, dtype=torch.float64)
        value = _step(name, leaves, kernel)
        outcomes.append((value, torch.cat([leaf.grad for leaf in leaves])))  # type: ignore[misc]
    (value, grad), (true_value, true_grad) = outcomes
    return max(abs(value - true_value), ((grad - true_grad).abs().max() / true_grad.abs().max()).item())


def _samples(rows: int, dim: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Two (rows, dim) leaves, made in place so that their making leaves no peak."""
    draw = torch.Generator().manual_seed(0)
    return [torch.empty(rows, dim, dtype=dtype).normal_(mean, generator=draw).requires_grad_() for mean in (0.0, 0.1)]


def _step(variant: str, leaves: list[torch.Tensor], kernel: str) -> float:
    for leaf in leaves:
        leaf.grad = None
    value = VARIANTS[variant](*leaves, kernel)
    value.backward()
    return value.item()


def _seconds(names: list[str], rows: int, dim: int, kernel: str, repeats: int) -> dict[str, list[float]]:
    """variant -> CPU-seconds of each repeat, the variants taking turns."""
    leaves = _samples(rows, dim)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats + 1):
        for name in names:
            start = time.process_time()
            _step(name, leaves, kernel)
            if repeat:  # the first one warms up
                spent[name].append(time.process_time() - start)
    return spent
