"""Model soups of runs, as a model and as a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba import durable
from bouba.errors import UsageError
from bouba.runs import folder as run_folder
from bouba.runs.lock import locked
from bouba.runs.taught import fitted
from bouba.runs.toml import to_toml

if TYPE_CHECKING:
    from bouba.data.views import Views
    from bouba.learner.soup import Soup


def soup(models: Sequence[Any], validation: Views | None = None) -> Soup:
    """The weights of several models, averaged into one, which costs what one of them costs.

        uniform (validation=None):  w = 1/m sum_k w_k
        greedy:  from the best model on, each next best goes in if the average does not get worse with it

    Train the models alike but for settings such as lr, weight_decay, epochs or ema, with one random_state or from the
    same `Pretrained` or `TowerOf`: then a line between their weights stays good. Of models that began apart it does
    not, and the greedy soup is the best of them alone. Statistics of BatchNorm are averaged, too; what was calibrated
    is that of the first model that went in. An ensemble averages what models predict, for the cost of all.

    Args:
        models: two or more, each a Run, the path of one, or a fitted model, of one method and the same towers.
        validation: rows that choose by `model.score`, which no model was trained on; judge the soup on others.

    Returns:
        A Soup: `model`, `chosen`, `scores`, `score`.

    Raises:
        UsageError: models whose weights do not stand for the same.

    Reference: Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time, section 2 and recipe 1.
    """
    from bouba.learner.soup import soup_of

    return soup_of([fitted(model) for model in models], validation)


def write_soup(
    runs: Sequence[Any], table: Any, out: Path, *, named: dict[str, Any], say: Callable[[str], None]
) -> Soup:
    """Write a run whose model is the greedy soup of others; its index holds the rows that chose.

    Args:
        runs: two Runs or more. table: rows that choose. out: the folder of the new run.
        named: columns of the table, as for Run.read.

    Raises:
        UsageError: models that do not suit each other, a folder that is taken.
    """
    from bouba.runs.indexing import write_search

    place = out.resolve()
    if any(place == run.path.resolve() for run in runs):
        raise UsageError(f"{out} is one of the runs; choose another -o")
    views = runs[0].read(table, **named)
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place, say):
        run_folder.settle(place)
        run_folder.refuse_occupied(place, overwrite=False)
        mixed = soup(runs, views)
        recipe = runs[mixed.chosen[0]].recipe
        part = run_folder.begin(place, lambda folder: durable.write_text(folder / "recipe.toml", to_toml(recipe)))
        mixed.model.save(part / "model")
        run_folder.write_jsonl(part / "bad_rows.jsonl", views.bad_rows)
        if mixed.model.searchable:
            own = [name for name in views.columns if name in mixed.model.kinds_]
            write_search(mixed.model, views.select(*own), part)
        kept = {name: runs[0].facts[name] for name in ("schema",) if name in runs[0].facts}
        scores = {str(run.path): score for run, score in zip(runs, mixed.scores, strict=True)}
        facts = {"of": [str(runs[place].path) for place in mixed.chosen], "scores": scores, "score": mixed.score}
        run_folder.write_facts(part, rows=len(views), **kept, soup=facts)
        run_folder.finish(part, place)
    return mixed
