"""bouba search: find rows by words, a picture, a sound or a clip, by rows like them, or several of these."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bouba.cli.hits import table
from bouba.cli.options import Files, Json, names_files, names_files_to_avoid, takes_device
from bouba.cli.printing import to_stderr
from bouba.data.characters import same_name
from bouba.errors import UsageError

if TYPE_CHECKING:
    from bouba.runs.hit_records import Answer
    from bouba.runs.run import Run
    from bouba.search import Index


@takes_device
@names_files_to_avoid
@names_files
def command(
    run: Annotated[Path, typer.Argument(help="A run folder written by bouba fit or bouba demo.")],
    words: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    *,
    files: Files,
    like: Annotated[list[int] | None, typer.Option(help="A row that hits should be like; may be repeated.")] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="Search for each line of a .txt, or row of a table with a column question or text."),
    ] = None,
    minus: Annotated[list[str] | None, typer.Option(help="Words that hits should not fit; may be repeated.")] = None,
    minus_files: dict[str, list[Path] | None],
    domain: Annotated[str | None, typer.Option(help="The domain the file comes from, if known.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many to show.")] = 10,
    view: Annotated[str | None, typer.Option(help="Search this view alone; all that a row has by default.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Keep rows where a column has a value: NAME=VALUE.")] = None,
    where: Annotated[str | None, typer.Option(help="Keep rows that fit an SQL condition over the columns.")] = None,
    sure: Annotated[float | None, typer.Option(help="Find a set that holds what is meant so probably: 0.9.")] = None,
    width: Annotated[int | None, typer.Option(help="Compare the first so many numbers only (Nested).")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write all hits to this file: .csv, .parquet or .jsonl.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write text as it is, also where a spreadsheet would run it as a formula.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the rows that fit words, a file, or both. Where a model fuses views: rows like one that has only these."""
    from bouba.runs.hit_records import Answer, records, write
    from bouba.runs.questions import questions_of
    from bouba.runs.record_files import refuse
    from bouba.runs.run import Run

    query = {kind: cell for kind, cell in {"text": words, **files}.items() if cell is not None}
    _refuse_unclear(query or like, questions, files)
    refuse(out, overwrite=overwrite)
    texts, empty = ({}, 0) if questions is None else questions_of(questions)
    opened = Run.open(run)
    equals = dict(_equality(condition, opened.index) for condition in column or [])
    away = [*(minus or []), *({kind: file} for kind, given in minus_files.items() for file in given or [])]
    narrowed: dict[str, Any] = {"view": view, "where": where, "equals": equals, "domain": domain}
    options = {"minus": away, "k": k, "width": width, **narrowed}
    if questions is None:
        answers = [Answer(opened.search(query or None, like=like, sure=sure, **options))]
    else:
        found = opened.search_many([{"text": text} for text in texts.values()], sure=sure, **options)
        answers = [Answer(hits, *of) for hits, of in zip(found, texts.items(), strict=True)]
    remarks = [f"rows of {questions} without a question, left out: {empty:,}"] if empty else []
    remarks += [remark for answer in answers for remark in answer.remarks]
    if not any(answer.hits for answer in answers):
        remarks.append(_nothing(column, where))
    if out is not None:
        write(opened, listed := records(opened, answers), out, questions=questions is not None, raw=raw)
    if as_json:
        typer.echo(json.dumps(records(opened, answers), ensure_ascii=False, default=str))
    elif out is not None:
        typer.echo(f"{len(listed):,} hits: {out}")
    else:
        typer.echo("\n".join([*_lines(opened, answers, k, sure), *remarks]))
        return
    for remark in remarks:
        to_stderr(remark)


def _lines(run: Run, answers: Sequence[Answer], k: int, sure: float | None) -> list[str]:
    """The hits in a table, and how many there are of a set."""
    from bouba.runs.hit_records import records

    listed = records(run, [answer.best(k) for answer in answers])
    lines = [table(run, listed)] if listed else []
    for answer in answers if sure is not None else ():
        more = f"; the best {k} are shown, -k shows more" if len(answer.hits) > k else ""
        begin = "" if answer.number is None else f"question {answer.number}: "
        count = f"{begin}{len(answer.hits):,} rows"
        lines.append(f"{count} in a set that holds what is meant with probability {sure:g}{more}")
    return lines


def _nothing(column: Sequence[str] | None, where: str | None) -> str:
    """Why there is no hit."""
    filters = [*(f"--column {each}" for each in column or []), *([] if where is None else [f"--where {where}"])]
    return f"no row fits {' and '.join(filters)}; leave one out" if filters else "there is no row to find"


def _refuse_unclear(query: Any, questions: Path | None, files: Files) -> None:
    """UsageError where nothing is looked for, or two things at once."""
    if query and questions is not None:
        raise UsageError("--questions holds what to look for; leave out words, files and --like")
    if not query and questions is None:
        kinds = ", ".join(f"--{kind} FILE" for kind in files)
        raise UsageError(f"say what to look for: words, {kinds}, --like ROW or --questions FILE, or several of them")


def _equality(condition: str, index: Index) -> tuple[str, Any]:
    """NAME=VALUE, of a name that may hold "=" itself."""
    name, equal, value = condition.partition("=")
    if not equal:
        raise UsageError(f"--column takes NAME=VALUE, got {condition!r}; there is {', '.join(index.columns)}")
    longer = (other for other in sorted(index.columns, key=len, reverse=True) if condition.startswith(f"{other}="))
    name = next(longer, same_name(name, index.columns))
    return name, index.parsed(name, condition[len(name) + 1 :] if condition.startswith(f"{name}=") else value)
