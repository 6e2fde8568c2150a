"""bouba fit: train on a table, write a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr
from bouba.runs.methods import METHODS
from bouba.runs.processes import process_number
from bouba.runs.recipe import FUSIONS, HOLDOUT
from bouba.runs.run import Run
from bouba.runs.settings import option_of, refuse_out_of_range

AllowDuplicates = Annotated[
    bool | None,
    typer.Option(
        "--allow-duplicates/--group-duplicates",
        help="Whether near-duplicates may stand in training and among what is judged; kept together if not said.",
    ),
]
By = Annotated[str | None, typer.Option(help="How head-adapter adapts; by what it finds best if not said.")]


@options.takes_device
@options.names_columns
def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    table: options.TableOrNone = None,
    method: Annotated[str | None, typer.Option(help=f"{', '.join(METHODS)} (with a recipe).")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file; options overrule it.")] = None,
    towers: Annotated[
        list[str] | None,
        typer.Option(
            help="scratch, packaged, or names of encoders (bouba encoders); by the number of rows if not said."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Domain whose labels, captions and pairings stay hidden.")] = None,
    by: By = None,
    source: Annotated[str | None, typer.Option("--from", help="The view that gan and flow are told.")] = None,
    made: Annotated[str | None, typer.Option("--to", help="The view that they make: pictures or numbers.")] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help=f"Share of the things kept out of training and judged at the end; {HOLDOUT} if not said."),
    ] = None,
    allow_duplicates: AllowDuplicates = None,
    validation: Annotated[float | None, typer.Option(help="Share kept out to choose the best epoch.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the table.")] = None,
    dim: Annotated[int | None, typer.Option(help="Width of the shared space.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    ridge: Annotated[
        float | None, typer.Option(help="Shrinkage of covariances, for correlation methods; 0.1 suits few rows.")
    ] = None,
    fusion: Annotated[
        str | None,
        typer.Option(help=f"How views become one vector: {', '.join(FUSIONS)}; views are hidden at random."),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline", help="Also train the baseline of a model that predicts or translates."
        ),
    ] = True,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without improvement.")] = None,
    ema: Annotated[float | None, typer.Option(help="Keep a moving average of weights of this decay, as 0.99.")] = None,
    random_state: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    *,
    columns: options.Columns,
    engine: options.Engine = "local",
    workers: options.Workers = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was cut off, or with more --epochs.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train on a table and write a run folder."""
    numbers: dict[str, Any] = {"epochs": epochs, "dim": dim, "batch_size": batch_size, "lr": lr, "ridge": ridge}
    numbers |= {"patience": patience, "ema": ema, "random_state": random_state, "by": by}
    shares: dict[str, Any] = {"validation": validation, "holdout": holdout}
    refuse_out_of_range(numbers | shares, option_of)
    run = Run.fit(
        table or None,
        out=out,
        method=method,
        recipe=recipe,
        read=columns | {"strict": columns["strict"] or None},  # without --strict a recipe decides
        target=target,
        **shares,
        allow_duplicates=allow_duplicates,
        translate=(source, made),
        fusion=fusion,
        towers=towers or None,
        baseline=baseline,
        engine=engine,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        verbose=not as_json,
        say=(lambda line: None) if as_json else to_stderr,
        **numbers,
    )
    if process_number() == 0:  # the first process answers
        show(run, as_json)


def show(run: Run, as_json: bool) -> None:
    """The numbers of a run, what to know before them, and what can be done with it."""
    if as_json:
        facts = {"run": str(run.path), "rows": run.facts["rows"], "bad_rows": len(run.bad_rows)}
        typer.echo(json.dumps(facts | {"caution": run.caution}, ensure_ascii=False))
        return
    for text in filter(None, (run.advice(), run.summary())):
        typer.echo(f"{fill(text, 100)}\n")
    if run.result is not None:
        typer.echo(run.overview(rest=f"{run.path / 'metrics.json'}") + "\n")
    if run.caution:
        typer.echo(f"{fill(run.caution, 100)}\n")
    typer.echo("\n".join(run.commands()))
