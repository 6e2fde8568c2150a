"""bouba explain: what each view of a row contributed to what is predicted."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.cli import reading
from bouba.cli.predict import SHOWN, refuse_silent, unreadable
from bouba.data.views import Views
from bouba.errors import UsageError

CARDS = 12  # rows on a page


def command(
    run: Annotated[Path, typer.Argument(help="A run folder or model folder.")],
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    row: Annotated[int | None, typer.Option(help="Explain this row only, by its number in the table.")] = None,
    label: Annotated[str | None, typer.Option(help="Which label; each of them when not said.")] = None,
    of: Annotated[str, typer.Option(help='Which class: "predicted", "truth", or one by name.')] = "predicted",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=f"Also write a page (HTML): the first {CARDS} rows, their pixels and words."),
    ] = None,
    strict: reading.Strict = False,
    as_json: reading.Json = False,
) -> None:
    """Shapley values: the points of probability (or of a number) that each view added, row by row and on average."""
    from bouba.fuse import explain
    from bouba.learner import load

    model = load(run)
    refuse_silent(model)
    views = reading.read_for(model, run, table, {}, strict=strict)
    if row is not None:
        if row not in views.rows:
            raise UsageError(f"no row {row} that can be read; there are rows {views.rows[0]} to {views.rows[-1]}")
        views = views[np.flatnonzero(views.rows == row)]
    labels = [label] if label is not None else list(model.outputs(views[:1]))
    found = {name: explain(model, views, label=name, of=of) for name in labels}
    if out is not None:
        _write(out, model, views, found)
    if as_json:
        typer.echo(json.dumps([record for name in found for record in _records(name, found[name])], ensure_ascii=False))
        return
    for line in unreadable(views):
        sys.stderr.write(f"{line}\n")
    typer.echo("\n\n".join(_page(name, explanation) for name, explanation in found.items()))


def _write(out: Path, model: Any, views: Views, found: Mapping[str, Any]) -> None:
    """A page of the averages and the first rows; pixels and words where Captum is installed."""
    from bouba import report
    from bouba.report.predictions import averages, cases

    which = "The row" if len(views) == 1 else f"The first {min(CARDS, len(views))} rows"
    judged = [
        report.Judged(label, "", cases=cases(model, views[:CARDS], label), which=which, **averages(explanation))
        for label, explanation in found.items()
    ]
    notes = [] if importlib.util.find_spec("captum") else ["Pixels and words need Captum: pip install 'bouba[explain]'"]
    names = " and ".join(found)
    report.write(report.Report(f"What each view said about {names}", judged=judged, notes=notes), out)
    sys.stderr.write(f"page: {out}\n")


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
    """Up to SHOWN rows, then the averages."""
    header = ["row", label, "without any", *explanation.views, "with all"]
    lines = []
    for record in _records(label, explanation)[:SHOWN]:
        shares = [f"{record['values'][v]:+.3g}" if v in record["values"] else "" for v in explanation.views]
        answer = "" if record["answer"] is None else str(record["answer"])
        lines.append([str(record["row"]), answer, f"{record['base']:.3g}", *shares, f"{record['whole']:.3g}"])
    more = [f"and {len(explanation) - SHOWN:,} more; --json gives all of them"] if len(explanation) > SHOWN else []
    return "\n".join([reading.table_lines([header, *lines]), *more, "", explanation.format()])
