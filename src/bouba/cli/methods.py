"""bouba methods: what --method takes, and which when."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bouba.cli.options import Json
from bouba.cli.printing import text_columns
from bouba.runs.methods import METHODS

PLAIN = (str, bool, int, tuple)


def command(
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A table for a document.")] = False,
) -> None:
    """The table of methods: name, what it needs of a table, and when to use it."""
    if as_json:
        plain = [{name: v for name, v in vars(m).items() if isinstance(v, PLAIN)} for m in METHODS.values()]
        rows = [{**facts, "needs": m.needs} for facts, m in zip(plain, METHODS.values(), strict=True)]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = [["method", "needs", "use it when"], *([m.name, m.needs, m.use_when] for m in METHODS.values())]
    if not markdown:
        typer.echo(text_columns(table))
        return
    lines = [table[0], ["---"] * 3, *([f"`{name}`", *cells] for name, *cells in table[1:])]
    typer.echo("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
