"""bouba methods: what --method takes, and which when."""

from __future__ import annotations

import json

import typer

from bouba.cli.options import Json
from bouba.cli.printing import text_columns
from bouba.runs.methods import METHODS


def command(as_json: Json = False) -> None:
    """The table of methods: name, what it needs of a table, and when to use it."""
    if as_json:
        rows = [{**vars(method), "needs": method.needs} for method in METHODS.values()]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    header = ["method", "needs", "use it when"]
    typer.echo(text_columns([header, *([m.name, m.needs, m.use_when] for m in METHODS.values())]))
