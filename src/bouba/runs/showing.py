"""A run in a few lines: what can be done with it, and what it is, for a terminal and a notebook."""

from __future__ import annotations

from html import escape
from typing import Any


def commands_of(run: Any) -> list[str]:
    """What can be done with a Run on the command line, a line each."""
    model, path = run.model, run.path
    kinds = {model.kinds_[view] for view in model.searchable}
    query = "WORDS" if "text" in kinds else "--image FILE" if "image" in kinds else None
    lines = [f"report: {path / 'report.html'}"] * (path / "report.html").exists()
    lines += [f"predict: bouba predict {path} TABLE"] * model.predicts
    lines += [f"translate: bouba translate {path} TABLE -o FOLDER"] * model.translates
    return lines + ([f"search: bouba search {path} {query}"] if query and (path / "index").exists() else [])


def as_html(run: Any) -> str:
    """What a Run is and the numbers that are best known, as HTML tables."""
    title = run.name if run.method is None else f"{run.method.title} ({run.method.name})"
    views = ", ".join(f"{view} ({kind})" for view, kind in run.model.kinds_.items())
    facts = {"run": str(run.path), "method": title, "views": views, "cells not read": str(len(run.bad_rows))}
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    numbers = run.numbers()
    return f"<table>{rows}</table>{'' if numbers is None else numbers._repr_html_()}"
