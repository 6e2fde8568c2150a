"""bouba embed: the rows of tables into the index of a run, or as vectors in a file of Parquet or a table of Lance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import bad_row_lines, to_stderr
from bouba.errors import UsageError

if TYPE_CHECKING:
    from bouba.runs.run import Run

Say = Callable[[str], None]


@options.takes_device
def command(
    run: options.Run,
    table: Annotated[
        list[str] | None,
        typer.Argument(help=f"{options.TABLE} Or several files, or a folder of Parquet files, of rows of their own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write vectors there instead: NAME.parquet, or a Lance table NAME.lance."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="A table of rows that leave the index; one of ids alone will do.")
    ] = None,
    sync: Annotated[bool, typer.Option("--sync", help="Rows of the index that the table lacks leave, too.")] = False,
    id: Annotated[
        str | None, typer.Option("--id", help="The column that names rows, with a value of its own in each.")
    ] = None,
    engine: options.Engine = "local",
    workers: options.Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file or table of vectors.")] = False,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Put the rows of a table into the index of a run, where search finds them; with -o write their vectors to a file.
    What the index holds already is not encoded again. The same command goes on where one was cut off."""
    from bouba.runs.run import Run

    if out is None and overwrite:
        raise UsageError("--overwrite replaces a file of vectors; say which: -o NAME.parquet, or -o NAME.lance")
    if out is not None and (remove or sync or id):
        raise UsageError("--remove, --sync and --id change the index; leave -o out")
    if out is not None and not table:
        raise UsageError("name the table whose rows are embedded: bouba embed RUN TABLE -o NAME.parquet")
    say = (lambda line: None) if as_json else to_stderr
    given: dict[str, Any] = {"engine": engine, "workers": workers, "strict": strict or None, "say": say}
    opened = Run.open(run)
    if out is not None:
        _to_file(opened, table, out, as_json, overwrite=overwrite, **given)
    else:
        _to_index(opened, table or None, as_json, remove=remove or None, sync=sync, id=id, **given)


def _to_file(run: Run, table: Any, out: Path, as_json: bool, **given: Any) -> None:
    """Write vectors, and say how many."""
    from bouba.runs.processes import process_number

    done = run.embed(table, out=out, **given)
    if process_number() > 0:  # the first process answers
        return
    if as_json:
        facts = {"out": str(out), "rows": done.rows, "bad_rows": done.bad_rows}
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for line in bad_row_lines(done.bad_rows):
        to_stderr(line)
    typer.echo(f"{done.rows:,} rows: {out}")


def _to_index(run: Run, table: Any, as_json: bool, **given: Any) -> None:
    """Change the index, and say what was changed."""
    done = run.add(table, **given)
    if as_json:
        typer.echo(json.dumps(vars(done), ensure_ascii=False, default=str))
        return
    for line in [*bad_row_lines(done.bad_rows), *done.remarks]:
        to_stderr(line)
    counts = ("added", "replaced", "removed", "unchanged")
    said = ", ".join(f"{getattr(done, name):,} {name}" for name in counts if getattr(done, name)) or "nothing to do"
    typer.echo(f"{said}; {run.path} has {done.rows:,} rows, version {done.version}")
