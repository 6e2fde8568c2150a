"""bouba search: find rows by a sentence, a picture, a sound or a clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bouba.cli.index import FUSED, fuses
from bouba.cli.reading import Json, table_lines
from bouba.data.views import Views
from bouba.errors import ModalityError, UsageError, nearest

PLURAL = {"image": "pictures", "audio": "sounds", "video": "clips"}


def command(
    run: Annotated[Path, typer.Argument(help="A run folder written by bouba fit or bouba demo.")],
    words: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option("--image", help="Look for what resembles this picture.")] = None,
    audio: Annotated[Path | None, typer.Option("--audio", help="Look for what goes with this sound.")] = None,
    video: Annotated[Path | None, typer.Option("--video", help="Look for what goes with this clip.")] = None,
    domain: Annotated[str | None, typer.Option(help="The domain the file comes from, if known.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many to show.")] = 10,
    view: Annotated[str | None, typer.Option(help="Which view to search; those of another kind by default.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Keep rows where a column has a value: NAME=VALUE.")] = None,
    where: Annotated[str | None, typer.Option(help="Keep rows that fit an SQL condition over the columns.")] = None,
    as_json: Json = False,
) -> None:
    """Find the rows that fit a sentence or a file. Where a model fuses views: rows like one that has only these."""
    from bouba.learner import load
    from bouba.search import Index

    files = {kind: f for kind, f in (("image", image), ("audio", audio), ("video", video)) if f is not None}
    if len(files) + (words is not None) != 1:
        raise UsageError("say what to look for, one thing: words, --image FILE, --audio FILE or --video FILE")
    model, index = load(run), Index.open(run / "index")
    name, query = _words(model, words) if words is not None else _file(model, *files.popitem(), domain)
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


def _words(model: Any, words: str) -> tuple[str, Views]:
    """The view of texts, and the query as Views of one row."""
    name = model.text_view(words)
    return name, Views({name: [words]}, kinds={name: "text"})


def _file(model: Any, kind: str, path: Path, domain: str | None) -> tuple[str, Views]:
    """The first view of that kind, and the file as Views of one row.

    Raises:
        ModalityError: the model has no view of that kind.
    """
    from bouba.data.read import read

    name = next((view for view, known in model.kinds_.items() if known == kind), None)
    if name is None:
        has = ", ".join(f"{view} ({known})" for view, known in model.kinds_.items())
        raise ModalityError(f"the model reads no {PLURAL[kind]}; it has {has}")
    read({name: [str(path)]}, **{kind: name}, strict=True)  # one clear line for a file that cannot be read
    domains = model.codes_.domains if hasattr(model, "codes_") else ()
    if domain is not None and domain not in domains:
        raise UsageError(f"no domain {domain!r}{nearest(domain, domains)}")
    return name, Views({name: [str(path)]}, kinds={name: kind}, domain=None if domain is None else [domain])


def _equality(said: str, columns: Any) -> tuple[str, str]:
    name, equal, value = said.partition("=")
    if not equal:
        raise UsageError(f"--column takes NAME=VALUE, got {said!r}; there is {', '.join(columns)}")
    return name, value


def _worth_showing(columns: Any) -> list[str]:
    """Up to four columns: names and labels before codes."""
    dull = ("key", "group")
    return [name for name in columns if name not in dull][:4] or list(columns)[:4]
