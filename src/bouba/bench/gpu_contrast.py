"""What contrast costs on a GPU: milliseconds and memory of a step, forward and backward, and how far off it is.

Part of `bouba bench info-nce --device cuda`. Times are medians between two events of the device, after two steps that
warm up; memory is the peak above what is held before, inputs left out and their gradients included. Errors are against
float64, at a size of which that can hold the whole matrix. bfloat16 is autocast, as in training.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bouba.bench.fresh import cost_text
from bouba.errors import UsageError
from bouba.evaluation.table import Table
from bouba.terms.checks import trusted
from bouba.terms.info_nce import info_nce
from bouba.terms.mmd import mmd
from bouba.terms.nt_xent import nt_xent
from bouba.terms.sigmoid_pairs import sigmoid_pairs
from bouba.terms.supervised_contrastive import supervised_contrastive

SIZES = (1024, 2048, 4096, 16_384, 32_768, 65_536)
ROWS_OF_TERMS = 16_384
ROWS_OF_ERRORS = 3000
TEMPERATURE = 0.01
REFERENCE = "naive bfloat16"


def naive(a: Tensor, b: Tensor) -> Tensor:
    """CLIP's formula with the whole matrix of logits."""
    logits = 1 / TEMPERATURE * a @ b.T
    labels = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def tiled(a: Tensor, b: Tensor) -> Tensor:
    """Like for like: features come normalised."""
    return info_nce(a, b, temperature=TEMPERATURE, similarity="dot")


VARIANTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], bool]] = {
    "naive float32": (naive, False),
    "naive bfloat16": (naive, True),
    "bouba float32": (tiled, False),
    "bouba bfloat16": (tiled, True),
}
"""Name -> the loss, and whether under autocast."""
TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "info_nce, cosine": lambda a, b: info_nce(a, b, temperature=0.07),
    "info_nce, keys": lambda a, b: info_nce(a, b, key=torch.arange(len(a), device=a.device) // 2),
    "info_nce, euclidean": lambda a, b: info_nce(a, b, similarity="euclidean", temperature=0.07),
    "nt_xent": lambda a, b: nt_xent(a, b),
    "supervised_contrastive": lambda a, b: supervised_contrastive(a, torch.arange(len(a), device=a.device) % 100),
    "sigmoid_pairs": lambda a, b: sigmoid_pairs(a, b),
    "mmd, five kernels": lambda a, b: mmd(a, b, kernel="multi"),
}


