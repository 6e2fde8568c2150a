"""report.html of a run: from a model, its rows and its numbers to a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation import Result
from bouba.evaluation.differences import Difference
from bouba.evaluation.widths import AtWidth, by_width
from bouba.report import EmbeddingMap, Gallery, Picture, Report, build, write
from bouba.report.advice import NO_EVIDENCE, Evidence, advice
from bouba.report.build import Method as NamedModel
from bouba.report.content import Made, Try
from bouba.report.contest import Contest
from bouba.report.predictions import judged
from bouba.report.study import Study
from bouba.report.translations import Watch, made
from bouba.runs import examples, gallery
from bouba.runs.adaptation import NOT_ADAPTED, Adaptation
from bouba.runs.indexing import found_as_rows
from bouba.runs.methods import Method, instead_of, wording
from bouba.runs.stages import TIME, time_spent
from bouba.runs.suspects import held_out_labels
from bouba.runs.suspicion import held_out_doubts
from bouba.search import Certainty

QUERIES = 8  # rows whose search or translation is shown
SAMPLES = 12  # things of which pictures are shown
FEWEST_ON_A_MAP = 20


@dataclass(frozen=True)
class Story:
    """What a page tells.

    Args:
        method: of the model. model: fitted.
        views: rows that the data are shown by; None where they are not at hand, and what shows them is left out.
        held_out: those that were kept out of training, if any.
        result: the numbers, if rows were held out. rivals: what they are compared with, fitted.
        remarks: sentences for the end of the page.
        adaptation: of a model that adapts. watch: what followed a translator's training.
        certainty: what its scores are worth, where that was measured. caution: what to know before the numbers.
        differences: of the model and each rival, on the same rows.
        tries: queries that work. serve: the command that shows the run in a browser.
        facts: (name, value) pairs, besides what is counted in the rows. seconds: of each stage. history: a row
            an epoch; that of the model, if None. evidence: of what would help the model.
        study: the search that it came of.
    """

    method: Method
    model: Any
    views: Views | None
    held_out: Views | None
    result: Result | None
    rivals: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    adaptation: Adaptation = NOT_ADAPTED
    watch: Watch | None = None
    certainty: Certainty | None = None
    differences: Sequence[Difference] = ()
    caution: str = ""
    tries: Sequence[Try] = ()
    serve: str = ""
    facts: Sequence[tuple[str, str]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[dict] | None = None
    evidence: Evidence = NO_EVIDENCE
    study: Study | None = None

    @property
    def shown(self) -> Views:
        """The rows of galleries and maps."""
        rows = self.views if self.held_out is None else self.held_out
        assert rows is not None, "nothing is shown of rows that are not at hand"
        return rows

    @property
    def picture_view(self) -> str | None:
        """The first view of pictures or clips."""
        return next((view for view, kind in self.shown.modalities.items() if kind in build.SHOWN), None)

    @property
    def words_first(self) -> list[str]:
        """The views, those of text first."""
        kinds = self.shown.modalities
        return sorted(kinds, key=lambda view: kinds[view] != "text")


def counted(facts: Mapping[str, Any], seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    """What run.json says of near-duplicates, and where the time went, for the strip of facts of a report; nothing of
    what nobody looked for."""
    strip = []
    if "duplicates" in facts:
        found = facts["duplicates"]
        by_view = ", ".join(f"{view} {count:,}" for view, count in found["views"].items() if count)
        strip.append(("rows with a near-duplicate", f"{found['rows']:,}{f' ({by_view})' if by_view else ''}"))
    return [*strip, (TIME, time_spent(seconds))] if seconds else strip


def existing_report(run: Path) -> Path:
    """The page of a run. UsageError where there is none."""
    file = run / "report.html"
    if not file.exists():
        raise UsageError(f"{run} holds no report; make one: run.report(again=True), or bouba report {run}")
    return file


def report_on(run: Any, table: Any, out: Any, named: Mapping[str, Any]) -> Path:
    """Write the page of a Run on a table, which `run.read` reads; UsageError where nothing says where to."""
    if out is None or run.method is None:
        raise UsageError("a report on a table needs a method's model and out=FILE, where to write it")
    views = run.read(table, **named)
    return write_report(Story(run.method, run.model, views, views, run.evaluate(views)), Path(out))


def write_report(story: Story, path: Path) -> Path:
    """Write the page of one run and return its path."""
    name = story.method.name
    history = history_of(story.model) if story.history is None else story.history
    records = [] if story.result is None else [vars(record) for record in story.result]
    shown = {"facts": story.facts} if story.views is None else _of_rows(story, story.views)
    contest = Contest(name, story.differences, instead_of(record["method"] for record in records))
    page = Report(
        title=f"bouba: {name}",
        advice=advice(records, contest, story.evidence, target=story.adaptation.target),
        caution=story.caution,
        tries=story.tries,
        serve=story.serve,
        curves=build.curves({name: history}),
        records=records,
        target=story.adaptation.target,
        diagnosis=story.adaptation.diagnosis,
        sets=() if story.certainty is None else story.certainty.directions,
        notes=notes_of(story),
        study=story.study,
        contest=contest,
        methods=wording(dict.fromkeys([name, *story.rivals, *(record["method"] for record in records)])),
        **shown,
    )
    return write(page, path)


def notes_of(story: Story) -> list[str]:
    """The sentences at the end of a page."""
    return [*story.remarks, *story.adaptation.remarks]


def _of_rows(story: Story, views: Views) -> dict[str, Any]:
    """What a page shows of rows, as fields of Report."""
    model, held_out = story.model, story.held_out
    named = NamedModel(story.method.name, model)
    return {
        "facts": [*build.facts(views, len(views.bad_rows)), *story.facts],
        "samples": _samples(story, views),
        "judged": judged(named, held_out) if held_out is not None and model.predicts else [],
        "made": _translations(story),
        "galleries": _galleries(story),
        "maps": _maps(story),
        "widths": _widths(model, held_out),
        **held_out_doubts(model, held_out),
        **held_out_labels(model, held_out),
    }


def tries(part: Path, out: Path, model: Any) -> list[Try]:
    """Queries that work on a run that is being made, which are kept with it.

    Args:
        part: where its index is. out: where it will be. model: of it.
    """
    run = gallery.Gallery(part)
    run.model = model
    return shown_tries(run, out, examples.write(run, part))


def shown_tries(run: Any, out: Path, queries: Sequence[str]) -> list[Try]:
    """Queries with what the first hits of a Run look like, as commands for the run at `out`."""
    return [
        Try(shlex.join(["bouba", "search", str(out), query]), examples.pictures_of(run, query)) for query in queries
    ]


def history_of(model: Any) -> list[dict]:
    """A row an epoch; none for what is solved."""
    from bouba.learner import BaseLearner

    return model.history_ if isinstance(model, BaseLearner) else []


def watched(method: Method, model: Any, views: Views) -> Watch | None:
    """What draws the first of the rows that the report will show; nothing for what makes no pictures."""
    if not method.translates or views.modalities[str(model.target)] != "image":
        return None
    return Watch(model, views[np.asarray(_translated_rows(str(model.source), str(model.target), views))])


def _translated_rows(source: str, target: str, views: Views) -> list[int]:
    return build.pick_queries(views, ask=source, answer=target, n=QUERIES)


def _translations(story: Story) -> Sequence[Made]:
    """What a translator and its rivals make of a few rows."""
    model = story.model
    if not model.translates:
        return []
    rows = _translated_rows(model.source_, model.target_, story.shown)
    translators = [NamedModel(name, each) for name, each in {story.method.name: model, **story.rivals}.items()]
    return made(translators, story.shown, rows, stages=[] if story.watch is None else story.watch.stages())


def _galleries(story: Story) -> list[Gallery]:
    """Queries by up to two views, where one view finds another."""
    kinds, queries = story.shown.modalities, story.words_first[:2]
    if len(kinds) < 2 or not story.model.aligns:
        return []
    galleries = []
    for ask in queries:
        answer = next(view for view in (story.picture_view, *kinds) if view is not None and view != ask)
        model = NamedModel(story.method.name, story.model)
        drawn = build.draw_queries(model, story.shown, ask=ask, answer=answer, n=QUERIES)
        galleries += build.galleries(
            [model],
            story.shown,
            ask=ask,
            answer=answer,
            rows=drawn.rows,
            title=f"{ask} -> {answer}",
            found={model.name: (drawn.found, drawn.of)} if drawn.rows else {},
        )
    return galleries


def _samples(story: Story, views: Views) -> list[Picture]:
    """A look at the data."""
    image = story.picture_view
    if image is None:
        return []
    things = views.things[np.flatnonzero(views[image].present)[:SAMPLES]]
    caption = next((view for view, kind in views.modalities.items() if kind == "text"), None)
    return build.samples(views, image=image, caption=caption, keys=list(dict.fromkeys(things)))


def _widths(model: Any, held_out: Views | None) -> list[AtWidth]:
    """What shorter embeddings find, of a model that was trained for them."""
    if held_out is None or not model.aligns or not getattr(model, "widths", ()):
        return []
    return by_width(model, held_out)


def _maps(story: Story) -> list[EmbeddingMap]:
    """Where rows lie, by the first view that rows can be found by."""
    model, searchable = story.model, story.model.searchable
    if len(story.shown) < FEWEST_ON_A_MAP or not searchable:
        return []
    whole = found_as_rows(model)
    views = [story.picture_view] if story.picture_view else []
    view = next(view for view in [*views, *story.words_first] if view in searchable)
    title = "Where each row lies, all its views together" if whole else f"Where each {view} lies"
    return [build.embedding_map(NamedModel(story.method.name, model), story.shown, view=view, title=title, fused=whole)]
