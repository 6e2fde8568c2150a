"""bouba index: what the index of a run holds, its earlier versions, and going back to one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from bouba.cli import options
from bouba.cli.printing import text_columns
from bouba.errors import UsageError


def command(
    run: options.Run,
    as_list: Annotated[bool, typer.Option("--list", help="What it holds: rows, cells, columns, bytes.")] = False,
    versions: Annotated[bool, typer.Option("--versions", help="Its versions: when, and what was done.")] = False,
    restore: Annotated[int | None, typer.Option(help="Make the index what it was in this version.")] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Let earlier versions go, and free their disk.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show what the index of a run holds, or its versions; go back to one; let the earlier ones go."""
    from bouba.runs.run import Run

    if sum((as_list, versions, restore is not None, compact)) > 1:
        raise UsageError("say one of --list, --versions, --restore N and --compact")
    opened = Run.open(run)
    facts: Any
    if versions:
        listed = opened.index.versions()[::-1]
        facts = [asdict(each) for each in listed]
        rows = [[str(each.number), each.date, each.counted, each.change or ""] for each in listed]
        text = text_columns([["version", "written", "rows", "change"], *rows])
    elif restore is not None:
        opened.restore(restore)
        facts = {"restored": restore, "number": opened.index.version, "rows": opened.index.rows}
        text = f"version {restore} restored: {opened.index.rows:,} rows, as version {opened.index.version}"
    elif compact:
        facts = {"freed_bytes": opened.compact(), "number": opened.index.version}
        text = f"{facts['freed_bytes'] / 1e6:,.1f} MB freed"
    else:
        held = opened.holding()
        facts, text = asdict(held), text_columns(held.lines())
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)
