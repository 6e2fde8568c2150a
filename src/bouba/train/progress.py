"""Progress over epochs, on the error stream: a bar in a terminal or notebook, lines where the stream is kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 5.0
"""Seconds between two lines at least."""


@contextmanager
def progress_bar(label: str, epochs: int) -> Iterator[Callable[[dict], None]]:
    """A callback that takes one history row an epoch; shows the loss and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield _lines(label, epochs)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task(label, total=epochs)

        def advance(row: dict) -> None:
            progress.update(task, completed=row["epoch"], description=f"{label} {_losses(row)}")

        yield advance


def _lines(label: str, epochs: int) -> Callable[[dict], None]:
    """A line for the first epoch, for the last, and for one every some seconds."""
    began: tuple[float, int] | None = None  # when, and after which epoch
    last = 0.0

    def advance(row: dict) -> None:
        nonlocal began, last
        now, epoch = time.monotonic(), row["epoch"]
        if began is not None and epoch < epochs and now - last < PAUSE:
            return
        began, last = began or (now, epoch), now
        speed = (epoch - began[1]) / (now - began[0]) if now > began[0] else 0
        left = f", about {(epochs - epoch) / speed:.0f} s left" if speed and epoch < epochs else ""
        sys.stderr.write(f"{label}: epoch {epoch} of {epochs} {_losses(row)}{left}\n")

    return advance


def _losses(row: dict) -> str:
    return " ".join(f"{name} {row[name]:.3f}" for name in ("loss", "validation") if name in row)
