"""bouba bench scaling: a model on paper of time, memory and traffic, checked against what was measured.

A step of contrastive training over B rows of d numbers on W devices, two views, towers of P parameters:

    contrast    (8 B^2 d / products + bytes B^2 / memory) / W     four matrix products, each logit's way through memory
    gather      3 * 2 * 4 B d (W - 1) / W / link                  embeddings there, the sum of their gradients back
    towers      B / W * seconds a row
    gradients   2 * 4 P (W - 1) / W / link                        their sum over devices, while the towers go backward
    memory      16 P + 2 B d (4 + 4 + 4 + 2) + tile + activations

Rates are calibrated at one size and checked at the others. Points of one H100 stand here as they were measured, with
their source; those of this machine's CPU are measured when the command runs, in CPU-seconds of one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bouba.align import CCA
from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table
from bouba.terms.info_nce import info_nce

MS, GB = 1e-3, 1e9
PASSES = {"float32": 42, "bfloat16": 38}
"""Bytes of a logit's way through a GPU's memory: written by the product (4), scaled in place (8) and read (4), all
again on the way back (16), then its gradient written once and read twice, in 4 or in 2 bytes, one from cache."""
H100 = {
    "float32": {4096: 2.9, 16_384: 26.0, 32_768: 101.0, 65_536: 400.6},
    "bfloat16": {4096: 2.2, 16_384: 5.4, 32_768: 20.0, 65_536: 76.7},
}
"""InfoNCE on one H100 (torch 2.11, d = 512, tiles of 8,192 x 16,384), forward and backward, in ms."""
PAIRS_A_SECOND = 1524
"""A bare training step of ResNet-50 and BERT-base on one H100, batch 256, bfloat16."""
PARAMETERS = 25.6e6 + 109.5e6  # of those two
AHEAD = (
    (1024, 1),
    (8192, 8),
    (32_768, 8),
    (65_536, 64),
    (262_144, 64),
    (1_048_576, 64),
    (1_048_576, 512),
)
"""Rows of a batch and GPUs that share it."""


@dataclass(frozen=True)
class Machine:
    """What a device attains.

    Args:
        products: floating point operations a second in matrix products.
        memory: bytes a second from its memory. link: bytes a second to the other devices.
        a_logit: seconds that each logit costs besides, on a CPU, where tiles stay in cache.
    """

    products: float
    memory: float = math.inf
    link: float = math.inf
    a_logit: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step of contrastive training of two views.

    Args:
        batch: rows over all devices. dim: numbers of an embedding. devices: that share it.
        logit_bytes: see PASSES. rows_a_second: of the towers on one device. parameters: of the towers.
    """

    batch: int
    dim: int = 512
    devices: int = 1
    logit_bytes: int = 0
    rows_a_second: float = math.inf
    parameters: float = 0.0

    def contrast(self, machine: Machine) -> float:
        """Seconds of the loss and its gradients."""
        products = 8 * self.batch**2 * self.dim / machine.products
        logits = self.batch**2 * (self.logit_bytes / machine.memory + machine.a_logit)
        return (products + logits) / self.devices

    def gather(self, machine: Machine) -> float:
        """Seconds in which embeddings and their gradients travel."""
        return 3 * 2 * 4 * self.batch * self.dim * self._others / machine.link

    def towers(self) -> float:
        """Seconds of the towers, forward and backward."""
        return self.batch / self.devices / self.rows_a_second

    def gradients(self, machine: Machine) -> float:
        """Seconds in which the gradients of the parameters travel."""
        return 2 * 4 * self.parameters * self._others / machine.link

    def seconds(self, machine: Machine) -> float:
        """Of the step; the gradients travel while the towers go backward, which is two thirds of their time."""
        late = max(0.0, self.gradients(machine) - 2 / 3 * self.towers())
        return self.contrast(machine) + self.gather(machine) + self.towers() + late

    def memory(self, tile: tuple[int, int] = (8192, 16_384)) -> float:
        """Bytes on a device, without the towers' activations: parameters with gradients and two moments, the embeddings
        of all rows (gathered, of length one, their gradients, bfloat16), one tile of logits and its gradient."""
        logits = min(self.batch, tile[0]) * min(self.batch, tile[1])
        return 16 * self.parameters + 2 * self.batch * self.dim * (4 + 4 + 4 + 2) + 6 * logits

    @property
    def _others(self) -> float:
        return (self.devices - 1) / self.devices


