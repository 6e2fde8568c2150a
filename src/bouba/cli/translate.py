"""bouba translate: make the view of rows that a translator has learnt, from the one that it is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bouba.cli import reading
from bouba.cli.predict import unreadable
from bouba.errors import DataError, UsageError


def command(
    run: Annotated[Path, typer.Argument(help="A run folder or model folder.")],
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder: ROW.png, ROW-DRAW.png of several, ROW.npy.")],
    draws: Annotated[int, typer.Option("-n", help="How many to make for each row.")] = 1,
    random_state: Annotated[int, typer.Option("--seed", help="Seed of what is drawn.")] = 0,
    strict: reading.Strict = False,
    as_json: reading.Json = False,
) -> None:
    """Make pictures or numbers for the rows of a table. Its columns are named as in training."""
    from bouba.learner import load
    from bouba.transfer import Translator

    model = load(run)
    if not isinstance(model, Translator):
        raise UsageError(
            f"this {type(model).__name__} makes no view from another; fit one that does: "
            "bouba fit TABLE --method gan -o RUN"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists; choose another -o")
    views = reading.read_for(model, run, table, {}, strict=strict)
    source = model.source_
    there = views.present[source] if source in views.columns else np.ones(len(views), bool)  # translate says it
    if not there.any():
        raise DataError(f"no row of the table has {source!r}, which the model is told")
    made = model.translate(views[np.flatnonzero(there)], draws, random_state=random_state)
    out.mkdir(parents=True, exist_ok=True)
    files = [file for row, items in zip(views.rows[there], made) for file in _written(out, int(row), items)]
    if as_json:
        typer.echo(json.dumps({"files": files, "bad_rows": views.bad_rows}, ensure_ascii=False))
        return
    for line in unreadable(views):
        sys.stderr.write(f"{line}\n")
    if not there.all():
        sys.stderr.write(f"{int((~there).sum()):,} rows lack {source}: nothing is made for them\n")
    typer.echo(f"{len(files):,} files: {out}")


def _written(out: Path, row: int, items: Any) -> Iterator[dict[str, Any]]:
    """One row's pictures, a file each, or its numbers (n, width) in one file."""
    from PIL import Image

    if items.ndim == 2:
        np.save(out / f"{row}.npy", items)
        yield {"row": row, "file": f"{row}.npy"}
        return
    for draw, picture in enumerate(items):
        name = f"{row}.png" if len(items) == 1 else f"{row}-{draw}.png"
        Image.fromarray(picture).save(out / name)
        yield {"row": row, "file": name}
