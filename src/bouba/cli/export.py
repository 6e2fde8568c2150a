"""bouba export: a run for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import to_stderr
from bouba.errors import UsageError


@options.takes_device
def command(
    run: options.Run,
    *,
    embeddings: Annotated[
        Path | None, typer.Option(help="Write rows with columns, vectors, x and y to this file: NAME.parquet.")
    ] = None,
    numpy: Annotated[Path | None, typer.Option(help="Write an array of each view, and rows.csv, to a folder.")] = None,
    missing: Annotated[
        str, typer.Option(help="With --numpy: nan or zeros, what stands where a row lacks a view.")
    ] = "nan",
    onnx: Annotated[Path | None, typer.Option(help="Write each tower as ONNX to a folder.")] = None,
    atlas: Annotated[bool, typer.Option("--atlas", help="Show the rows by embedding-atlas, if installed.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what --embeddings or --numpy names.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write the vectors, columns and map of a run's rows, or its towers, for programs without bouba."""
    from bouba.runs.exporting import atlas_program
    from bouba.runs.run import Run

    if not (embeddings or numpy or onnx or atlas):
        raise UsageError("say what to write: --embeddings FILE.parquet, --numpy FOLDER, --onnx FOLDER or --atlas")
    if atlas:
        atlas_program()  # refused before anything is written
    opened = Run.open(run)
    done: dict[str, Any] = {}
    lines: list[str] = []
    if numpy is not None:
        arrays = done["numpy"] = opened.export_numpy(numpy, missing=missing, overwrite=overwrite)
        lines.append(f"{arrays.rows:,} rows, {arrays.dim} numbers a view, missing cells are {missing}: {numpy}")
    if onnx is not None:
        towers = done["onnx"] = opened.export_onnx(onnx)
        lines += [f"{', '.join(towers.views)}: {onnx}", *(f"{name}: {why}" for name, why in towers.left_out.items())]
    if embeddings is not None and not atlas:
        rows = done["embeddings"] = opened.export_embeddings(embeddings, overwrite=overwrite)
        lines.append(f"{rows.rows:,} rows, {rows.dim} numbers a view: {embeddings}")
    if as_json:
        typer.echo(json.dumps({name: vars(one) for name, one in done.items()}, ensure_ascii=False, default=str))
    else:
        typer.echo("\n".join(lines), nl=bool(lines))
    if atlas:
        opened.open_atlas(embeddings, overwrite=overwrite, say=to_stderr)
