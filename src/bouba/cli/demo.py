"""bouba demo: a picture found by a word, in a drawing style for which nobody ever wrote a caption."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from bouba.cli.options import takes_device
from bouba.cli.printing import to_stderr


@takes_device
def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder; an older demo there is replaced.")] = Path(
        "runs/demo"
    ),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the cut and of the training.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes of CLIP and CLIP + DANN over the captioned drawings.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every number, in a wide table.")] = False,
) -> None:
    """Align pictures and words of the built-in emoji, measure it, and write runs/demo: an index and a report."""
    from bouba.bench.demo import make_demo
    from bouba.runs.run import Run
    from bouba.runs.stages import time_spent

    result, clock = make_demo(out, seed=seed, epochs=epochs, say=to_stderr)
    run = Run.open(out)
    directions = ["en->image", "zh->image", "image->en", "image"]
    shown = result.where(metric=["recall@10", "group_accuracy"], direction=directions)
    for text in filter(None, (run.advice(), run.summary())):
        typer.echo(f"{fill(text, 100)}\n")
    if everything:
        typer.echo(result.format(rows=("split", "direction", "method")))
    else:
        typer.echo(run.overview(shown, rest=f"--all, or {out / 'metrics.json'}"))
    typer.echo(f"\n{fill(time_spent(clock.spent), 100)}\n\nreport: {out / 'report.html'}")
    typer.echo(f'search: bouba search {out} "snowman"      bouba search {out} "火车"')
    typer.echo(f"serve: bouba serve {out}")
