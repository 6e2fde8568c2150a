"""bouba fit: train on a table, write a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import adaptation, reading, recipe, rivals, run_folder, translation
from bouba.cli.index import build_index, found_by
from bouba.cli.story import tell, watched
from bouba.data.split import split
from bouba.data.target import source_only
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest, require
from bouba.evaluation import Result, predicts
from bouba.learner import BaseLearner
from bouba.report.translations import Watch
from bouba.transfer import Translator

ARGUMENTS = ("dim", "epochs", "batch_size", "lr", "patience", "ridge", "random_state")
FIT = ("target", "validation", "holdout")
HOLDOUT = 0.1
CLASSIFIES = ("dann", "mmd-adapter", "deep-coral")  # what was learnt on a source, on a target without labels
ADAPTS = ("adapted-clip", *CLASSIFIES)  # methods that need a target
PREDICTS = ("classifier", "regressor", "multitask", *CLASSIFIES)  # methods that need a label column
FUSES = (*PREDICTS, "autoencoder", "learner")
ONE_VIEW = ("simclr", *FUSES)  # methods that one modality is enough for
DROP = 0.3  # of --fusion: how often a view is hidden in training


def command(
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    method: Annotated[str | None, typer.Option(help=f"{', '.join(recipe.METHODS)} (with a recipe).")] = None,
    recipe_file: Annotated[Path | None, typer.Option("--recipe", help="A TOML file; options overrule it.")] = None,
    target: Annotated[str | None, typer.Option(help="Domain whose labels, captions and pairings stay hidden.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="The view that gan and flow are told.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The view that they make: pictures or numbers.")] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help=f"Share of the things kept out of training and judged at the end; {HOLDOUT} if not said."),
    ] = None,
    validation: Annotated[float | None, typer.Option(help="Share kept out to choose the best epoch.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the table.")] = None,
    dim: Annotated[int | None, typer.Option(help="Width of the shared space.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    ridge: Annotated[
        float | None, typer.Option(help="Shrinkage of covariances, for correlation methods; 0.1 suits few rows.")
    ] = None,
    fusion: Annotated[
        str | None,
        typer.Option(help=f"How views become one vector: {', '.join(recipe.FUSIONS)}; views are hidden at random."),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline", help="Also train the baseline of a model that predicts or translates."
        ),
    ] = True,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without improvement.")] = None,
    random_state: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    image: reading.Image = None,
    text: reading.Text = None,
    audio: reading.Audio = None,
    video: reading.Video = None,
    vector: reading.Vector = None,
    mixed: reading.Mixed = None,
    label: reading.Label = None,
    domain: reading.Domain = None,
    key: reading.Key = None,
    ignore: reading.Ignore = None,
    strict: reading.Strict = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was cut off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run of that name.")] = False,
    as_json: reading.Json = False,
) -> None:
    """Train on a table and write a run folder."""
    given = dict(locals()) | {"table": mixed}
    plan = recipe.load_recipe(recipe_file) if recipe_file else {}
    plan["method"] = method or plan.get("method", "clip")
    columns = ("image", "text", "audio", "video", "vector", "table", "label", "domain", "key", "ignore")
    plan["read"] = plan.get("read", {}) | {name: given[name] for name in columns if given[name] not in (None, [])}
    plan["fit"] = plan.get("fit", {}) | {name: given[name] for name in FIT if given[name] is not None}
    if fusion is not None:
        plan["fusion"] = _fusion(fusion)
    _refuse_fusing(plan)
    model = recipe.build(plan, **{name: given[name] for name in ARGUMENTS})
    _refuse_unread(plan, model, resume=resume)
    views = reading.read_table(table, plan["read"], strict=strict)
    plan["read"] |= reading.numbers_named(table, plan["read"], views)
    if plan["method"] not in ONE_VIEW:
        _refuse_one_modality(views)
    if plan["method"] in PREDICTS:
        _refuse_no_label(plan, views)
    views, unpaired = _pairs(plan, model, views, source, to)
    hidden = plan["fit"].get("target")
    if hidden is None and plan["method"] in ADAPTS:
        raise UsageError(f"{plan['method']} needs --target, the domain to adapt to" + _domains(views))
    for module, extra in (("lancedb", "search"), ("plotly", "report"), ("jinja2", "report")):
        require(module, extra)  # before hours of training, not after
    folder = run_folder.begin(out, resume=resume, overwrite=overwrite)
    run_folder.write_jsonl(folder / "bad_rows.jsonl", views.bad_rows)
    plan["arguments"] = plan.get("arguments", {}) | {n: given[n] for n in ARGUMENTS if given[n] is not None}
    (folder / "recipe.toml").write_text(recipe.to_toml(plan))
    seed = model.get_params().get("random_state") or 0
    training, held_out = _hold_out(views, plan["fit"].get("holdout", HOLDOUT), seed)
    if not as_json:
        apart = plan["method"] not in FUSES and not isinstance(model, Translator) and len(views.columns) > 1
        if apart and not getattr(model, "aligns", True):
            sys.stderr.write(f"{plan['method']} learns each view by itself; it cannot find one by another\n")
        for line in [*_aloud(views, held_out, out, finds=getattr(model, "aligns", True)), *unpaired]:
            sys.stderr.write(f"{line}\n")
    watch = watched(model, training if held_out is None else held_out)
    _fit(model, training, plan["fit"], folder, resume=resume, aloud=not as_json, watch=watch)
    model.save(folder / "model")
    known = training if hidden is None else source_only(training, hidden)  # neither probe nor baseline sees it
    beside = baseline and held_out is not None and (predicts(model) or isinstance(model, Translator))
    others = rivals.trained(model, training, plan["fit"], aloud=not as_json) if beside else {}
    adapted = adaptation.adapted(folder, model, held_out, others, hidden)
    result = tell(folder, plan["method"], model, known, held_out, views, others, unpaired, watch, adapted)
    if found_by(model):
        build_index(model, views, folder / "index")
    run_folder.finish(folder, out)
    if as_json:
        typer.echo(json.dumps({"run": str(out), "rows": len(views), "bad_rows": len(views.bad_rows)}))
        return
    typer.echo("\n".join(_farewell(out, model, result)))


def _farewell(out: Path, model, result: Result | None) -> Iterator[str]:
    """The best known numbers, and what can be done with the run."""
    if result is not None:
        yield _worth_printing(result).format(rows=("split", "domain", "direction", "method")) + "\n"
    kinds = {model.kinds_[view] for view in found_by(model)}
    ask = "WORDS" if "text" in kinds else "--image FILE" if "image" in kinds else None
    yield f"report: {out / 'report.html'}"
    if predicts(model):
        yield f"predict: bouba predict {out} TABLE"
    if isinstance(model, Translator):
        yield f"translate: bouba translate {out} TABLE -o FOLDER"
    if ask:
        yield f"search: bouba search {out} {ask}"


def _worth_printing(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    known = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    known |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    shown = result.where(metric=known) if known else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in shown))}
    return Result(sorted(shown, key=lambda record: (record.domain, place[record.direction])))


def _fusion(name: str) -> dict:
    """What --fusion NAME stands for in a recipe."""
    if name not in recipe.FUSIONS:
        raise UsageError(f"no fusion {name!r}{nearest(name, recipe.FUSIONS)}")
    return {"kind": recipe.LATE} if name == recipe.LATE else {"kind": recipe.FUSIONS[name], "drop": DROP}


def _refuse_fusing(plan: dict) -> None:
    """UsageError for a fusion that nothing would read."""
    if "fusion" in plan and plan["method"] not in FUSES:
        raise UsageError(f"{plan['method']} keeps views apart and takes no fusion; it is for {', '.join(FUSES)}")


def _refuse_no_label(plan: dict, views: Views) -> None:
    """UsageError unless there is a label column, and one alone where one is predicted."""
    method, named = plan["method"], plan.get("arguments", {}).get("label")
    if not views.y:
        raise UsageError(f"{method} needs --label COLUMN, what to predict" + _columns(views))
    if method != "multitask" and len(views.y) > 1 and named is None:
        raise UsageError(f"{method} predicts one label, and there is {', '.join(views.y)}; say --label, or multitask")


def _columns(views: Views) -> str:
    return f" (there is {', '.join(views.meta)})" if views.meta else ""


def _pairs(plan: dict, model, views: Views, source: str | None, to: str | None) -> tuple[Views, list[str]]:
    """The rows that a translator learns from, its two views named in model and plan, and a sentence on other rows; all
    rows for every other method."""
    if not isinstance(model, Translator):
        if source is not None or to is not None:
            raise UsageError(f"{plan['method']} makes no view from another; --from and --to are for gan and flow")
        return views, []
    said = plan.get("arguments", {})
    named = translation.name_views(plan["method"], views, source or said.get("source"), to or said.get("target"))
    model.set_params(**named)
    plan["arguments"] = said | named
    return translation.pairs(views, **named)


def _fit(
    model, training: Views, said: dict, folder: Path, *, resume: bool, aloud: bool, watch: Watch | None = None
) -> None:
    if aloud and "verbose" in model.get_params():
        model.set_params(verbose=True)
    if not isinstance(model, BaseLearner):
        model.fit(training)
        return
    said = {name: value for name, value in said.items() if name != "holdout"}
    model.fit(training, **said, folder=folder, resume=resume, on_epoch=watch)


def _refuse_unread(plan: dict, model, *, resume: bool) -> None:
    """UsageError for what a closed form would ignore in silence, or a translator be harmed by."""
    asked = [f"--{name}" for name in ("target", "validation") if name in plan["fit"]] + ["--resume"] * resume
    if asked and not isinstance(model, BaseLearner):
        raise UsageError(f"{plan['method']} is solved, not trained, and takes no {asked[0]}; leave it out")
    if isinstance(model, Translator):
        translation.refuse_unread(plan["method"], plan["fit"], model.patience)


def _aloud(views: Views, held_out: Views | None, out: Path, *, finds: bool) -> Iterator[str]:
    """What a person should know before training starts; `finds`, whether one view is found by another."""
    yield str(views)
    if views.bad_rows:
        yield f"{len(views.bad_rows)} cells cannot be read; they will be listed in {out / 'bad_rows.jsonl'}"
    hint = reading.repeated_text(views) if finds else None
    if hint:
        yield hint
    if held_out is None:
        yield "fewer than ten rows held out, so nothing will be measured; raise --holdout or add rows"


def _refuse_one_modality(views: Views) -> None:
    if len(views.columns) < 2:
        name, kind = next(iter(views.modalities.items()))
        raise DataError(
            f"one modality only: {name!r} ({kind}); aligning needs two. Name another column, for example --text COLUMN"
            + (f" (there is {', '.join([*views.meta, *views.y])})" if views.meta or views.y else "")
        )


def _domains(views: Views) -> str:
    return f"; the table has {', '.join(views.domains)}" if views.domains else "; name the column with --domain"


def _hold_out(views: Views, share: float, random_state: int) -> tuple[Views, Views | None]:
    """Training rows and judged rows. Below ten held-out rows there is nothing to measure: all rows train."""
    if not 0 <= share < 1:
        raise UsageError(f"--holdout is a share between 0 and 1, got {share:g}")
    if len(views) < 2:
        raise DataError(f"the table has {len(views)} row that can be used; training needs two or more")
    if len(views) * share < 10:
        return views, None
    parts = split(views, {"train": 1 - share, "test": share}, random_state=random_state)
    return parts["train"], parts["test"]
