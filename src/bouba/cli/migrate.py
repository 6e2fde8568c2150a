"""bouba migrate: another encoder for a run, without encoding its rows again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli.options import Json, takes_device
from bouba.cli.printing import to_stderr
from bouba.errors import UsageError


@takes_device
def command(
    run: Annotated[Path, typer.Argument(help="A run folder; with --refine one that was migrated.")],
    towers: Annotated[list[str] | None, typer.Option(help="As in fit: names of encoders, or packaged.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder to write.")] = None,
    table: Annotated[Path | None, typer.Option(help="Its table, where that lies elsewhere now.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows that old and new encoders both read.")] = 1200,
    refine: Annotated[int | None, typer.Option(min=1, help="Encode so many more rows of a migrated run anew.")] = None,
    as_json: Json = False,
) -> None:
    """Move the index of a run into the space of new encoders by a map, learnt on some hundred rows."""
    from bouba.runs.migrating import migrate
    from bouba.runs.migrating import refine as refined
    from bouba.runs.run import Run

    opened = Run.open(run)
    if refine is not None:
        left = refined(opened, table=table, rows=refine, say=to_stderr)
        typer.echo(json.dumps({"left": left}) if as_json else f"{left:,} rows are left that were only moved")
        return
    if not towers or out is None:
        raise UsageError("name the new encoders and the new run: bouba migrate RUN --towers NAME -o FOLDER")
    migration = migrate(opened, out, towers=towers, table=table, rows=rows, say=to_stderr)
    if as_json:
        typer.echo(
            json.dumps({"run": str(out), "rows": migration.rows, "kept": migration.kept, "recall": migration.recall})
        )
        return
    typer.echo("\n".join([*migration.lines(), f'bouba search {out} "..."', f"bouba migrate {out} --refine 1000"]))
