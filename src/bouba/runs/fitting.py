"""From a table to a run folder: read, hold out, train, measure, report, index."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from bouba import durable
from bouba.data.duplicates import duplicates
from bouba.data.faults import faults_of, lose_again
from bouba.data.target import Target, source_only
from bouba.data.views import Views
from bouba.evaluation.differences import write_differences
from bouba.report.advice import Evidence
from bouba.report.study import Study
from bouba.report.translations import Watch
from bouba.runs import folder as run_folder
from bouba.runs import texts, translation
from bouba.runs.adaptation import diagnosed
from bouba.runs.at_hand import WithEmbeddings
from bouba.runs.certainty import FILE, known_of, measured
from bouba.runs.duplicates import FEWEST_HELD_OUT, Cut, caution, kept_sentence, opened, save, summary
from bouba.runs.folder import BASELINES
from bouba.runs.indexing import vectors_of, write_search
from bouba.runs.known import is_found_whole
from bouba.runs.measuring import Measured, half_of, measure
from bouba.runs.methods import CCA
from bouba.runs.preparing import Prepared
from bouba.runs.processes import Processes
from bouba.runs.reading import repeated_text
from bouba.runs.recipe import HOLDOUT, OF_THE_CUT
from bouba.runs.remembered import compared
from bouba.runs.reporting import Story, counted, history_of, tries, watched, write_report
from bouba.runs.reporting_again import keep
from bouba.runs.rivals import trained_rivals
from bouba.runs.sharing import same_model, same_models, solve_together
from bouba.runs.stages import Clock, Stages
from bouba.runs.toml import to_toml
from bouba.runs.tracking import SafeTracker
from bouba.search import Certainty, Index
from bouba.search.cells import Numbers

DIFFERENCES = "differences.json"
MOST_HALVED = 20_000  # training rows, of which half are fitted again to see what more of them bring
UNMEASURED = "No row was held out, so nothing here is a measurement on new rows."
log = logging.getLogger("bouba")
Say = Callable[[str], None]


@dataclass
class Fitting(Prepared):
    """One run while it is made: `divide` the rows of a table, `train`, and `finish` the folder.

    Args, besides those of `Prepared`:
        training, held_out: parts of `views`, the latter None where there are too few rows to measure. cut: how rows
            were held out.
        say: takes each sentence on what happens. recorded: the folder of a run that goes on.
        clock: where the time went so far.
        facts: what run.json shall hold besides: "baseline", whether one is trained; "table", the files that were read.
        tracker: hears of each epoch, and of the numbers.
        remembered: a sentence with the numbers on rows that have no near-duplicate in training, once they are measured.
    """

    say: Say
    clock: Clock
    recorded: Path | None = None
    training: Views = field(init=False)
    held_out: Views | None = field(init=False)
    cut: Cut = field(init=False)
    facts: dict[str, Any] = field(default_factory=dict)
    tracker: SafeTracker = field(default_factory=lambda: SafeTracker(None))
    remembered: str = ""

    @classmethod
    def of(cls, prepared: Prepared, *, say: Say = log.info, clock: Clock, recorded: Path | None = None) -> Fitting:
        """What was read and found to fit. `recorded`: the folder of a run that goes on."""
        return cls(**vars(prepared), say=say, clock=clock, recorded=recorded)

    def divide(self, processes: Processes) -> None:
        """Hold rows out; near-duplicates are looked for by the first process, for all."""
        cut = processes.lead(lambda: _cut(self.views, self.recipe["fit"], self.recorded))
        shared = processes.share(lambda: None if cut is None else (cut.over(None), faults_of(self.views)))
        if cut is None and shared is not None:
            cut = shared[0].over(self.views)
            lose_again(self.views, shared[1])
        assert cut is not None, "the first process has one"
        self.cut = cut
        seed = self.model.get_params(deep=False).get("random_state") or 0
        self.training, self.held_out = processes.agree(lambda: self.cut.parts(seed))

    @property
    def target(self) -> Target | None:
        """The domain whose labels and pairs stay hidden."""
        return self.recipe["fit"].get("target")

    @property
    def caution(self) -> str:
        """What stands across the cut, and what the numbers are worth without it; "" where nothing does."""
        return " ".join(filter(None, (caution(self.cut, self.held_out), self.remembered)))

    def write_start(self, folder: Path) -> None:
        """What a run folder holds from the start."""
        run_folder.write_jsonl(folder / "bad_rows.jsonl", self.views.bad_rows)
        durable.write_text(folder / "recipe.toml", to_toml(self.recipe))
        save(self.cut, self.held_out, folder)
        facts = {"rows": len(self.views), "schema": self.schema.to_dict(), **self.facts}
        run_folder.write_facts(folder, **facts | summary(self.cut, self.held_out, self.caution))

    def train(self, part: Path, processes: Processes, *, resume: bool, verbose: bool) -> None:
        """Fit the model, with checkpoints in `part`; what is solved is by the first process alone, but for what adds up
        over rows."""
        if self.method.solved:
            self.stages.begin("solve", f"{self.method.name} on {len(self.training):,} rows")
            if processes.count > 1 and self.method is CCA:
                solve_together(self.model, self.training, processes)
            else:
                options = {} if self.target is None else {"target": self.target}
                processes.lead(lambda: self.model.fit(self.training, **options))
            return
        self.model.set_params(verbose=verbose)
        options = {name: value for name, value in self.recipe["fit"].items() if name not in OF_THE_CUT}
        self.model.fit(self.training, **options, folder=part, resume=resume, on_epoch=self._after_epoch)

    def _after_epoch(self, row: dict[str, float]) -> None:
        """Draw what a translator makes by now, and tell who follows."""
        if self.watch is not None:
            self.watch(row)
        self.tracker.epoch(row)

    def rivals(self, part: Path) -> dict[str, Any]:
        """What is trained to be compared with the model, with checkpoints in `part`."""
        compared = self.model.predicts or self.model.translates
        if self.held_out is None or not compared or not self.facts.get("baseline", True):
            return {}
        return trained_rivals(self.method, self.model, self.training, self.recipe["fit"], self.say, part / BASELINES)

    def finish(self, part: Path, out: Path, rivals: Mapping[str, Any], processes: Processes) -> None:
        """Save, embed, measure, report and index, and put the folder in its place. Each process embeds a share of the
        rows and judges some of the rivals; all else is done by the first."""
        processes.lead(lambda: self._save(part))
        self.model = same_model(self.model, processes, part / "model")
        rivals = same_models(rivals, processes)
        vectors = vectors_of(self.model, self.views, part, self.stages, processes) if self.model.searchable else {}
        self.clock("embed")
        measured = self._measured(part, rivals, vectors, processes)
        self.clock("measure")
        processes.lead(lambda: self._write_rest(part, out, rivals, measured, vectors))

    def _save(self, part: Path) -> None:
        """The model in its folder."""
        self.stages.begin("save", "the model")
        if not (part / "recipe.toml").exists():  # somebody removed it meanwhile
            part.mkdir(parents=True, exist_ok=True)
            self.write_start(part)
            run_folder.write_jsonl(part / "history.jsonl", history_of(self.model))
        self.model.save(part / "model")

    def _write_rest(
        self,
        part: Path,
        out: Path,
        rivals: Mapping[str, Any],
        measured: Measured | None,
        vectors: Mapping[str, Numbers],
    ) -> None:
        """Numbers, index and report; then the folder is whole."""
        story = self._story(part, rivals, measured, vectors)
        for name in ("index", "known"):
            shutil.rmtree(part / name, ignore_errors=True)  # half of one, from a process that died
        if self.model.searchable:
            self.stages.begin("index", f"{len(self.views):,} rows, what is known of them, and what scores are worth")
            index = write_search(self.model, self.views, part, target=self.target, vectors=vectors)
            story = replace(story, certainty=self._certainty(part, index))
            texts.words_met(self.model, self.training).save(part / texts.FILE)
            story = replace(story, tries=tries(part, out, self.model), serve=f"bouba serve {out}")
            self.clock("index")
        cut = texts.cut_texts(self.model, self.training)
        for sentence in cut:
            self.say(sentence)
        facts = counted(run_folder.read_facts(part), self.clock.spent)
        story = replace(story, remarks=[*story.remarks, *cut], facts=facts, seconds=self.clock.spent)
        story = replace(story, study=Study.load(part))
        keep(part, story)
        self.stages.begin("report", "curves, galleries and maps")
        write_report(replace(story, watch=self.watch, caution=self.caution), part / "report.html")
        run_folder.write_jsonl(part / "bad_rows.jsonl", self.views.bad_rows)  # with cells that broke since
        shutil.rmtree(part / BASELINES, ignore_errors=True)
        run_folder.finish(part, out)

    @cached_property
    def stages(self) -> Stages:
        """Says what is being done."""
        return Stages(self.say)

    @cached_property
    def watch(self) -> Watch | None:
        """What follows a translator's training."""
        return watched(self.method, self.model, self.training if self.held_out is None else self.held_out)

    def announcements(self, out: Path) -> Iterator[str]:
        """What a person should know before training starts."""
        method, views, aligns = self.method, self.views, self.model.aligns
        apart = not (aligns or method.takes_fusion or self.model.fuses or method.translates)
        if apart and len(views.columns) > 1:
            yield f"{method.name} learns each view by itself; it cannot find one by another"
        yield str(views)
        if views.bad_rows:
            yield f"{len(views.bad_rows)} cells cannot be read; they will be listed in {out / 'bad_rows.jsonl'}"
        hint = repeated_text(views) if aligns else None
        if hint:
            yield hint
        yield from filter(None, (kept_sentence(self.cut), self.caution))
        if self.held_out is None and self.recipe["fit"].get("holdout") != 0:
            yield "fewer than ten rows held out, so nothing will be measured; raise --holdout or add rows"
        yield from self.remarks

    def _certainty(self, part: Path, index: Index) -> Certainty | None:
        """What scores are worth, kept with the run; None where no view finds another, or too few rows were held out."""
        if self.held_out is None or not self.model.aligns:
            return None
        training = self.training if self.target is None else source_only(self.training, self.target)
        known = known_of(self.model, index, training) if is_found_whole(self.model) else None
        certainty = measured(self.model, index, self.views, self.held_out, known)
        certainty.save(part / FILE)
        return certainty

    def _measured(
        self, part: Path, rivals: Mapping[str, Any], vectors: Mapping[str, Numbers], processes: Processes
    ) -> Measured | None:
        """The numbers of the model and its rivals; None where nothing is measured, and on all but the first process."""
        if self.held_out is None:
            return None
        # neither probe nor baseline sees the target
        training = self.training if self.target is None else source_only(self.training, self.target)
        training, held_out = training.select(*self._own), self.held_out.select(*self._own)
        if self.method.translates:
            translators = {self.method.name: self.model, **rivals}
            return processes.lead(lambda: _translated(translators, training, held_out, part, self.say))
        return measure(
            self.method,
            self.model,
            training,
            held_out,
            rivals,
            self.stages,
            baseline=self.facts.get("baseline", True),
            embedded=WithEmbeddings(self.model, self.views, vectors) if vectors else None,
            halved=self._halved if self.method.solved and len(training) <= MOST_HALVED else None,
            processes=processes,
        )

    def _halved(self) -> Any:
        """The same model, fitted on half of the training rows."""
        options = {} if self.target is None else {"target": self.target}
        seed = self.model.get_params(deep=False).get("random_state") or 0
        return clone(self.model).fit(half_of(self.training, seed), **options)

    @property
    def _own(self) -> list[str]:
        """The views that the model reads."""
        return [view for view in self.views.columns if view in self.model.kinds_]

    def _story(
        self, part: Path, rivals: Mapping[str, Any], measured: Measured | None, vectors: Mapping[str, Numbers]
    ) -> Story:
        """What the report tells of the numbers, which are written to metrics.json."""
        adaptation = diagnosed(part, self.model, self.held_out, rivals, self.target)
        views = self.views.select(*self._own)
        story = Story(self.method, self.model, views, None, None, rivals, self.remarks, adaptation)
        if self.held_out is None or measured is None:
            return replace(story, remarks=[*self.remarks, UNMEASURED])
        held_out = self.held_out.select(*self._own)
        if measured.result is not None:
            measured.result.to_json(part / "metrics.json")
            self.tracker.result(measured.result)
            write_differences(measured.differences, part / DIFFERENCES)
        if (twins := self.cut.twins(held_out)) and not self.method.translates:
            at_hand = WithEmbeddings(self.model, self.views, vectors)
            self.remembered = compared(at_hand, held_out, np.any(list(twins.values()), axis=0))
            run_folder.add_facts(part, **summary(self.cut, held_out, self.caution))
        seen = [vars(record) for record in measured.seen]
        evidence = Evidence(len(self.training), self.method.solved, measured.half, seen, history_of(self.model))
        story = replace(story, held_out=held_out, result=measured.result, differences=measured.differences)
        story = replace(story, evidence=evidence)
        return replace(story, remarks=[*self.remarks, *measured.remarks])


def _translated(translators: Mapping[str, Any], training: Views, held_out: Views, part: Path, say: Say) -> Measured:
    """The numbers of a translator and its rivals, and who judged them."""
    result, judged_by = translation.judged(translators, training, held_out, part, say)
    return Measured(result, (), [judged_by])


def _cut(views: Views, fit: Mapping[str, Any], recorded: Path | None) -> Cut:
    """How the rows of a run are held out: near-duplicates on one side, unless they are allowed on both. A run that goes
    on is cut as it was, and one that was made before near-duplicates were looked for keeps them where they are."""
    share = fit.get("holdout", HOLDOUT)
    if recorded is not None and (kept := opened(recorded, views, share)) is not None:
        return kept
    if len(views) * share < FEWEST_HELD_OUT and not fit.get("validation"):
        return Cut(views, share)
    allowed = recorded is not None or fit.get("allow_duplicates", False)
    return Cut.of(views, share, duplicates(views), allowed=allowed)
