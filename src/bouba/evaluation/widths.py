"""Quality against width: what the first numbers of embeddings find by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from bouba.data.matching import views_for
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation.evaluate import query_scores
from bouba.evaluation.intervals import interval
from bouba.evaluation.model import Embeds, as_model

LEAST = 8  # numbers of the shortest embedding, where nobody names widths
METRIC = "recall@10"
Found = tuple[float, float | None, float | None, int]
"""Value, ends of its interval, questions."""


@dataclass(frozen=True)
class AtWidth:
    """recall@10 of one direction by the first `width` numbers of embeddings.

    Args:
        value: with the interval of 95% from `low` to `high`, None of one thing. n: questions.
        share: value / that of the whole embedding; 1 where both are 0.
    """

    width: int
    direction: str
    value: float
    low: float | None
    high: float | None
    n: int
    share: float


def by_width(model: Embeds, views: Views, widths: Sequence[int] | None = None) -> list[AtWidth]:
    """recall@10 of each direction by the first numbers of embeddings, narrow to whole: the curve of quality on width.

    Args:
        model: fitted, whose views share a space. views: held-out rows, or what `bouba.read` takes.
        widths: when None those at which the model was trained (`Nested`), else halves of the whole down to LEAST. The
            whole always is among them.

    Returns:
        A record a width and direction. Among all rows, whatever their domain; embeddings are compared as the model
        compares them, without offsets of cells that are near to everything.

    Raises:
        UsageError: a model whose views share no space, or a width that is none.
    """
    judged = as_model(model)
    if not judged.aligns:
        raise UsageError("the views of this model share no space, so that none is found by another at any width")
    views = views_for(model, views).observed()
    z = {name: np.asarray(values) for name, values in judged.embed(views).items()}
    whole = min((values.shape[1] for values in z.values()), default=0)
    chosen = _chosen(getattr(model, "widths", ()) if widths is None else widths, whole, given=widths is not None)
    found = {width: _recalls(views, z, width, judged.compared_by) for width in chosen}
    wholes = {name: value for name, (value, *_) in found[whole].items()}
    return [
        AtWidth(width, name, value, low, high, n, value / wholes[name] if wholes[name] else 1.0)
        for width in chosen
        for name, (value, low, high, n) in found[width].items()
    ]


def _chosen(widths: Sequence[int], whole: int, *, given: bool) -> list[int]:
    """Widths in order, the whole last."""
    strange = [width for width in widths if not isinstance(width, int | np.integer) or not 1 <= width <= whole]
    if strange and given:
        raise UsageError(f"widths are whole numbers from 1 to {whole}, that of the embeddings, got {strange[0]!r:.60}")
    halves = [whole >> step for step in range(whole.bit_length()) if whole >> step >= LEAST]
    return sorted({whole, *(map(int, widths) if len(widths) else halves)})


def _recalls(views: Views, z: Mapping[str, np.ndarray], width: int, compared_by: str) -> dict[str, Found]:
    """Direction -> (value, low, high, n)."""
    compared: Any = SimpleNamespace(compared_by=compared_by)
    recalls: dict[str, Found] = {}
    for a, b, both, scores in query_scores(views, {name: values[:, :width] for name, values in z.items()}, compared):
        things, hits = views.things[both], scores[METRIC]
        low, high = interval(hits, "mean", groups=things) if len(set(things)) > 1 else (None, None)
        recalls[f"{a}->{b}"] = float(hits.mean()), low, high, int(both.sum())
    return recalls
