"""The report of a finished run made again: of the rows that it was made of, or of what its folder keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bouba import durable
from bouba.adapt import Diagnosis
from bouba.adapt.diagnostics import Shift
from bouba.data.target import name_of
from bouba.data.views import Views
from bouba.errors import BoubaError, UsageError
from bouba.evaluation.differences import Difference
from bouba.files import read_json
from bouba.report.advice import Evidence
from bouba.report.content import Try
from bouba.runs.adaptation import Adaptation
from bouba.runs.duplicates import held_out_again
from bouba.runs.reporting import Story, counted, notes_of, report_on, shown_tries, write_report
from bouba.runs.translation import paired_rows

FILE = "report.json"
AS_MEASURED = "the numbers, how methods differ and what scores are worth are as they were when it was made"


@dataclass(frozen=True)
class Rows:
    """The rows that a run was made of, read again; held_out is None where none were."""

    views: Views
    held_out: Views | None


def keep(folder: Path, story: Story) -> None:
    """Keep in the folder of a run what only its report tells."""
    evidence = story.evidence
    facts = {
        "remarks": notes_of(story),
        "pairs": evidence.pairs,
        "half": [asdict(one) for one in evidence.half],
        "seen": list(evidence.seen),
        "seconds": {stage: round(spent, 3) for stage, spent in story.seconds.items()},
    }
    durable.write_text(folder / FILE, json.dumps(facts, ensure_ascii=False, indent=1))


def evidence_of(run: Any) -> Evidence:
    """What a Run kept that says what would help it; little for one that was made before any was kept."""
    kept = run._place.read(_kept)
    half = [Difference(**one) for one in kept.get("half", [])]
    solved = run.method is not None and run.method.solved
    return Evidence(kept.get("pairs", 0), solved, half, kept.get("seen", []), run.history)


def _kept(folder: Path) -> dict[str, Any]:
    return read_json(folder / FILE) if (folder / FILE).exists() else {}


def report_again(run: Any, table: Any, out: Any, named: Mapping[str, Any]) -> Path:
    """Write the report of a Run again: with its rows where they can be read, else of what is kept.

    Args:
        table: where its rows are now; that which it was made of, if None. With other rows it is a report on these.
        out: a file; that of the run, if None. named: as in `Run.read`.

    Raises:
        UsageError: without its rows, and without `out`, a page that shows more would be replaced; no method's model; a
            model by itself, without a table.
    """
    if run.method is None:
        raise UsageError(f"{run.path} is no run of a method, and has no report; bouba fit makes one")
    if table is None and not run.facts:
        raise UsageError(f"{run.path} is a model by itself, without rows and numbers to show; give the table too")
    rows = rows_of(run, table, named)
    if isinstance(rows, str) and table is not None:
        return report_on(run, table, out, named)
    own = run.path / "report.html"
    if isinstance(rows, str) and out is None and own.exists():
        raise UsageError(
            f"{rows}, and a page without its rows would lack what was found, the map and the data; name the table: "
            f"bouba report {run.path} TABLE, or say -o FILE to write what is kept"
        )
    return write_report(_story(run, rows), own if out is None else Path(out))


def rows_of(run: Any, table: Any, named: Mapping[str, Any]) -> Rows | str:
    """The rows that a Run was made of, read from a table, or from where they were; else why not, in words."""
    table = run.facts.get("table") if table is None else table
    if table is None:
        return f"{run.path} does not know which table it was made of"
    try:
        views = run.read(table, **named)
        if run.model.translates:
            views, _ = paired_rows(views, run.model.source_, run.model.target_)
    except BoubaError as error:
        return f"the table of {run.path} cannot be read again ({error})"
    if len(views) != run.facts.get("rows"):
        return f"the table of {run.path} has other rows by now"
    held_out = held_out_again(run.path, views)
    if held_out is None and run.result is not None:
        return f"{run.path} does not know which rows it held out, or their cells have changed"
    own = [view for view in views.columns if view in run.model.kinds_]
    return Rows(views.select(*own), None if held_out is None else held_out.select(*own))


def _story(run: Any, rows: Rows | str) -> Story:
    """What the page tells: measured when the run was made, and shown of the rows where they are at hand."""
    target = run.recipe.get("fit", {}).get("target")
    story = Story(
        run.method,
        run.model,
        None,
        None,
        run.result,
        remarks=_remarks(run, rows),
        adaptation=Adaptation(None if target is None else name_of(target), run._place.read(_diagnosis)),
        certainty=run.certainty,
        differences=run.differences,
        caution=run.caution,
        tries=_tries(run),
        serve=f"bouba serve {run.path}" if (run.path / "index").exists() else "",
        history=run.history,
        evidence=evidence_of(run),
        study=run.study,
        facts=counted(run.facts, run._place.read(_kept).get("seconds", {})),
    )
    if isinstance(rows, str):
        kinds = [(view, str(kind)) for view, kind in run.model.kinds_.items()]
        rows_of_table = [("rows", f"{run.facts['rows']:,}")] if "rows" in run.facts else []
        return replace(story, facts=[*rows_of_table, *kinds, *story.facts])
    return replace(story, views=rows.views, held_out=rows.held_out)


def _remarks(run: Any, rows: Rows | str) -> list[str]:
    """The notes of the first report, and what is as it was, or lacking, in this one."""
    if isinstance(rows, str):
        how = (
            f"This page was made of what the run keeps, because {rows}: {AS_MEASURED}, and what shows rows is left out."
        )
    else:
        how = f"This page was made again with the rows of the run: {AS_MEASURED}."
    if run.model.translates:
        how += " What baselines make, and what was made as training went, is not kept and left out."
    return [*run._place.read(_kept).get("remarks", []), how]


def _tries(run: Any) -> list[Try]:
    return shown_tries(run, run.path, run.examples) if (run.path / "index").exists() else []


def _diagnosis(folder: Path) -> Diagnosis | None:
    """How far source and target lay apart; None where that was not measured."""
    if not (folder / "diagnosis.json").exists():
        return None
    facts = read_json(folder / "diagnosis.json")
    lost = facts.get("lost")
    shifts = tuple(Shift(**shift) for shift in facts["shifts"])
    return Diagnosis(**{**facts, "shifts": shifts, "lost": None if lost is None else tuple(lost)})
