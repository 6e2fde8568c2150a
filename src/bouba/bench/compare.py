"""bouba bench compare: two measurements beside each other, number by number, and the ratio of each.

Files as `bouba bench NAME --out FILE` writes them, or two folders of such files. Numbers are matched by what they are
of: method, part, direction, metric and seed of a record, the place of a figure. CPU-seconds and memory come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.bench.kept import Kept
from bouba.errors import DataError, UsageError
from bouba.evaluation import Result
from bouba.evaluation.table import Table

LABELS = ("domain", "split", "direction", "method", "metric")


def command(
    old: Annotated[Path, typer.Argument(help="A file of `bouba bench NAME --out FILE`, or a folder of them.")],
    new: Annotated[Path, typer.Argument(help="The same, measured later or elsewhere.")],
    least: Annotated[float, typer.Option(help="Show only what differs by this share or more.")] = 0.0,
) -> None:
    """Old and new numbers, and new over old."""
    pairs = list(_pairs(old, new))
    if not pairs:
        raise UsageError(f"{old} and {new} have no file of one name; both are folders of what benches wrote, or files")
    parts = [compared(Kept.read(a), Kept.read(b), least) for a, b in pairs]
    typer.echo("\n\n".join(f"{a.stem}\n{table.text()}" for (a, _), table in zip(pairs, parts, strict=True)))


def _pairs(old: Path, new: Path) -> Iterator[tuple[Path, Path]]:
    """Files of one name."""
    if not old.is_dir():
        yield old, new
        return
    for file in sorted(old.glob("*.json")):
        if (new / file.name).exists():
            yield file, new / file.name


def compared(old: Kept, new: Kept, least: float = 0.0) -> Table:
    """One line a number that both have. Records of several seeds count as their mean.

    Raises:
        DataError: they are of different benches.
    """
    if old.bench != new.bench:
        raise DataError(f"one is of `bouba bench {old.bench}`, the other of `bouba bench {new.bench}`")
    before, after = numbers(old), numbers(new)
    lines = []
    for name in [name for name in before if name in after]:
        ratio = after[name] / before[name] if before[name] else np.nan
        if abs(ratio - 1) >= least or np.isnan(ratio):
            lines.append([name, f"{before[name]:.4g}", f"{after[name]:.4g}", f"{ratio:.3f}"])
    note = [f"{len(set(before) ^ set(after))} numbers are in one of both only."] if set(before) ^ set(after) else []
    if (data := (old.environment.get("data"), new.environment.get("data")))[0] != data[1]:
        note.append("They were measured on different data.")
    if old.command != new.command:
        note.append(f"`{old.command}` against `{new.command}`.")
    return Table(["number", "old", "new", "new / old"], lines, note=" ".join(note))


def numbers(kept: Kept) -> dict[str, float]:
    """What each number is of -> the number."""
    cost = {"CPU-seconds": kept.cpu_seconds, "peak MB": float(kept.peak_mb)}
    if not isinstance(kept.measured, Result):
        return cost | dict(_figures(kept.measured, ""))
    values: dict[str, list[float]] = {}
    for record in kept.measured:
        name = ", ".join(text for label in LABELS if (text := str(getattr(record, label))))
        values.setdefault(name, []).append(record.value)
    return cost | {name: float(np.mean(of_seeds)) for name, of_seeds in values.items()}


def _figures(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _figures(part, f"{name}, {key}" if name else str(key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _figures(part, f"{name}, {place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
