"""bouba bench info-nce: what a symmetric contrastive loss costs, forward and backward, against CLIP's formula.

From normalised float32 features at scale 100, random and solved (each pair nearly equal). Times are CPU-seconds of
paired, alternating runs in one process: read the ratios. Memory is the peak of a fresh process that computes, less
the peak of one that only holds the same inputs. Busy neighbours make threads wait for each other, which counts
as CPU time: --threads 1 is the quietest. With --device cuda it measures what is in `gpu_contrast`.

The rival takes its logits per text from the transposed logits per image, as open_clip does where it can; its
second product instead would cost 1.5 times as much.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated, Any

import torch
import typer
from torch.nn import functional as F

from bouba.bench import gpu_contrast
from bouba.bench.fresh import cost_text, peak_mb
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.errors import UsageError
from bouba.evaluation.table import Table
from bouba.terms.info_nce import info_nce

TEMPERATURE = 0.01
LARGEST_NAIVE = 16_384  # its logits and their gradients take 4 GB there


def naive(a, b, temperature):
    """CLIP's formula with the whole matrix of logits."""
    logits = 1 / temperature * a @ b.T
    labels = torch.arange(len(a))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def tiled(a, b, temperature):
    """Like for like: features come normalised."""
    return info_nce(a, b, temperature=temperature, similarity="dot")


def tiled_cosine(a, b, temperature):
    """What a user calls: normalises once more."""
    return info_nce(a, b, temperature=temperature)


VARIANTS = {"naive": naive, "bouba": tiled, "bouba cosine": tiled_cosine}


def command(
    batch: Annotated[int, typer.Option(help="Rows.")] = 4096,
    dim: Annotated[int, typer.Option(help="Width of the embeddings.")] = 512,
    repeats: Annotated[int, typer.Option(help="Paired runs of each variant.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    device: Annotated[
        str, typer.Option(help="cpu, or cuda: milliseconds at all sizes in float32 and bfloat16, of other terms too.")
    ] = "cpu",
    out: Out = None,
) -> None:
    """CPU-seconds and memory of one step, forward and backward."""
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device is cpu or cuda, got {device!r}")
    torch.set_num_threads(threads)
    keeper = Keeper(out)
    of_cpu = device == "cpu"
    figures = measure(batch, dim, repeats, threads) if of_cpu else gpu_contrast.measure(device, dim, repeats)
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "variants": what a step costs; more of a GPU, see `gpu_contrast`."""
    if "batches" in figures:
        return gpu_contrast.tables(figures)
    header = ["variant", "extra MB", "random: CPU-s", "ratio to naive", "solved: CPU-s", "ratio to random"]
    lines = [[name, *map(cost_text, row.values())] for name, row in figures["variants"].items()]
    note = (
        f"Batches of {figures['batch']:,}, {figures['dim']} numbers a row, threads: {figures['threads']}; medians of "
        f"{figures['repeats']} steps by turns, forward and backward. Naive: CLIP's formula, with all logits at once."
    )
    return {"variants": Table(header, lines, note=note)}


def measure(batch: int, dim: int, repeats: int, threads: int) -> dict[str, Any]:
    """All variants at one size; None where the naive form is left out because it would not fit or never end."""
    names = [name for name in VARIANTS if name != "naive" or batch <= LARGEST_NAIVE]
    random = _seconds(names, batch, dim, repeats, "random")
    solved = _seconds([name for name in names if name != "naive"], batch, dim, repeats, "solved")
    size = {"batch": batch, "dim": dim, "threads": threads}
    baseline_mb = peak_mb("bouba.bench.info_nce:hold", variant=None, **size)
    variants: dict[str, Any] = {}
    for name in names:
        ratio = [ours / theirs for ours, theirs in zip(random[name], random["naive"])] if "naive" in names else []
        harder = [after / before for after, before in zip(solved.get(name, ()), random[name])]
        variants[name] = {
            "extra_mb": peak_mb("bouba.bench.info_nce:hold", variant=name, **size) - baseline_mb,
            "random_cpu_s": statistics.median(random[name]),
            "ratio_to_naive": statistics.median(ratio) if ratio else None,
            "solved_cpu_s": statistics.median(solved[name]) if name in solved else None,
            "solved_to_random": statistics.median(harder) if harder else None,
        }
    return {**size, "repeats": repeats, "variants": variants}


def hold(variant: str | None, batch: int, dim: int, threads: int) -> None:
    """In a fresh process: make the inputs and, if a variant is named, compute once."""
    torch.set_num_threads(threads)
    for each in VARIANTS:  # libraries load what they load on first use
        _step(each, _features(8, dim, "random"))
    leaves = _features(batch, dim, "random")
    if variant is not None:
        _step(variant, leaves)


def _features(batch: int, dim: int, kind: str):
    """Two (batch, dim) leaves with unit rows, made in place so that their making leaves no peak."""
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.empty(batch, dim).normal_(generator=draw) for _ in range(2))
    a.div_(a.norm(dim=1, keepdim=True))
    if kind == "solved":
        b.mul_(0.02).add_(a)
    b.div_(b.norm(dim=1, keepdim=True))
    return a.requires_grad_(), b.requires_grad_(), torch.tensor(TEMPERATURE, requires_grad=True)


def _step(variant: str, leaves) -> None:
    for leaf in leaves:
        leaf.grad = None
    VARIANTS[variant](*leaves).backward()


def _seconds(names: list[str], batch: int, dim: int, repeats: int, kind: str) -> dict[str, list[float]]:
    """variant -> CPU-seconds of each repeat, the variants taking turns. The naive form is not run on a solved
    batch: its denormal numbers cost half a minute at 4,096 rows."""
    leaves = _features(batch, dim, kind)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats + 1):
        for name in names:
            start = time.process_time()
            _step(name, leaves)
            if repeat:  # the first one warms up
                spent[name].append(time.process_time() - start)
    return spent
