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
        typer.echo(json.dumps([{**vars(m), "needs": m.needs} for m in METHODS.values()], ensure_ascii=False))
        return
    table = [["method", "needs", "use it when"], *([m.name, m.needs, m.use_when] for m in METHODS.values())]
    if not markdown:
        typer.echo(text_columns(table))
        return
    lines = [table[0], ["---"] * 3, *([f"`{name}`", *cells] for name, *cells in table[1:])]
    typer.echo("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
