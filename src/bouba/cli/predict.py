"""bouba predict: labels for the rows of a table, from whichever views each row has."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.cli import reading
from bouba.data.views import Views
from bouba.errors import UsageError

SHOWN = 20  # rows in the terminal


def command(
    run: Annotated[Path, typer.Argument(help="A run folder or model folder.")],
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write all rows to this CSV file.")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also the probability of every class.")] = False,
    level: Annotated[float, typer.Option(help="Probability with which an interval of a number holds the truth.")] = 0.9,
    strict: reading.Strict = False,
    as_json: reading.Json = False,
) -> None:
    """Predict labels for the rows of a table. Its columns are named as in training; a row may lack any of them."""
    from bouba.learner import load

    model = load(run)
    refuse_silent(model)
    views = reading.read_for(model, run, table, {}, strict=strict)
    found = predictions(model, views, proba=proba, level=level)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(_as_csv(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"rows": found, "bad_rows": views.bad_rows}, ensure_ascii=False))
        return
    for line in unreadable(views):
        sys.stderr.write(f"{line}\n")
    if out is not None:
        typer.echo(f"{len(found):,} rows: {out}")
        return
    shown = [[_told(cell) for cell in row.values()] for row in found[:SHOWN]]
    typer.echo(reading.table_lines([list(found[0]), *shown]))
    if len(found) > SHOWN:
        typer.echo(f"and {len(found) - SHOWN:,} more; -o FILE.csv writes all of them")


def refuse_silent(model: Any) -> None:
    """UsageError for a model that predicts no label."""
    from bouba.evaluation import predicts

    if not predicts(model):
        raise UsageError(
            f"this {type(model).__name__} predicts no label; fit one that does: "
            "bouba fit TABLE --method classifier --label COLUMN -o RUN"
        )


def predictions(model: Any, views: Views, *, proba: bool = False, level: float = 0.9) -> list[dict[str, Any]]:
    """One record a row: its number; for each label the guess with its probability, or with the ends of its interval;
    and the views that were there."""
    columns: dict[str, Any] = {"row": views.rows.tolist()}
    for label, values in model.outputs(views).items():
        if values.ndim == 2:
            columns[label] = values[:, 0].astype(float).tolist()
            ends = _interval(model, views, label, level)
            columns |= (
                {} if ends is None else {f"{label}_low": ends[:, 0].tolist(), f"{label}_high": ends[:, 1].tolist()}
            )
            continue
        p, classes = np.exp(values[:, 0].astype(float)), model.classes(label).tolist()
        columns[label] = [classes[place] for place in p.argmax(1)]
        columns[f"{label}_probability"] = p.max(1).tolist()
        columns |= {f"{label}={name}": p[:, i].tolist() for i, name in enumerate(classes)} if proba else {}
    there = views.present
    columns["views"] = [" + ".join(name for name in there if there[name][row]) or "none" for row in range(len(views))]
    return [dict(zip(columns, cells)) for cells in zip(*columns.values())]


def _interval(model: Any, views: Views, label: str, level: float) -> np.ndarray | None:
    """The ends (n, 2) that hold the truth; None where too few rows were held out to say."""
    if not hasattr(model, "predict_interval"):
        return None
    try:
        return model.predict_interval(views, label=label, level=level)
    except UsageError as error:
        sys.stderr.write(f"no interval: {error}\n")
        return None


def unreadable(views: Views, most: int = 10) -> list[str]:
    """What a person should know of cells that could not be read."""
    bad = views.bad_rows
    lines = [f"{len(bad)} cells or rows cannot be read:"] if bad else []
    lines += [
        f"  row {b['row']}" + (f", {b['column']}" if b["column"] else "") + f": {b['reason']}" for b in bad[:most]
    ]
    return lines + ([f"  and {len(bad) - most} more"] if len(bad) > most else [])


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _told(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