def attained(points: dict[int, float], logit_bytes: int, memory: float, at: int) -> Machine:
    """A machine whose rate of products explains what was measured at one batch size.

    Args:
        points: batch size -> ms.
    """
    logits = at**2 * logit_bytes / memory
    return Machine(products=8 * at**2 * 512 / (points[at] * MS - logits), memory=memory)


def gpu(kind: str, link: float = math.inf) -> Machine:
    """One H100, calibrated at 16,384 rows of one operand type."""
    memory = 2.8e12  # of 3.35e12 on paper
    return replace(attained(H100[kind], PASSES[kind], memory, at=16_384), link=link)


def command(out: Out = None) -> None:
    """The model against measured points, and what it says of larger ones."""
    torch.set_num_threads(1)
    keeper = Keeper(out)
    with threadpool_limits(1):  # threads that wait for each other spin, which counts as CPU time
        figures = measure()
    keeper.write(figures)
    print_tables(tables(figures))


def measure(
    batches: tuple[int, ...] = (1024, 4096, 8192), rows: tuple[int, ...] = (10_000, 40_000, 160_000)
) -> dict[str, Any]:
    """CPU-seconds of InfoNCE (d = 512) at some batch sizes, and of CCA (views of 256 numbers) over some rows."""
    left, right = torch.randn(1024, 512), torch.randn(512, 1024)  # a tile of logits
    product = min(_cpu_seconds(partial(torch.mm, left, right)) for _ in range(9))
    return {
        "products": 2 * 1024**2 * 512 / product,
        "info_nce": {batch: min(_cpu_seconds(_contrast(batch)) for _ in range(3)) for batch in batches},
        "cca": {count: min(_cpu_seconds(_cca(count)) for _ in range(2)) for count in rows},
    }


def _contrast(batch: int) -> Callable[[], None]:
    views = [torch.randn(batch, 512).requires_grad_() for _ in range(2)]
    return lambda: info_nce(*views).backward()


def _cca(rows: int) -> Callable[[], object]:
    draw = np.random.default_rng(0)
    views = [draw.normal(size=(rows, 256)).astype(np.float32) for _ in range(2)]
    return lambda: CCA().fit(views)


