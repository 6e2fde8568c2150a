"""A run: what came of fitting a table, as an object. On disk it is the run folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.device import running_on
from bouba.errors import DataError, UsageError
from bouba.runs.gallery import Gallery
from bouba.runs.growing import Growing
from bouba.runs.methods import method_named
from bouba.runs.publishing import Publishing

if TYPE_CHECKING:
    from bouba.data.views import Views
    from bouba.evaluation import Result
    from bouba.runs.embedding import Embedded
    from bouba.runs.predicting import Translation
    from bouba.runs.tracking import Tracker
    from bouba.runs.zero_shot import Classified

log = logging.getLogger("bouba")


class Run(Gallery, Growing, Publishing):
    """A fitted table: its model, numbers, report and index, each loaded when it is asked for.

    Make one with `Run.fit`, or open the folder that it, `bouba fit` or `bouba demo` wrote with `Run.open`.

    One that is replaced on disk meanwhile is not read further: DataError.

    Attributes:
        path: the run folder, or a model folder by itself.
        method: the row of its method in the table of methods. recipe: what it was made by, section by section.
        model: fitted. result: the measured numbers; None where no row was held out.
        history: a row an epoch. bad_rows: cells and rows that could not be read.
        caution: what to know before its numbers; "" for nothing.
        schema: which columns its views were read from. index: for search.
    """

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, device: str = "auto") -> Run:
        """The run in a folder. Nothing is loaded yet.

        Args:
            path: a run folder, its `model` folder, one that `model.save` wrote (without numbers, report or index), or
                hf://USER/NAME[@REVISION], which is fetched into the hub's cache (extra `hub`).
            device: where its model computes, see `bouba.load`.

        Raises:
            DataError: no model there, or one that is still being made or was cut off; the message says how to go on.
        """
        from bouba.runs.ending import refuse_unfinished

        return cls(refuse_unfinished(cls.located(path)), device=device)

    @classmethod
    def fit(  # noqa: PLR0913 - an option a parameter, as on the command line
        cls,
        table: Any,
        *,
        out: str | os.PathLike[str],
        method: Any = None,
        recipe: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        read: Mapping[str, Any] | None = None,
        target: Any = None,
        validation: float | None = None,
        holdout: float | None = None,
        allow_duplicates: bool | None = None,
        translate: tuple[str | None, str | None] = (None, None),
        fusion: Any = None,
        baseline: bool = True,
        device: str = "auto",
        engine: str = "local",
        workers: int | None = None,
        resume: bool = False,
        overwrite: bool = False,
        verbose: bool = False,
        say: Callable[[str], None] | None = None,
        tracker: Tracker | None = None,
        **arguments: Any,
    ) -> Run:
        """Train on a table, measure on rows held out, and write a run folder: what `bouba fit` does.

        Args:
            table: Views; whatever `bouba.read` takes; or several paths of numbers, one a view. None, with `resume`: the
                files that the run was made of.
            out: the folder to write. It is there whole or not at all, and one process writes it at a time.
            method: a name of the table of methods (`bouba methods`), or an estimator, `CLIP(towers, dim=64)`, whose
                parameters become the recipe. When neither it nor the recipe says: FewPairs over frozen encoders where
                rows are few and nothing is to be trained, else CLIP.
            recipe: a TOML file or its content; all other arguments overrule it.
            read: which column is what, and `strict`, as keywords of `bouba.read`: {"image": "picture"}.
            target: the domain whose labels, captions and pairings stay hidden.
            validation: share of the training rows that chooses the best epoch. holdout: share of all things that is
                kept out and judged at the end, a tenth when None. 0: none are.
            allow_duplicates: near-duplicates (`bouba.duplicates`) may stand on both sides of a cut, which the report
                then says; when None as the recipe says, and else each group of them on one side.
            translate: the view that a translator is given and the one it makes; chosen by kind where None.
            fusion: how views become one vector, by name: sum, gated, concat, attention, low-rank or late; or an object,
                GatedFusion(drop=0.2).
            baseline: also fit what a model that predicts or translates is compared with.
            device: where all of it computes: "auto" for a GPU where there is one, else the CPU; "cpu", "cuda",
                "cuda:1", "mps". The folder does not keep it.
            engine: "local", this process or those of torchrun beside it; "ray", `workers` of a cluster, one a GPU or
                core when None, whose machines all see the table and `out`.
            resume: continue a run that was cut off, or was made for fewer epochs. overwrite: replace a finished one,
                which stays until the new one is whole.
            verbose: show progress. say: takes each sentence; else they are shown if `verbose`, or logged.
            tracker: has `epoch(row)` and `result(result)` called, see docs/recipes.md; not with engine "ray".
            **arguments: of the method's constructor: dim, epochs, ...; towers also by name: "scratch", "packaged", or
                encoders, ["minilm", "efficientnet-lite0"]. When None, frozen ones read texts and pictures of few rows.

        Raises:
            UsageError: a table, a method and settings that do not fit together; nothing was written.
            MissingExtraError: an extra that the run needs. Stopped, StorageError: it was interrupted, or the machine
            could not write; the message says how to go on.
        """
        if isinstance(method, str):
            method_named(method)  # refused before anything heavy is imported
        from bouba.runs.composing import apart, composed
        from bouba.runs.engines.engine import make_by
        from bouba.runs.reading import refuse_names_for_views

        refuse_names_for_views(table, read or {})
        if tracker is not None and engine != "local":
            raise UsageError(f"a tracker hears of a run in this process; leave it or engine={engine!r} out")
        fit = {"target": target, "validation": validation, "holdout": holdout, "allow_duplicates": allow_duplicates}
        arguments, towers = apart(arguments)
        device = device if device != "auto" or isinstance(method, str) else getattr(method, "device", device)
        with running_on(device):
            model = make_by(engine, workers)(
                table,
                Path(out),
                compose=lambda before: composed(
                    before if recipe is None else recipe,
                    method,
                    read=read or {},
                    fit=fit,
                    fusion=fusion,
                    arguments=arguments,
                ),
                named={**dict(zip(("source", "target"), translate, strict=True)), "towers": towers},
                baseline=baseline,
                resume=resume,
                overwrite=overwrite,
                verbose=verbose,
                say=say,
                **({} if tracker is None else {"tracker": tracker}),
            )
        run = cls(out, device=device)
        if model is not None:
            run.model = model  # the same to the bit as what would be loaded
        return run

    def read(self, table: Any, /, **named: Any) -> Views:
        """A table as it was read for training: kinds, labels, roles, numbers side by side, patterns.

        Args:
            table: as in `fit`; Views as they are.
            **named: columns of a kind or role, `label="kind"`, which overrule what was so in training; and `strict`.

        Raises:
            ModalityError: the table has none of the model's views. DataError: a table that cannot be read.
            UsageError: columns named of Views.
        """
        from bouba.runs.reading import read_again

        return read_again(self, table, named)

    def embed(
        self,
        table: Any,
        /,
        *,
        out: str | os.PathLike[str],
        engine: str = "local",
        workers: int | None = None,
        overwrite: bool = False,
        say: Callable[[str], None] | None = None,
        **named: Any,
    ) -> Embedded:
        """Write the vectors of a table's rows to a file, block by block: a row each, with its number `row`, its `key`,
        and for each view a list of float32, null where the cell is missing. Where the model fuses views, the column
        `fused` is that of the whole row. The same call goes on where one was cut off.

        Args:
            table, **named: as in `read`; or several files, or a folder of Parquet files, with rows of their own each,
                told apart by the column `table`.
            out: NAME.parquet, or NAME.lance, which `lancedb.connect(FOLDER).open_table(NAME)` opens.
            engine: "local", this process or those of torchrun beside it; "ray", a cluster, or this machine as one.
            workers: of Ray; as many as there are GPUs, or cores, when None. Each embeds blocks of rows.
            overwrite: replace `out`, if it exists. say: takes sentences on how far it has come.

        Raises:
            UsageError: `out` exists, or ends in neither. DataError: a table that cannot be read.
            Stopped, StorageError: it was interrupted, or the machine could not write.
        """
        from bouba.runs.embedding import embed

        options: dict[str, Any] = {"engine": engine, "workers": workers, "overwrite": overwrite}
        return embed(self, table, Path(out), named=named, say=say or log.info, **options)

    def evaluate(self, table: Any, /, *, templates: Sequence[str] = ("{}",), **named: Any) -> Result:
        """Retrieval, classes and predictions on the rows of a table, with intervals and chance.

        It warns of rows of which a picture, text, sound or clip was in training.

        Args:
            table, **named: as in `read`. templates: sentences for zero-shot classes, {} for the name.

        Raises:
            DataError: no row has a label that the model predicts. UsageError: a translator without a judge.
        """
        views = self.read(table, **named)
        from bouba.evaluation import evaluate
        from bouba.runs.duplicates import seen_in_training
        from bouba.runs.translation import judged_again

        if known := seen_in_training(self.path, views):
            log.warning("%s", known)
        if self.model.translates:
            return judged_again(self.model, self.name, self._place.folder, views)
        result = evaluate(self.model, views, method=self.name, split="test", templates=templates)
        if not len(result) and self.model.predicts:
            raise DataError(f"no row has a label that the model predicts; the table has {views}; name it with --label")
        return result

    def predict(self, table: Any, /, *, proba: bool = False, level: float = 0.9, **named: Any) -> list[dict[str, Any]]:
        """One record a row: its number, each label's guess with its probability or interval, the views it has.

        Args:
            table, **named: as in `read`; a row may lack any view.
            proba: also the probability of every class. level: probability that an interval holds the truth.

        Raises:
            UsageError: a model that predicts nothing.
        """
        from bouba.runs.predicting import predictions

        self.refuse_unless("predicts")
        return predictions(self.model, self.read(table, **named), proba=proba, level=level)

    def classify(self, table: Any, /, classes: Sequence[str] = (), **options: Any) -> Classified:
        """Classes named in words for each row; see `bouba.runs.zero_shot.classified` for what else can be said."""
        from bouba.runs.zero_shot import classified

        return classified(self, table, classes, **options)

    def explain(
        self,
        table: Any,
        /,
        *,
        row: int | None = None,
        label: str | None = None,
        of: str = "predicted",
        page: str | os.PathLike[str] | None = None,
        **named: Any,
    ) -> dict[str, Any]:
        """Label -> Explanation: what each view of a row added to what is predicted (Shapley values).

        Args:
            table, **named: as in `read`.
            row: one row only, by its number in the table. label: one label only.
            of: "predicted", "truth", or a class by name.
            page: also write the averages and the first rows, with pixels and words, to this HTML file.

        Raises:
            UsageError: a model that predicts nothing, no such row or label.
        """
        from bouba.runs.predicting import explanations, write_explanations

        self.refuse_unless("predicts")
        views, explained = explanations(self.model, self.read(table, **named), row=row, label=label, of=of)
        if page is not None:
            write_explanations(Path(page), self.model, views, explained)
        return explained

    def translate(
        self,
        table: Any,
        /,
        *,
        to: str | None = None,
        draws: int = 1,
        random_state: int = 0,
        out: str | os.PathLike[str] | None = None,
        **named: Any,
    ) -> Translation:
        """What a translator makes of each row that has its source, a multimodal VAE of whichever views a row has.

        Args:
            table, **named: as in `read`. to: the view that is drawn, by a VAE; the one that the table lacks, if None.
            draws: how many a row. random_state: seed of what is drawn.
            out: also write pictures or numbers, named by row, into this new folder.

        Raises:
            UsageError: a model that makes no view, or `out` is there already. DataError: no row has the source.
        """
        from bouba.runs.predicting import Translation

        self.refuse_unless("translates")
        folder = None if out is None else Path(out)
        if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} exists; choose another -o")
        translation = Translation.of(self.model, self.read(table, **named), draws, random_state, to)
        return translation if folder is None else replace(translation, files=translation.write(folder))

    def report(
        self, table: Any = None, /, *, out: str | os.PathLike[str] | None = None, again: bool = False, **named: Any
    ) -> Path:
        """The path of the report. With `again` or `out` it is made anew: with the rows of the run, where they can be
        read, and the numbers that were measured when it was made; the notes at its end say what was left out.

        Args:
            table, **named: where the rows of the run are now, as in `read`; those that it was made of, if None. With
                other rows the report is on these, measured anew.
            out: where to write it; into the run folder, if None.

        Raises:
            UsageError: there is no report; the rows cannot be had and `out` is missing.
        """
        if table is None and out is None and not again:
            from bouba.runs.reporting import existing_report

            return existing_report(self.path)
        from bouba.runs.reporting import report_on
        from bouba.runs.reporting_again import report_again

        if table is not None and not again:
            return report_on(self, table, out, named)
        return report_again(self, table, out, named)

    def refuse_unless(self, ability: str) -> None:
        """UsageError for a model that lacks an ability, "predicts" or "translates", with the command that gives it."""
        from bouba.runs.predicting import refuse_unless_predicts, refuse_unless_translates

        {"predicts": refuse_unless_predicts, "translates": refuse_unless_translates}[ability](self.model)

    def numbers(self) -> Result | None:
        """Of `result` the numbers that are best known; None where nothing was measured."""
        from bouba.runs.measuring import best_known

        return None if self.result is None else best_known(self.result)

    def overview(self, result: Result | None = None, *, rest: str = "") -> str:
        """The numbers that matter as a table of at most 100 columns: recall@10 and MRR of each direction, what is
        predicted, what is made, beside the best rivals, with intervals and chance; "" where nothing was measured.

        Args:
            result: of `evaluate`; the numbers that the run was measured by, if None. rest: where all numbers are.
        """
        from bouba.runs.showing import overview_of

        return overview_of(self, result, rest)

    def summary(self) -> str:
        """What the report opens with, in a few sentences: whether a baseline is ahead of the model, and how often it is
        right, of how many; "" where nothing was measured."""
        from bouba.runs.showing import summary_of

        return summary_of(self)

    def advice(self) -> str:
        """Whether the model is good enough, and what would help most (more rows, longer training, other encoders), in
        two sentences from what was measured; "" where nothing was."""
        from bouba.runs.showing import advice_of

        return advice_of(self)

    def commands(self) -> list[str]:
        """What can be done with the run on the command line, a line each."""
        from bouba.runs.showing import commands_of

        return commands_of(self)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """A notebook's table: what it is, and the numbers that are best known."""
        from bouba.runs.showing import as_html

        return as_html(self)
