"""bouba evaluate: judge a model on rows it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import reading
from bouba.errors import DataError


def command(
    run: Annotated[Path, typer.Argument(help="A run folder or model folder.")],
    table: Annotated[
        list[str], typer.Argument(help="Held-out rows: CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")
    ],
    image: reading.Image = None,
    text: reading.Text = None,
    audio: reading.Audio = None,
    video: reading.Video = None,
    vector: reading.Vector = None,
    mixed: reading.Mixed = None,
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
    """Retrieval in every direction, classes, and what is predicted, with intervals and chance."""
    from bouba.cli.translation import judged_again
    from bouba.evaluation import evaluate, predicts
    from bouba.learner import load
    from bouba.transfer import Translator

    model = load(run)
    asked = {
        "image": image,
        "text": text,
        "audio": audio,
        "video": video,
        "vector": vector,
        "table": mixed,
        "label": label,
        "domain": domain,
        "key": key,
        "ignore": ignore,
    }
    views = reading.read_for(model, run, table, asked, strict=strict)
    if isinstance(model, Translator):
        result = judged_again(model, run, views)
    else:
        name = type(model).__name__.lower()
        result = evaluate(model, views, method=name, split="test", templates=template or ["{}"])
    if not len(result) and predicts(model):
        raise DataError(f"no row has a label that the model predicts; the table has {views}; name it with --label")
    if out is not None:
        result.to_json(out)
    if as_json:
        typer.echo(json.dumps([vars(record) for record in result], ensure_ascii=False))
        return
    typer.echo(result.format(rows=("domain", "direction")))