def measure(
    device: str,
    dim: int,
    repeats: int,
    *,
    sizes: Sequence[int] = SIZES,
    rows_of_terms: int = ROWS_OF_TERMS,
    rows_of_errors: int = ROWS_OF_ERRORS,
) -> dict[str, Any]:
    """Figures of every variant at every size, of every term at one, and of every variant's error.

    Raises:
        UsageError: no such device here.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda, and torch sees no CUDA device here; leave it out to measure on the CPU")
    with trusted():
        return {
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "dim": dim,
            "repeats": repeats,
            "batches": {
                str(rows): {name: _cost(*variant, device, rows, dim, repeats) for name, variant in VARIANTS.items()}
                for rows in sizes
            },
            "rows_of_terms": rows_of_terms,
            "terms": {
                name: {
                    precision: _cost(loss, mixed, device, rows_of_terms, dim, repeats)
                    for precision, mixed in (("float32", False), ("bfloat16", True))
                }
                for name, loss in TERMS.items()
            },
            "rows_of_errors": rows_of_errors,
            "errors": _errors(device, rows_of_errors, dim),
        }


def tables(figures: dict[str, Any]) -> dict[str, Table]:
    """ "variants": a step of each at each size; "terms": of the others; "errors": how far off each is."""
    note = f"{figures['device']}, {figures['dim']} numbers a row, medians of {figures['repeats']} steps."
    header = ["rows", "variant", "ms", f"ratio to {REFERENCE}", "MB above the inputs"]
    lines = []
    for rows, variants in figures["batches"].items():
        base = variants[REFERENCE]["ms"]
        for name, cost in variants.items():
            ratio = cost["ms"] / base if cost["ms"] and base else None
            lines.append([f"{int(rows):,}", name, *map(cost_text, (cost["ms"], ratio, cost["mb"]))])
    of_terms = [
        [name, *(cost_text(cost[unit]) for cost in of.values() for unit in ("ms", "mb"))]
        for name, of in figures["terms"].items()
    ]
    of_errors = [[name, *(f"{x:.1e}" for x in error.values())] for name, error in figures["errors"].items()]
    return {
        "variants": Table(header, lines, note=note),
        "terms": Table(
            ["term", "float32: ms", "MB", "bfloat16: ms", "MB"],
            of_terms,
            note=f"Batches of {figures['rows_of_terms']:,} rows.",
        ),
        "errors": Table(
            ["variant", "loss off by", "gradient off by"],
            of_errors,
            note=f"Against float64, {figures['rows_of_errors']:,} rows: differences relative to the whole (norms).",
        ),
    }


def _sides(device: str, rows: int, dim: int, mix: float = 0.5) -> tuple[Tensor, Tensor]:
    """Two leaves (rows, dim) of unit rows; the smaller `mix`, the harder to tell partners from strangers."""
    draw = torch.Generator(device).manual_seed(0)
    a = torch.randn(rows, dim, device=device, generator=draw)
    b = mix * a + torch.randn(rows, dim, device=device, generator=draw)
    return F.normalize(a, dim=1).requires_grad_(), F.normalize(b, dim=1).requires_grad_()


def _step(loss, mixed: bool, a: Tensor, b: Tensor) -> Tensor:
    a.grad = b.grad = None
    with torch.autocast(a.device.type, torch.bfloat16, enabled=mixed):
        value = loss(a, b)
    value.backward()
    return value


def _cost(loss, mixed: bool, device: str, rows: int, dim: int, repeats: int) -> dict[str, float | None]:
    """Milliseconds and MB of a step; None where it does not fit, and of a CPU's memory, which `info-nce` measures."""
    a, b = _sides(device, rows, dim)
    if device != "cuda":
        _step(loss, mixed, a, b)
        return {"ms": 1000 * statistics.median(_wall(loss, mixed, a, b) for _ in range(repeats)), "mb": None}
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    try:
        for _ in range(2):
            _step(loss, mixed, a, b)
        spent = []
        for _ in range(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in "12")
            start.record()
            _step(loss, mixed, a, b)
            end.record()
            torch.cuda.synchronize()
            spent.append(start.elapsed_time(end))
    except torch.cuda.OutOfMemoryError:
        return {"ms": None, "mb": None}
    return {"ms": statistics.median(spent), "mb": (torch.cuda.max_memory_allocated() - held) / 2**20}


def _wall(loss, mixed: bool, a: Tensor, b: Tensor) -> float:
    start = time.perf_counter()
    _step(loss, mixed, a, b)
    return time.perf_counter() - start


def _errors(device: str, rows: int, dim: int) -> dict[str, dict[str, float]]:
    """Variant -> how far its loss and its gradient are off, relative to both."""
    a, b = _sides(device, rows, dim, mix=0.12)
    doubles = [x.detach().double().requires_grad_() for x in (a, b)]
    exact = _step(naive, False, *doubles)
    gradient = torch.cat([x.grad for x in doubles])  # type: ignore[misc]
    errors = {}
    for name, (loss, mixed) in VARIANTS.items():
        value = _step(loss, mixed, a, b)
        ours = torch.cat([a.grad, b.grad]).double()  # type: ignore[list-item]
        errors[name] = {
            "loss": abs(value.item() / exact.item() - 1),
            "gradient": ((ours - gradient).norm() / gradient.norm()).item(),
        }
    return errors
