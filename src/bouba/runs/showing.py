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
    lines += [f"translate: bouba translate {path} TABLE --to VIEW -o FOLDER"] * model.generates
    indexed = (path / "index").exists()
    lines += [f"search: bouba search {path} {query}"] * bool(query and indexed)
    return lines + [f"serve: bouba serve {path}"] * indexed


def summary_of(run: Any) -> str:
    """What a Run's report opens with: whether a baseline is ahead, how often it is right, of how many; '' where nothing
    was measured."""
    from bouba.report.headline import summary
    from bouba.runs.methods import wording

    if run.result is None:
        return ""
    records, contest = _contest(run)
    names = dict.fromkeys([run.name, *(record["method"] for record in records)])
    return summary(records, _target(run), wording(names), contest)


def advice_of(run: Any) -> str:
    """Whether a Run's model is good enough, and what would help most; '' where nothing was measured."""
    from bouba.report.advice import advice
    from bouba.runs.reporting_again import evidence_of

    if run.result is None:
        return ""
    records, contest = _contest(run)
    return advice(records, contest, evidence_of(run), target=_target(run))


def _contest(run: Any) -> tuple[list[dict[str, Any]], Any]:
    """The records of a Run, and who is ahead in them."""
    from bouba.report.contest import Contest
    from bouba.runs.methods import instead_of

    records = [vars(record) for record in run.result]
    return records, Contest(run.name, run.differences, instead_of(record["method"] for record in records))


def overview_of(run: Any, result: Any, rest: str) -> str:
    """The numbers that matter of a Result, of those that a Run was measured by where it is None; '' without any."""
    from bouba.report.overview import overview

    result = run.result if result is None else result
    return "" if result is None else overview([vars(each) for each in result], run.name, target=_target(run), rest=rest)


def _target(run: Any) -> str | None:
    """The domain that a Run adapts to."""
    from bouba.data.target import name_of

    target = run.recipe.get("fit", {}).get("target")
    return None if target is None else name_of(target)


def as_html(run: Any) -> str:
    """What a Run is and the numbers that are best known, as HTML tables."""
    title = run.name if run.method is None else f"{run.method.title} ({run.method.name})"
    views = ", ".join(f"{view} ({kind})" for view, kind in run.model.kinds_.items())
    facts = {"run": str(run.path), "method": title, "views": views, "cells not read": str(len(run.bad_rows))}
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    numbers = run.numbers()
    return f"<table>{rows}</table>{'' if numbers is None else numbers._repr_html_()}"
