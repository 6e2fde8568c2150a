"""A run that suits new rows without labels; the rows it was made of are not needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba import durable
from bouba.errors import UsageError
from bouba.runs import folder as run_folder
from bouba.runs.lock import locked
from bouba.runs.toml import to_toml

if TYPE_CHECKING:
    from bouba.data.views import Views


@dataclass(frozen=True)
class Adapted:
    """What adapting a run to new rows did.

    Args:
        rows: that it was adapted to.
        told: label -> how much predictions on them tell before and after, in nats, at most ln of the number of classes.
        changed: label -> share of the rows that are predicted otherwise than before.
    """

    rows: int
    told: dict[str, tuple[float, float]]
    changed: dict[str, float]

    def lines(self) -> list[str]:
        """For people."""
        each = [
            f"{label}: {100 * self.changed[label]:.0f}% of rows are predicted otherwise, predictions tell {after:.2f} "
            f"nats, before {before:.2f}{'' if after > before else '; they tell less now: keep the old run'}"
            for label, (before, after) in self.told.items()
        ]
        return [f"adapted to {self.rows:,} rows without labels", *each]


def adapt(run: Any, table: Any, out: Path, *, named: dict[str, Any], say: Callable[[str], None], **options) -> Adapted:
    """Write a run whose model is `bouba.adapt.source_free` of another's; its index holds the new rows.

    Args:
        run: a Run whose model predicts classes. table: new rows. out: the folder of the new run.
        named: columns of the table, as for Run.read. options: epochs, lr, batch_size, random_state.

    Raises:
        UsageError: a model that predicts no class, a folder that is taken. DataError: too few rows.
    """
    from bouba.adapt import source_free
    from bouba.runs.indexing import write_search

    views = run.read(table, **named)
    place = out.resolve()
    if place == run.path.resolve():
        raise UsageError(f"{out} is the run that is adapted; choose another -o")
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place, say):
        run_folder.settle(place)
        run_folder.refuse_occupied(place, overwrite=False)
        say(f"{len(views):,} rows teach the towers; labels among them are not read")
        model = source_free(run.model, views, device=run.device, **options)
        adapted = _compared(run.model, model, views)
        part = run_folder.begin(place, lambda folder: durable.write_text(folder / "recipe.toml", to_toml(run.recipe)))
        model.save(part / "model")
        run_folder.write_jsonl(part / "history.jsonl", model.history_)
        run_folder.write_jsonl(part / "bad_rows.jsonl", views.bad_rows)
        if model.searchable:
            write_search(model, views.select(*(name for name in views.columns if name in model.kinds_)), part)
        kept = {name: run.facts[name] for name in ("schema",) if name in run.facts}
        facts = {"from": str(run.path), "told": adapted.told, "changed": adapted.changed}
        run_folder.write_facts(part, rows=len(views), **kept, adapted=facts)
        run_folder.finish(part, place)
    return adapted


def _compared(before: Any, after: Any, views: Views) -> Adapted:
    """What two models predict of the same rows, label by label."""
    from bouba.adapt.selection import information

    own = views.select(*(name for name in views.columns if name in before.kinds_)).replace(domain=None)
    outputs = [{label: np.exp(z[:, 0]) for label, z in model.outputs(own).items()} for model in (before, after)]
    labels = [label for label in outputs[0] if label in (before.codes_.classes or {})]
    told = {label: (information(outputs[0][label]), information(outputs[1][label])) for label in labels}
    changed = {label: float((outputs[0][label].argmax(1) != outputs[1][label].argmax(1)).mean()) for label in labels}
    return Adapted(len(views), told, changed)
