"""A progress bar over epochs, on the terminal's error stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(label: str, epochs: int) -> Iterator[Callable[[dict], None]]:
    """A callback that takes one history row an epoch; shows the loss and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:
        task = progress.add_task(label, total=epochs)

        def advance(row: dict) -> None:
            losses = " ".join(f"{name} {row[name]:.3f}" for name in ("loss", "validation") if name in row)
            progress.update(task, completed=row["epoch"], description=f"{label} {losses}")

        yield advance
