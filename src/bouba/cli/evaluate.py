"""bouba evaluate: judge a model on rows it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import reading
from bouba.cli.recipe import load_recipe
from bouba.errors import ModalityError


def command(
    run: Annotated[Path, typer.Argument(help="A run folder or model folder.")],
    table: Annotated[
        list[str], typer.Argument(help="Held-out rows: CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")
    ],
    image: reading.Image = None,
    text: reading.Text = None,
    vector: reading.Vector = None,
    label: reading.Label = None,
    domain: reading.Domain = None,
    key: reading.Key = None,
    ignore: reading.Ignore = None,
    strict: reading.Strict = False,
    template: Annotated[
        list[str] | None, typer.Option(help="Sentence for zero-shot classes, {} for the name; repeat for several.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the records to this JSON file.")] = None,
    as_json: reading.Json = False,
) -> None:
    """Retrieval in every direction and zero-shot accuracy, with intervals and chance."""
    from bouba.evaluation import evaluate
    from bouba.learner import load

    model = load(run)
    said = load_recipe(run / "recipe.toml").get("read", {}) if (run / "recipe.toml").exists() else {}
    asked = {
        "image": image,
        "text": text,
        "vector": vector,
        "label": label,
        "domain": domain,
        "key": key,
        "ignore": ignore,
    }
    views = reading.read_table(table, said | {k: v for k, v in asked.items() if v not in (None, [])}, strict=strict)
    there = [name for name in views.columns if name in model.kinds_]
    if not there:
        raise ModalityError(
            f"the model has {', '.join(model.kinds_)}, the table {', '.join(views.columns)}; name columns or files as "
            "they were named in training"
        )
    known = views.select(*there)
    result = evaluate(model, known, method=type(model).__name__.lower(), split="test", templates=template or ["{}"])
    if out is not None:
        result.to_json(out)
    if as_json:
        typer.echo(json.dumps([vars(record) for record in result], ensure_ascii=False))
        return
    typer.echo(result.format(rows=("domain", "direction")))
