"""bouba push: put a run on the Hugging Face hub."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr


def command(
    run: options.Run,
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="Where it goes; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Only you can see it, where it is made.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch; main if not said.")] = None,
    index: Annotated[
        bool, typer.Option("--index", help="Also the index, for search: captions, columns and file paths of every row.")
    ] = False,
    report: Annotated[bool, typer.Option(help="The report, which shows pictures and captions of some rows.")] = True,
    license: Annotated[str | None, typer.Option(help="Of the model, as the hub names it: apache-2.0.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and send nothing.")] = False,
    as_json: options.Json = False,
) -> None:
    """Put model, card, numbers and report on the hub; then anyone who may can open hf://USER/NAME."""
    from bouba.runs.run import Run

    pushed = Run.open(run).push(
        name,
        private=private,
        revision=revision,
        index=index,
        report=report,
        license=license,
        dry_run=dry_run,
        say=(lambda line: None) if as_json else to_stderr,
    )
    if as_json:
        typer.echo(json.dumps(vars(pushed), ensure_ascii=False))
        return
    sent = f"{pushed.url}\nopen it: {pushed.address}"
    typer.echo(f"would go to {pushed.address}; nothing was sent" if dry_run else sent)
