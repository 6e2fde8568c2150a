"""bouba demo: a picture found by a word, in a drawing style for which nobody ever wrote a caption."""

from __future__ import annotations

from pathlib import Path
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
) -> None:
    """Align pictures and words of the built-in emoji, measure it, and write runs/demo: an index and a report."""
    from bouba.bench.demo import make_demo

    result, clock = make_demo(out, seed=seed, epochs=epochs, say=to_stderr)
    best = result.where(
        metric=["recall@10", "group_accuracy"], direction=["en->image", "zh->image", "image->en", "image"]
    )
    typer.echo(best.format(rows=("split", "direction", "method")))
    typer.echo(f"\n{clock}\n\nreport: {out / 'report.html'}")
    typer.echo(f'search: bouba search {out} "snowman"      bouba search {out} "火车"')
