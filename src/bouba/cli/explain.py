"""bouba explain: what each view of a row contributed to what is predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.predict import ROWS
from bouba.cli.printing import text_columns, to_stderr, warn_of_bad_rows


@options.takes_device
def command(
    run: options.Run,
    table: options.Table,
    row: Annotated[int | None, typer.Option(help="Explain this row only, by its number in the table.")] = None,
    label: Annotated[str | None, typer.Option(help="Which label; each of them when not said.")] = None,
    of: Annotated[str, typer.Option(help='Which class: "predicted", "truth", or one by name.')] = "predicted",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Also write a page (HTML): the first 12 rows, their pixels and words."),
    ] = None,
    strict: options.Strict = False,
    as_json: options.Json = False,
) -> None:
    """Shapley values: the points of probability (or of a number) that each view added, row by row and on average."""
    from bouba.data.tables import refuse_absent
    from bouba.runs.run import Run

    opened = Run.open(run)
    refuse_absent(table)  # before the model is loaded
    opened.refuse_unless("predicts")
    views = opened.read(table, strict=strict)
    explained = opened.explain(views, row=row, label=label, of=of, page=out)
    if out is not None:
        to_stderr(f"page: {out}")
    if as_json:
        records = [record for name in explained for record in _records(name, explained[name])]
        typer.echo(json.dumps(records, ensure_ascii=False))
        return
    warn_of_bad_rows(views)
    typer.echo("\n\n".join(_page(name, explanation) for name, explanation in explained.items()))


def _records(label: str, explanation: Any) -> list[dict[str, Any]]:
    """One record a row: what is explained, without any view, with all, and what each view added."""
    return [
        {
            "row": int(explanation.rows[place]),
            "label": label,
            "what": explanation.what,
            "answer": None if explanation.answers is None else explanation.answers.tolist()[place],
            "base": float(explanation.base[place]),
            "whole": float(explanation.whole[place]),
            "values": explanation.row(place),
        }
        for place in range(len(explanation))
    ]


def _page(label: str, explanation: Any) -> str:
    """Up to ROWS rows, then the averages."""
    header = ["row", label, "without any", *explanation.views, "with all"]
    lines = []
    for record in _records(label, explanation)[:ROWS]:
        shares = [f"{record['values'][v]:+.3g}" if v in record["values"] else "" for v in explanation.views]
        answer = "" if record["answer"] is None else str(record["answer"])
        lines.append([str(record["row"]), answer, f"{record['base']:.3g}", *shares, f"{record['whole']:.3g}"])
    more = [f"and {len(explanation) - ROWS:,} more; --json gives all of them"] if len(explanation) > ROWS else []
    return "\n".join([text_columns([header, *lines]), *more, "", explanation.format()])
