"""bouba fit: train on a table, write a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bouba.cli import reading, recipe, run_folder
from bouba.cli.index import build_index
from bouba.cli.story import tell
from bouba.data.split import split
from bouba.data.target import source_only
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, require
from bouba.learner import BaseLearner

ARGUMENTS = ("dim", "epochs", "batch_size", "lr", "patience", "ridge", "random_state")
FIT = ("target", "validation", "holdout")
HOLDOUT = 0.1
ONE_VIEW = ("simclr", "learner")  # methods that one modality is enough for


def command(
    table: Annotated[list[str], typer.Argument(help="CSV, TSV, JSONL, Parquet, .npy arrays or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")],
    method: Annotated[str | None, typer.Option(help=f"{', '.join(recipe.METHODS)} (with a recipe).")] = None,
    recipe_file: Annotated[Path | None, typer.Option("--recipe", help="A TOML file; options overrule it.")] = None,
    target: Annotated[str | None, typer.Option(help="Domain whose labels, captions and pairings stay hidden.")] = None,
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
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without improvement.")] = None,
    random_state: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    image: reading.Image = None,
    text: reading.Text = None,
    vector: reading.Vector = None,
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
    given = dict(locals())
    plan = recipe.load_recipe(recipe_file) if recipe_file else {}
    plan["method"] = method or plan.get("method", "clip")
    columns = ("image", "text", "vector", "label", "domain", "key", "ignore")
    plan["read"] = plan.get("read", {}) | {name: given[name] for name in columns if given[name] not in (None, [])}
    plan["fit"] = plan.get("fit", {}) | {name: given[name] for name in FIT if given[name] is not None}
    model = recipe.build(plan, **{name: given[name] for name in ARGUMENTS})
    _refuse_unread(plan, model, resume=resume)
    views = reading.read_table(table, plan["read"], strict=strict)
    if plan["method"] not in ONE_VIEW:
        _refuse_one_modality(views)
    hidden = plan["fit"].get("target")
    if hidden is None and plan["method"] == "adapted-clip":
        raise UsageError("adapted-clip needs --target, the domain to adapt to" + _domains(views))
    for module, extra in (("lancedb", "search"), ("plotly", "report"), ("jinja2", "report")):
        require(module, extra)  # before hours of training, not after
    folder = run_folder.begin(out, resume=resume, overwrite=overwrite)
    run_folder.write_jsonl(folder / "bad_rows.jsonl", views.bad_rows)
    plan["arguments"] = plan.get("arguments", {}) | {n: given[n] for n in ARGUMENTS if given[n] is not None}
    (folder / "recipe.toml").write_text(recipe.to_toml(plan))
    seed = model.get_params().get("random_state") or 0
    training, held_out = _hold_out(views, plan["fit"].get("holdout", HOLDOUT), seed)
    if not as_json:
        if not getattr(model, "aligns", True) and len(views.columns) > 1:
            sys.stderr.write(f"{plan['method']} learns each view by itself; it cannot find one by another\n")
        for line in _aloud(views, held_out, out):
            sys.stderr.write(f"{line}\n")
    _fit(model, training, plan["fit"], folder, resume=resume, aloud=not as_json)
    model.save(folder / "model")
    known = training if hidden is None else source_only(training, hidden)  # neither probe nor baseline sees it
    result = tell(folder, plan["method"], model, known, held_out, views)
    build_index(model, views, folder / "index")
    run_folder.finish(folder, out)
    if as_json:
        typer.echo(json.dumps({"run": str(out), "rows": len(views), "bad_rows": len(views.bad_rows)}))
        return
    if result is not None:
        shown = result.where(method=plan["method"], metric=["recall@1", "recall@10", "median_rank"])
        shown = result.where(metric=["recall@1", "recall@10", "median_rank"]) if len(shown) else result
        typer.echo(shown.format(rows=("split", "domain", "direction", "method")))
    kinds = set(model.kinds_.values())
    ask = "WORDS" if "text" in kinds else "--image FILE" if "image" in kinds else None
    typer.echo(f"\nreport: {out / 'report.html'}" + (f"\nsearch: bouba search {out} {ask}" if ask else ""))


def _fit(model, training: Views, said: dict, folder: Path, *, resume: bool, aloud: bool) -> None:
    if aloud and "verbose" in model.get_params():
        model.set_params(verbose=True)
    if not isinstance(model, BaseLearner):
        model.fit(training)
        return
    said = {name: value for name, value in said.items() if name != "holdout"}
    model.fit(training, **said, folder=folder, resume=resume)


def _refuse_unread(plan: dict, model, *, resume: bool) -> None:
    """UsageError for what a closed form would ignore in silence."""
    asked = [f"--{name}" for name in ("target", "validation") if name in plan["fit"]] + ["--resume"] * resume
    if asked and not isinstance(model, BaseLearner):
        raise UsageError(f"{plan['method']} is solved, not trained, and takes no {asked[0]}; leave it out")


def _aloud(views: Views, held_out: Views | None, out: Path) -> Iterator[str]:
    """What a person should know before training starts."""
    yield str(views)
    if views.bad_rows:
        yield f"{len(views.bad_rows)} cells cannot be read; they will be listed in {out / 'bad_rows.jsonl'}"
    hint = reading.repeated_text(views)
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
