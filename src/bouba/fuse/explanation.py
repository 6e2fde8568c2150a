"""What each view of a row contributed to a prediction, or to finding its partner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bouba.data.loader import encode
from bouba.data.matching import views_for
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.evaluation.intervals import interval
from bouba.evaluation.model import as_model
from bouba.evaluation.table import text_table
from bouba.fuse.shapley import Game
from bouba.metrics import retrieval
from bouba.metrics.similarity import unit_rows

ROWS = 512  # explained at once
PREDICTED, TRUTH = "predicted", "truth"


class Predictor(Protocol):
    """A fitted model that predicts from any subset of its views."""

    kinds_: dict[str, str]

    def outputs(self, X, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]: ...

    def classes(self, label: str) -> np.ndarray: ...


@dataclass(frozen=True)
class Share:
    """One view over all rows that have it: mean |value| with its 95% interval, mean value, number of rows."""

    view: str
    size: float
    low: float | None
    high: float | None
    mean: float
    n: int


@dataclass(frozen=True)
class Explanation:
    """Shapley values of views: values.sum(1) = whole - base, row by row.

    Args:
        what: the quantity that the values are shares of, in words: "probability of species", "mass", ...
        views: the players. values: float64 (n, V), 0 where a row lacks the view, in the unit of `what`.
        errors: float64 (n, V), standard errors; 0 where every subset of the views was evaluated.
        present: bool (n, V). base: (n,), the quantity without any view. whole: (n,), with all the row has.
        answers: (n,) the class that is explained in each row; None where there are no classes.
        rows: (n,) row numbers. things: (n,) names of what the rows show; equal ones are drawn together in intervals.
    """

    what: str
    views: tuple[str, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    present: NDArray[np.bool_]
    base: NDArray[np.float64]
    whole: NDArray[np.float64]
    answers: NDArray | None
    rows: NDArray
    things: NDArray

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, place: int) -> dict[str, float]:
        """view -> value, of the views that one row has."""
        return {v: float(x) for v, x, p in zip(self.views, self.values[place], self.present[place]) if p}

    def shares(self) -> list[Share]:
        """Each view on average over the rows that have it, the largest first; a view of no row is left out."""
        shares = [self._share(place, view) for place, view in enumerate(self.views) if self.present[:, place].any()]
        return sorted(shares, key=lambda share: -share.size)

    def _share(self, place: int, view: str) -> Share:
        present = self.present[:, place]
        values, things = self.values[present, place], self.things[present]
        low, high = interval(np.abs(values), groups=things) if len(set(things)) > 1 else (None, None)
        return Share(view, float(np.abs(values).mean()), low, high, float(values.mean()), int(present.sum()))

    def format(self) -> str:
        """The averages as a table, and what they mean."""
        header = ["view", "mean |value|", "95% interval", "mean value", "rows"]
        lines = [[s.view, f"{s.size:.4g}", _between(s.low, s.high), f"{s.mean:+.4g}", str(s.n)] for s in self.shares()]
        table = text_table(header, lines, labels=1)
        note = f"Shapley values of views for {self.what}; {self.base.mean():.4g} without any, {self.whole.mean():.4g} "
        drawn = f" Orders were drawn: standard errors up to {self.errors.max():.2g}." if self.errors.any() else ""
        return f"{table}\n\n{note}with all, on average over {len(self)} rows.{drawn}"


def _between(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def explain(
    model: Predictor,
    X,
    *,
    label: str | None = None,
    of: Any = PREDICTED,
    orders: int | None = None,
    random_state: int = 0,
) -> Explanation:
    """Shapley value of each view of each row for what a model predicts.

        v(S) = the probability of a class, or the number, that is predicted from the views in S alone

    so that values say how many points of probability a view added or took away, and add up to the prediction less what
    is predicted without any view (the shares of the classes in training, or the mean). A view that a row lacks is not
    in its game. The towers run once, the fusion once a subset of the views (fuse/shapley.py says how many).

    It explains this model, not the world: two views that carry the same information share the credit, and a view that
    the model learnt to ignore gets none. For pixels and words inside a view use `saliency`.

    Args:
        model: fitted, with a Prediction in its objective: FusionClassifier, FusionRegressor, MultitaskLearner, Learner.
        X: n rows, as for `predict`.
        label: which label; the only one when None.
        of: which class: "predicted", the one predicted from all views of the row; "truth", the label in X; or a class.
            A number is explained as it is.
        orders: draw so many orders of the views instead of evaluating every subset; by default 64 above six views.
        random_state: seed of the orders.

    Returns:
        Explanation; print(explanation.format()).

    Raises:
        UsageError: no such label or class, or none was named where there are several. DataError: no row, or
        of="truth" and a row without that label. ModalityError: a view the model was not trained on.

    Reference: Shapley 1953; Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions (departure:
    players are views, and a view is taken away by the model's own mask instead of being replaced by others' cells).

    >>> from bouba.fuse import FusionClassifier
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> explanation = explain(FusionClassifier(epochs=1, dim=4).fit(views, np.arange(8) % 2), views)
    >>> bool(np.allclose(explanation.values.sum(1), explanation.whole - explanation.base)), explanation.views
    (True, ('a', 'b'))
    """
    views = views_for(model, X)
    if not len(views):
        raise DataError("there is no row to explain; give one or more")
    players = [name for name in model.kinds_ if name in views.modalities] or list(views.modalities)
    game = Game.of(len(players), orders=orders, random_state=random_state)
    subsets = [[name for name, is_in in zip(players, mask) if is_in] for mask in game.masks]
    worth: list[NDArray] = []
    answers: list[NDArray] = []
    for start in range(0, len(views), ROWS):
        part = views[start : start + ROWS]
        outputs = model.outputs(part, subsets)
        label = only_label(outputs, label)
        values, classes = _worth(model, part, label, outputs[label], of)
        worth.append(values)
        answers += [] if classes is None else [classes]
    explained = np.concatenate(answers) if answers else None
    quantity = str(label) if explained is None else f"the probability of {label}"
    return _explanation(quantity, game, players, np.concatenate(worth), explained, views)


def only_label(outputs: Mapping[str, np.ndarray], label: str | None) -> str:
    """The label that is named, or the only one that is predicted."""
    if label is None and len(outputs) == 1:
        return next(iter(outputs))
    if label is None:
        raise UsageError(f"which label? give label=...{nearest('', outputs)}")
    if label not in outputs:
        raise UsageError(f"the model predicts no {label!r}{nearest(label, outputs)}")
    return label


def _worth(model: Predictor, part: Views, label: str, outputs: NDArray, of: Any) -> tuple[NDArray, NDArray | None]:
    """v of every subset (n, K), and the class that is explained in each row; None for a number."""
    if outputs.ndim == 2:
        if not isinstance(of, str) or of != PREDICTED:
            raise UsageError(f"label {label!r} is a number, which is explained as it is; leave of={of!r} out")
        return outputs, None
    classes = model.classes(label)
    codes = codes_of(part, label, classes, outputs[:, -1], of)
    return np.exp(outputs[np.arange(len(part)), :, codes]), classes[codes]


def codes_of(part: Views, label: str, classes: NDArray, outputs: NDArray, of: Any) -> NDArray[np.intp]:
    """The index in `classes` of the class to explain, (n,); `outputs` (n, C) are log probabilities."""
    if isinstance(of, str) and of == PREDICTED:
        return outputs.argmax(1)
    if not (isinstance(of, str) and of == TRUTH):
        code = int(encode(np.array([of], object), list(classes))[0])
        if code < 0:
            raise UsageError(f"{label} has no class {of!r}{nearest(str(of), map(str, classes))}")
        return np.full(len(part), code)
    if label not in part.y:
        raise DataError(f"the truth of {label!r} is asked for, and X has no such label{nearest(label, part.y)}")
    codes = encode(part.y[label], list(classes)).numpy()
    if (codes < 0).any():
        row = int(part.rows[int((codes < 0).argmax())])
        raise DataError(f"row {row} has no {label} that the model knows; choose rows whose label is known")
    return codes


def explain_match(
    model: Any,
    X,
    *,
    ask: Sequence[str],
    answer: str,
    orders: int | None = None,
    random_state: int = 0,
) -> Explanation:
    """Shapley value of each query view for finding a row's partner among the answers of all rows.

        v(S) = share of the other things whose answer ranks below the row's own, when the query is the mean of the
        embeddings of the views in S, each of length 1 (as they are, where the model compares by dot or distance)

    1: the partner comes first; chance, and what no view at all is worth, is 1/2 where each thing has one answer. The
    mean is fair to models whose views share one space (InfoNCE and its like): there each view's direction is its own
    guess of the answer.

    Args:
        model: fitted, its views in one space: CLIP, CCA, Learner(objective=InfoNCE()), ...
        X: n rows; those that lack the answer are left out, the others are the gallery.
        ask: the views that make up the query. answer: the view to retrieve.
        orders, random_state: as for `explain`.

    Returns:
        Explanation of the rows that have the answer.

    Raises:
        UsageError: a model whose views share no space, or no query view. ModalityError: X has no such view. DataError:
        fewer than two different things to find.

    >>> from bouba import CLIP
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy(), "c": np.eye(8)})
    >>> explain_match(CLIP(epochs=1, dim=4).fit(views), views, ask=["a", "b"], answer="c").values.shape
    (8, 2)
    """
    if not as_model(model).aligns:
        raise UsageError(f"the views of a {type(model).__name__} share no space; a match takes CLIP or the like")
    views = views_for(model, X)
    for name in (*ask, answer):
        if name not in views.modalities:
            raise ModalityError(f"no view {name!r}{nearest(name, views.modalities)}")
    if not ask or answer in ask or len(set(ask)) < len(ask):
        raise UsageError(f"ask with one view or more, each once and none the answer, got ask={list(ask)}, {answer!r}")
    views = views.select(*ask, answer)
    views = views[views[answer].present]
    if len(set(views.things)) < 2:
        raise DataError(f"{len(set(views.things))} different things have view {answer!r}; finding one needs two")
    game = Game.of(len(ask), orders=orders, random_state=random_state)
    worth = np.stack(list(map(_match_worth(model, views, ask, answer), game.masks)), 1)
    return _explanation(f"finding {answer}", game, ask, worth, None, views)


def _match_worth(model: Any, views: Views, ask: Sequence[str], answer: str) -> Callable[[NDArray], NDArray]:
    """mask (V,) -> for each row, the share of other things that rank below the row's own."""
    z = {name: np.asarray(values, np.float64) for name, values in model.embed(views).items()}
    compared_by = as_model(model).compared_by
    embeddings = np.stack([unit_rows(z[name]) if compared_by == "cosine" else z[name] for name in ask], 1)  # (n, V, d)
    present = np.stack([views[name].present for name in ask], 1)
    things = views.things
    _, thing, count = np.unique(things.astype(str), return_inverse=True, return_counts=True)
    matches = count[thing]  # answers of the row's own thing
    chance_rank = (len(views) + 1) / (matches + 1)  # of the first of them, on average in a random order

    def worth(mask: NDArray) -> NDArray:
        used = present & mask
        has_query = used.any(1)
        rank = chance_rank.copy()
        if has_query.any():
            query = np.where(used[:, :, None], embeddings, 0).sum(1)[has_query] / used.sum(1)[has_query, None]
            ranks = retrieval(query, z[answer], things[has_query], things, similarity=compared_by)
            rank[has_query] = ranks["rank"]
        return 1 - (rank - 1) / (len(views) - matches)

    return worth


def _explanation(
    quantity: str, game: Game, players: Sequence[str], worth: NDArray, answers: NDArray | None, views: Views
) -> Explanation:
    present = np.stack([views[name].present for name in players], 1)
    values, errors = (np.where(present, numbers, 0.0) for numbers in game.values(worth))
    base, whole = (np.asarray(worth[:, place], np.float64) for place in (0, -1))
    return Explanation(
        quantity, tuple(players), values, errors, present, base, whole, answers, views.rows, views.things.astype(str)
    )
