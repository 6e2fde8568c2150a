"""bouba methods: what --method takes, and which when."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bouba.cli.options import Json
from bouba.cli.printing import text_columns
from bouba.runs.methods import METHODS


def command(
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A table for a document.")] = False,
) -> None:
    """The table of methods: name, what it needs of a table, and when to use it."""
    if as_json:
        rows = [{**vars(method), "needs": method.needs} for method in METHODS.values()]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    rows = [["method", "needs", "use it when"], *([m.name, m.needs, m.use_when] for m in METHODS.values())]
    if markdown:
        rows = [rows[0], ["---"] * len(rows[0]), *([f"`{name}`", *cells] for name, *cells in rows[1:])]
    typer.echo("\n".join(f"| {' | '.join(row)} |" for row in rows) if markdown else text_columns(rows))
