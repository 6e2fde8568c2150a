"""bouba soup: one model of the averaged weights of several runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr


@options.takes_device
def command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, two or more, made alike but for their settings.")],
    table: Annotated[list[str], typer.Option("--on", help="Rows that choose, which no run was trained on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Average the weights of runs (model soups): from the best run on, each next best goes in if the average does not
    get worse with it. The new run finds the rows that chose."""
    from bouba.runs.run import Run
    from bouba.runs.soups import write_soup

    say = (lambda line: None) if as_json else to_stderr
    opened = [Run.open(run) for run in runs]
    mixed = write_soup(opened, table, out, named={"strict": strict or None}, say=say)
    chosen = [str(runs[place]) for place in mixed.chosen]
    if as_json:
        scores = dict(zip(map(str, runs), mixed.scores, strict=True))
        facts = {"run": str(out), "chosen": chosen, "scores": scores, "score": mixed.score}
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for run, score in zip(runs, mixed.scores, strict=True):
        typer.echo(f"{score:.4f}  {run}{'' if str(run) in chosen else ', left out'}")
    typer.echo(f"{mixed.score:.4f}  {out}, of {len(chosen)} of them, on the rows that chose; judge it on others:")
    typer.echo(f"bouba evaluate {out} TABLE")