def _cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "checked": model against measurement; "step" and "rows": what it says of more devices and more rows."""
    return {"checked": _checked(figures), "step": _steps(), "rows": _rows(figures)}


def _checked(figures: dict[str, Any]) -> Table:
    lines = []
    for kind in H100:
        for batch, measured in H100[kind].items():
            modelled = Step(batch, logit_bytes=PASSES[kind]).contrast(gpu(kind)) / MS
            lines.append(_line(f"InfoNCE, one H100, {kind}", f"{batch:,}", "ms", measured, modelled, batch == 16_384))
    points = _by_size(figures["info_nce"])
    first = min(points)
    machine = Machine(products=figures["products"])
    machine = replace(machine, a_logit=(points[first] - Step(first).contrast(machine)) / first**2)
    for batch, measured in points.items():
        modelled = Step(batch).contrast(machine)
        lines.append(_line("InfoNCE, one CPU thread", f"{batch:,}", "CPU-s", measured, modelled, batch == first))
    points = _by_size(figures["cca"])
    fixed, a_row = _line_through(points)
    for count, measured in points.items():
        modelled = fixed + a_row * count
        lines.append(_line("CCA, one CPU thread", f"{count:,}", "CPU-s", measured, modelled, count != max(points)))
    note = (
        "InfoNCE of two views of 512 numbers, forward and backward; CCA of two views of 256 numbers. * The model is "
        "calibrated here. Below 8,192 rows a GPU waits for launches, of which the model knows nothing."
    )
    return Table(["what", "rows", "unit", "measured", "model", "model / measured"], lines, note=note)


def _line_through(points: dict[int, float]) -> tuple[float, float]:
    """What is fixed and what a row costs, by the two smallest sizes."""
    (few, less), (more, longer) = sorted(points.items())[:2]
    a_row = (longer - less) / (more - few)
    return less - a_row * few, a_row


def _line(what: str, rows: str, unit: str, measured: float, modelled: float, calibrated: bool) -> list[str]:
    return [
        what,
        rows,
        unit,
        f"{measured:.3g}",
        f"{modelled:.3g}",
        f"{modelled / measured:.2f}{'*' if calibrated else ''}",
    ]


def _steps() -> Table:
    lines = []
    for batch, devices in AHEAD:
        one = Step(batch, 512, devices, PASSES["bfloat16"], PAIRS_A_SECOND, PARAMETERS)
        machine = gpu("bfloat16", link=300 * GB if devices <= 8 else 40 * GB)
        parts = (one.towers(), one.contrast(machine), one.gather(machine), one.gradients(machine))
        other = 1 - one.towers() / one.seconds(machine)
        unshared = replace(one, devices=1).contrast(machine)
        cells = [*map(_duration, parts), f"{other:.0%}", _duration(unshared), f"{one.memory() / GB:.1f} GB"]
        lines.append([f"{batch:,}", f"{devices:,}", *cells])
    header = ["batch", "GPUs", "towers", "contrast", "gather", "gradients", "not towers", "contrast unshared", "memory"]
    note = (
        "Said by the model, not measured: H100s, 300 GB/s between eight of one machine and 40 GB/s a GPU between "
        "machines, ResNet-50 and BERT-base at 1,524 pairs a second a GPU, embeddings of 512 numbers. Gradients travel "
        "while the towers go backward. Memory is without activations, which `chunk_size=` bounds for a third more of "
        "the towers' time."
    )
    return Table(header, lines, labels=2, note=note)


def _rows(figures: dict[str, Any]) -> Table:
    _, a_row = _line_through(_by_size(figures["cca"]))
    lines = []
    for power in (6, 7, 8, 9):
        rows = 10**power
        embed = rows / (3 * PAIRS_A_SECOND)  # forward alone is a third of a training step
        seconds = (embed, embed / 64, rows * a_row), (rows * 128 * 4 / (20 * GB), rows * 128 / (20 * GB))
        vectors = f"{rows * 128 * 4 / GB:,.1f} GB"
        lines.append([f"10^{power}", *map(_duration, seconds[0]), vectors, *map(_duration, seconds[1])])
    header = ["rows", "embed, 1 GPU", "64 GPUs", "CCA, 1 core", "vectors", "a question, float32", "int8"]
    note = (
        "Said by the model: pictures and texts through ResNet-50 and BERT-base on H100s; CCA of two views of 256 "
        "numbers; exact search through vectors of 128 numbers at 20 GB/s of memory."
    )
    return Table(header, lines, note=note)


def _by_size(points: dict[Any, float]) -> dict[int, float]:
    """JSON makes text of numbers that are names."""
    return {int(size): seconds for size, seconds in points.items()}


def _duration(seconds: float) -> str:
    """
    >>> [_duration(s) for s in (0.0, 0.0004, 0.25, 1.38, 90.0, 7200.0, 200_000.0)]
    ['0', '0.4 ms', '250 ms', '1.4 s', '90 s', '2 h', '2.3 d']
    """
    for unit, name in ((86_400, "d"), (3600, "h"), (1, "s")):
        if seconds >= (unit if unit == 1 else 2 * unit):
            size = seconds / unit
            return f"{size:,.0f} {name}" if size >= 10 else f"{size:.2g} {name}"
    return f"{seconds / MS:.3g} ms" if seconds else "0"
