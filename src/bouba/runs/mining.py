"""Hard negatives over the whole index of a run: what it takes for a row's partner, and is not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data.kinds import FILES
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError
from bouba.search import Index

AT_ONCE = 256  # rows whose neighbours are looked for at a time
SAME = 1e-6  # largest difference between numbers of embeddings of equal cells


@dataclass(frozen=True)
class Mined:
    """Hard negatives of the rows of a run.

    Args:
        ask, answer: views. A negative is a cell of `answer` that the model puts near the row's cell of `ask`.
        rows: (n,) row numbers of those that have both. positive: (n,) similarity of their own pair.
        negatives: (n, k) row numbers, the hardest first; -1 where there are fewer. scores: (n, k) their similarity.
    """

    ask: str
    answer: str
    rows: np.ndarray
    positive: np.ndarray
    negatives: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        """Rows with a negative."""
        return int((self.negatives[:, 0] >= 0).sum())

    @property
    def columns(self) -> tuple[str, ...]:
        """The views that `views` adds, one a negative: "not caption", "not caption 2"."""
        places = range(1, self.negatives.shape[1] + 1)
        return tuple(f"not {self.answer}" + (f" {place}" if place > 1 else "") for place in places)

    def views(self, views: Views) -> Views:
        """Rows of the run's table with the negatives as views of their own, for `ExplicitNegatives`:

            mined = run.mine()
            towers = {"picture": ConvNet(), "caption": NGrams(), "not caption": SameAs("caption")}
            term = ExplicitNegatives("picture", "caption", mined.columns)
            Learner(towers, InfoNCE(pairs=(("picture", "caption"),)) + term).fit(mined.views(views))

        A negative that is not among these rows is missing.

        Raises:
            UsageError: a view that is called so already.
        """
        taken = next((name for name in self.columns if name in views.columns), None)
        if taken is not None:
            raise UsageError(f"there is a view {taken!r} already; mine the table without it")
        place_of = {row: place for place, row in enumerate(views.rows.tolist())}
        of_row = dict(zip(self.rows.tolist(), self.negatives.tolist(), strict=True))
        none = [-1] * self.negatives.shape[1]
        places = np.array(
            [[place_of.get(negative, -1) for negative in of_row.get(row, none)] for row in views.rows.tolist()]
        ).reshape(len(views), -1)
        answer = views[self.answer]
        added: dict[str, Column] = {
            name: answer.take(np.maximum(places[:, k], 0)).without(places[:, k] < 0)
            for k, name in enumerate(self.columns)
        }
        return views.replace(columns={**views.columns, **added})

    def records(self, views: Views) -> list[dict[str, Any]]:
        """`views(views)` as rows of a table that `bouba fit` reads: texts, paths of files and lists of numbers, with
        roles, labels and other columns.

        Raises:
            DataError: cells that are neither, as pictures within a Parquet file.
        """
        whole = self.views(views)
        roles = {"domain": views.domain, "key": views.key, "group": views.group}
        known = {**{role: values for role, values in roles.items() if values is not None}, **views.y, **views.meta}
        return [
            {"row": int(views.rows[row])}
            | {name: _written(name, column, row) for name, column in whole.columns.items()}
            | {name: values[row] for name, values in known.items() if name not in whole.columns}
            for row in range(len(whole))
        ]


def mine(run: Any, *, ask: str | None = None, answer: str | None = None, k: int = 1, margin: float = 0.05) -> Mined:
    """The hard negatives of a Run, see `Run.mine`."""
    if not run.model.aligns:
        raise UsageError("the views of this model share no space, so that it takes nothing for a row's partner")
    index: Index = run.index
    ask, answer = _sides(run.model.kinds_, [view for view in index.views if view in run.model.kinds_], ask, answer)
    if k < 1 or not np.isfinite(margin) or margin < 0:
        raise UsageError(f"k is 1 or more and margin 0 or more, got k={k} and margin={margin}")
    listing = index.listing
    both = np.flatnonzero((listing.positions(ask) >= 0) & (listing.positions(answer) >= 0))
    if len(both) < 2:
        raise DataError(f"{len(both)} rows have {ask!r} and {answer!r}; two or more are needed")
    keys = listing.texts("key") if "key" in index.columns else [None] * len(listing.rows)
    thing = np.unique(
        [f"row {r}" if key is None else f"key {key}" for r, key in zip(listing.rows, keys)], return_inverse=True
    )[1]
    found = [
        _of_rows(index, listing, both[i : i + AT_ONCE], (ask, answer), thing, k, margin)
        for i in range(0, len(both), AT_ONCE)
    ]
    positive, negatives, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    return Mined(ask, answer, listing.rows[both], positive, negatives, scores)


def _sides(kinds: Mapping[str, str], views: list[str], ask: str | None, answer: str | None) -> tuple[str, str]:
    """The views that ask and answer: a picture or sound asks, and a text answers, where nobody says."""
    for name in (ask, answer):
        if name is not None and name not in views:
            raise UsageError(f"the index has no view {name!r} of cells; there is {', '.join(views)}")
    answer = answer or next((v for v in views if kinds[v] == "text" and v != ask), None)
    answer = answer or next((v for v in reversed(views) if v != ask), None)
    ask = ask or next((v for v in views if v != answer), None)
    if ask is None or answer is None or ask == answer:
        raise UsageError(f"mining needs two views, of one that asks and one that answers; there is {', '.join(views)}")
    return ask, answer


def _of_rows(
    index: Index, listing: Any, places: np.ndarray, sides: tuple[str, str], thing: np.ndarray, k: int, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Similarity of their pairs (q,), negatives (q, k) and their similarity (q, k), of some rows by their place.

    A negative shows another thing, is no equal cell on either side, and is less similar than the row's own partner by
    the margin: what is nearer is taken for right and not written down. More neighbours are looked at until each row has
    k of them, or all are seen.
    """
    queries, partners = (listing.vectors(places, view) for view in sides)
    positive = _similarity(queries, partners, index.similarity)
    negatives, scores = np.full((len(places), k), -1), np.full((len(places), k), -np.inf)
    open_, pool = np.arange(len(places)), min(4 * k + 12, len(listing.rows))
    while len(open_):
        rows, near = index.neighbours(queries[open_], k=pool, view=sides[1])
        there = rows >= 0
        others = listing.places(np.where(there, rows, listing.rows[0]).ravel()).reshape(rows.shape)
        wrong = there & (thing[others] != thing[places[open_], None]) & (near <= positive[open_, None] - margin)
        for side, own in zip(sides, (queries, partners), strict=True):
            cells = listing.vectors(others.ravel(), side).reshape(*others.shape, -1)
            wrong &= np.abs(cells - own[open_, None]).max(axis=2) > SAME
        order = np.argsort(~wrong, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(wrong, order, axis=1)
        width = order.shape[1]
        negatives[open_, :width] = np.where(kept, np.take_along_axis(rows, order, axis=1), -1)
        scores[open_, :width] = np.where(kept, np.take_along_axis(near, order, axis=1), -np.inf)
        if pool >= len(listing.rows):
            break
        open_ = open_[wrong.sum(axis=1) < k]
        pool = min(4 * pool, len(listing.rows))
    return positive, negatives, scores


def _similarity(a: np.ndarray, b: np.ndarray, similarity: str) -> np.ndarray:
    """(q,) of rows (q, d) as they are stored."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return -np.sqrt(((a - b) ** 2).sum(axis=1)) if similarity == "euclidean" else (a * b).sum(axis=1)


def _written(name: str, column: Column, row: int) -> Any:
    """A cell as a table holds it; None where it is missing."""
    if not column.present[row]:
        return None
    cell = column[row]
    if column.kind in FILES:
        if not isinstance(cell, str | os.PathLike):
            raise DataError(f"{name!r} holds cells that are no files, which a table cannot name; use Mined.views")
        return os.fspath(cell)
    if column.kind == "vector":
        return json.dumps([float(str(x)) for x in np.asarray(cell)])
    if column.kind == "table":
        raise DataError(f"{name!r} holds rows of a table, which a cell cannot hold; use Mined.views")
    return str(cell)
