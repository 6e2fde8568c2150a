"""bouba search: find rows by words, a picture, a sound or a clip, or several of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bouba.cli.options import Files, Json, names_files, takes_device
from bouba.cli.printing import text_columns
from bouba.data.characters import file_text, same_name
from bouba.errors import UsageError

if TYPE_CHECKING:
    from bouba.search import Hit, Index

CODES = ("key", "group")  # columns that say little to a person


@takes_device
@names_files
def command(
    run: Annotated[Path, typer.Argument(help="A run folder written by bouba fit or bouba demo.")],
    words: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    *,
    files: Files,
    minus: Annotated[list[str] | None, typer.Option(help="Words that hits should not fit; may be repeated.")] = None,
    domain: Annotated[str | None, typer.Option(help="The domain the file comes from, if known.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many to show.")] = 10,
    view: Annotated[str | None, typer.Option(help="Search this view alone; all that a row has by default.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Keep rows where a column has a value: NAME=VALUE.")] = None,
    where: Annotated[str | None, typer.Option(help="Keep rows that fit an SQL condition over the columns.")] = None,
    sure: Annotated[
        float | None, typer.Option(help="Find all rows of a set that holds what is meant with this probability: 0.9.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the rows that fit words, a file, or both. Where a model fuses views: rows like one that has only these."""
    from bouba.runs.run import Run

    query = {kind: cell for kind, cell in {"text": words, **files}.items() if cell is not None}
    if not query:
        *first, last = (f"--{kind} FILE" for kind in files)
        raise UsageError(f"say what to look for: words, {', '.join(first)} or {last}, or several of them")
    opened = Run.open(run)
    equals = dict(_equality(condition, opened.index) for condition in column or [])
    hits = opened.search(query, minus=minus, k=k, view=view, where=where, equals=equals, domain=domain, sure=sure)
    if as_json:
        listed = [vars(hit) | {"path": hit.path and file_text(hit.path)} for hit in hits]
        typer.echo(json.dumps(listed, ensure_ascii=False, default=str))
        for remark in hits.remarks:
            typer.echo(remark, err=True)
        return
    names = [name for name in opened.filters() if name not in CODES] or opened.filters()
    lines = [text_columns(_rows(hits[:k], names[:4]))] if hits else []
    if sure is not None:
        more = f"; the best {k} are shown, -k shows more" if len(hits) > k else ""
        lines.append(f"{len(hits):,} rows in a set that holds what is meant with probability {sure:g}{more}")
    typer.echo("\n".join([*lines, *hits.remarks]) or "nothing fits these filters")


def _rows(hits: Sequence[Hit], names: Sequence[str]) -> list[list[str]]:
    """A header, and a line a hit."""
    rows = [["score", "sure", "row", "way", *names, "path"]]
    for hit in hits:
        values = [hit.columns.get(name) for name in names]
        cells = ["" if value is None else str(value)[:40] for value in values]
        confidence = "" if hit.confidence is None else f"{hit.confidence:.0%}"
        rows.append([f"{hit.score:.3f}", confidence, str(hit.row), hit.way or "", *cells, file_text(hit.path or "")])
    if all(hit.confidence is None for hit in hits):
        rows = [[score, *rest] for score, _, *rest in rows]
    return rows


def _equality(condition: str, index: Index) -> tuple[str, Any]:
    """NAME=VALUE, of a name that may hold "=" itself."""
    name, equal, value = condition.partition("=")
    if not equal:
        raise UsageError(f"--column takes NAME=VALUE, got {condition!r}; there is {', '.join(index.columns)}")
    longer = (other for other in sorted(index.columns, key=len, reverse=True) if condition.startswith(f"{other}="))
    name = next(longer, same_name(name, index.columns))
    return name, index.parsed(name, condition[len(name) + 1 :] if condition.startswith(f"{name}=") else value)
