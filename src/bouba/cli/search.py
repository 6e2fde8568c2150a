"""bouba search: find rows by a sentence or a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli.index import FUSED, fuses
from bouba.cli.reading import Json, table_lines
from bouba.data.views import Views
from bouba.errors import ModalityError, UsageError, nearest


def command(
    run: Annotated[Path, typer.Argument(help="A run folder written by bouba fit or bouba demo.")],
    words: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option("--image", help="Look for what resembles this picture.")] = None,
    domain: Annotated[str | None, typer.Option(help="The domain the picture comes from, if known.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many to show.")] = 10,
    view: Annotated[str | None, typer.Option(help="Which view to search; those of another kind by default.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Keep rows where a column has a value: NAME=VALUE.")] = None,
    where: Annotated[str | None, typer.Option(help="Keep rows that fit an SQL condition over the columns.")] = None,
    as_json: Json = False,
) -> None:
    """Find the rows that fit a sentence or a picture. Where a model fuses views: rows like one that has only these."""
    from bouba.learner import load
    from bouba.search import Index

    if (words is None) == (image is None):
        raise UsageError("say what to look for: words, or --image FILE")
    model, index = load(run), Index.open(run / "index")
    name, query = _query(model, words, image, domain)
    equals = dict(_equality(said, index.columns) for said in column or [])
    views = (view or FUSED,) if fuses(model) else _where(model, name, view, index.views)
    vector = model.fuse(query)[0] if fuses(model) else model.embed(query)[name][0]
    hits = [hit for v in views for hit in index.search(vector, k=k, view=v, where=where, equals=equals)]
    hits = sorted(hits, key=lambda hit: (-hit.score, hit.row))[:k]
    if as_json:
        typer.echo(json.dumps([vars(hit) for hit in hits], ensure_ascii=False, default=str))
        return
    shown = _worth_showing(index.columns)
    rows = [["score", "row", "view", *shown, "path"]]
    for hit in hits:
        cells = [str(hit.columns.get(c) or "")[:40] for c in shown]
        rows.append([f"{hit.score:.3f}", str(hit.row), hit.view, *cells, hit.path or ""])
    typer.echo(table_lines(rows) if hits else "nothing fits these filters")


def _where(model: Any, name: str, view: str | None, indexed: tuple[str, ...]) -> tuple[str, ...]:
    """The views in which a query of view `name` is looked for: `view`, else those of another kind, else the others."""
    if not getattr(model, "aligns", True):
        if view not in (None, name):
            raise UsageError(f"this model learnt {name!r} by itself and cannot find {view!r} by it; fit one with clip")
        return (name,)
    if view is not None:
        return (view,)
    kind = model.kinds_[name]
    others = tuple(v for v in indexed if model.kinds_[v] != kind)
    return others or tuple(v for v in indexed if v != name) or indexed


def _query(model: Any, words: str | None, image: Path | None, domain: str | None) -> tuple[str, Views]:
    """The view a query belongs to, and the query as Views of one row.

    Raises:
        ModalityError: the model has no view of the query's kind.
    """
    from bouba.data.read import read

    if words is not None:
        name = model.text_view(words)
        return name, Views({name: [words]}, kinds={name: "text"})
    name = next((view for view, kind in model.kinds_.items() if kind == "image"), None)
    if name is None:
        kinds = ", ".join(f"{view} ({kind})" for view, kind in model.kinds_.items())
        raise ModalityError(f"the model reads no pictures; it has {kinds}")
    read({name: [str(image)]}, image=name, strict=True)  # one clear line for a file that is no picture
    domains = model.codes_.domains if hasattr(model, "codes_") else ()
    if domain is not None and domain not in domains:
        raise UsageError(f"no domain {domain!r}{nearest(domain, domains)}")
    return name, Views({name: [str(image)]}, kinds={name: "image"}, domain=None if domain is None else [domain])


def _equality(said: str, columns: Any) -> tuple[str, str]:
    name, equal, value = said.partition("=")
    if not equal:
        raise UsageError(f"--column takes NAME=VALUE, got {said!r}; there is {', '.join(columns)}")
    return name, value


def _worth_showing(columns: Any) -> list[str]:
    """Up to four columns: names and labels before codes."""
    dull = ("key", "group")
    return [name for name in columns if name not in dull][:4] or list(columns)[:4]
