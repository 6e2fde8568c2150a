"""bouba adapt: a run suits new rows without labels, without the rows it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr
from bouba.runs.settings import option_of, refuse_out_of_range


@options.takes_device
def command(
    run: options.Run,
    table: options.Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    epochs: Annotated[int, typer.Option(help="Passes over the new rows.")] = 10,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-4,
    random_state: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Adapt a run that predicts classes to rows of another place. No label is read, and no row that the run was made
    of; the new run finds the new rows."""
    from bouba.runs.run import Run

    settings: dict[str, Any] = {"epochs": epochs, "lr": lr, "random_state": random_state}
    refuse_out_of_range(settings, option_of)
    say = (lambda line: None) if as_json else to_stderr
    adapted = Run.open(run).adapt(table, out=out, say=say, strict=strict or None, **settings)
    if as_json:
        facts = {"run": str(out), "rows": adapted.rows, "told": adapted.told, "changed": adapted.changed}
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    typer.echo("\n".join([*adapted.lines(), f"bouba predict {out} TABLE"]))
