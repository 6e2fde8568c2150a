"""bouba predict: labels for the rows of a table, from whichever views each row has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import text_columns, warn_of_bad_rows
from bouba.data.formats.spreadsheet import as_csv

if TYPE_CHECKING:
    from bouba.runs.zero_shot import Classified

ROWS = 20  # in the terminal
Classes = Annotated[
    list[str] | None, typer.Option("--classes", help="Names of classes, with commas between, or a file of them.")
]


@options.takes_device
def command(
    run: options.Run,
    table: options.Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write all rows to this CSV file.")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also the probability of every class.")] = False,
    level: Annotated[float, typer.Option(help="Probability with which an interval of a number holds the truth.")] = 0.9,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write text as it is, also where a spreadsheet would run it as a formula.")
    ] = False,
    classes: Classes = None,
    label: Annotated[str | None, typer.Option(help="With or for --classes: column of what is true, judged.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Sentence around a class, {} for its name; repeat, or a file of them.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="Which view shows a class, where several could.")] = None,
    top: Annotated[int, typer.Option(help="Classes a row, of --classes.")] = 1,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Predict labels for the rows of a table. Its columns are named as in training; a row may lack any of them.

    With --classes, or --label of a run that was taught no label, classes are named in words (zero-shot)."""
    from bouba.data.tables import refuse_absent
    from bouba.runs.run import Run
    from bouba.runs.settings import LEVEL, refuse_outside

    refuse_outside(LEVEL, level, "--level")
    opened = Run.open(run)
    refuse_absent(table)  # before the model is loaded
    found: Classified | None = None
    if classes or label:
        from bouba.runs.zero_shot import names_in, templates_in

        views = opened.read(table, strict=strict, **({"label": label} if label else {}))
        prompts = templates_in(template or ["{}"])
        found = opened.classify(views, names_in(classes or []), label=label, templates=prompts, view=view, top=top)
        records = found.records
    else:
        opened.refuse_unless("predicts")
        views = opened.read(table, strict=strict)
        records = opened.predict(views, proba=proba, level=level)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(as_csv(records, raw=raw), encoding="utf-8", newline="")
    if as_json:
        judged = {} if found is None else _as_json(found)
        typer.echo(json.dumps({"rows": records, "bad_rows": views.bad_rows, **judged}, ensure_ascii=False))
        return
    warn_of_bad_rows(views)
    if found is not None:
        _show_accuracy(found)
    if out is not None:
        typer.echo(f"{len(records):,} rows: {out}")
        return
    typer.echo(text_columns([list(records[0]), *([_text(c) for c in row.values()] for row in records[:ROWS])]))
    if len(records) > ROWS:
        typer.echo(f"and {len(records) - ROWS:,} more; -o FILE.csv writes all of them")


def _as_json(found: Classified) -> dict[str, Any]:
    """What else there is to say of named classes."""
    result = [] if found.result is None else [vars(record) for record in found.result]
    return {"classes": found.classes, "view": found.view, "result": result, "unnamed": found.unnamed}


def _show_accuracy(found: Classified) -> None:
    """How many rows whose label is known got it."""
    for record in found.result or ():
        ends = "" if record.low is None else f" [{100 * record.low:.1f}, {100 * (record.high or 0):.1f}]"
        typer.echo(
            f"{record.metric} of {record.direction}: {100 * record.value:.1f}%{ends} of {record.n:,} rows, "
            f"by chance {100 * (record.chance or 0):.1f}%"
        )
    if found.unnamed:
        typer.echo(f"not judged, as no class is called so: {', '.join(found.unnamed[:10])}", err=True)


def _text(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
