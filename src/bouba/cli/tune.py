"""bouba tune: search for what suits a table, and fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.fit import AllowDuplicates, show
from bouba.cli.printing import to_stderr
from bouba.runs.methods import METHODS
from bouba.runs.recipe import HOLDOUT
from bouba.runs.settings import option_of, refuse_out_of_range
from bouba.runs.tuning.tune import tune


@options.takes_device
@options.names_columns
def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    table: options.TableOrNone = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"Search among these only; may be repeated; by the table if not said: {', '.join(METHODS)}."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="For all trials and the fit of the best; its report comes on top.")
    ] = 10.0,
    cpu_minutes: Annotated[
        float | None, typer.Option("--cpu-minutes", help="The same of the processor, instead of --minutes.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="How many at most.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file: what it says is not searched.")] = None,
    towers: Annotated[
        list[str] | None, typer.Option(help="As of bouba fit; encoders are searched if not said.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Domain whose labels, captions and pairings stay hidden.")] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            help=f"Share of the things that no trial sees and that is judged at the end; {HOLDOUT} if not said."
        ),
    ] = None,
    allow_duplicates: AllowDuplicates = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the table; searched if not said.")] = None,
    dim: Annotated[int | None, typer.Option(help="Width of the shared space; searched if not said.")] = None,
    random_state: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Also train the baseline of the best.")
    ] = True,
    *,
    columns: options.Columns,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search that was cut off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    as_json: options.Json = False,
) -> None:
    """Search for the method and settings that suit a table, and write the run folder of the best."""
    numbers: dict[str, Any] = {"epochs": epochs, "dim": dim, "random_state": random_state}
    refuse_out_of_range(numbers | {"holdout": holdout}, option_of)
    run = tune(
        table or None,
        out=out,
        methods=method,
        minutes=minutes,
        cpu_minutes=cpu_minutes,
        trials=trials,
        recipe=recipe,
        read=columns | {"strict": columns["strict"] or None},
        target=target,
        holdout=holdout,
        allow_duplicates=allow_duplicates,
        towers=towers or None,
        baseline=baseline,
        resume=resume,
        overwrite=overwrite,
        verbose=not as_json,
        say=(lambda line: None) if as_json else to_stderr,
        **numbers,
    )
    show(run, as_json)
