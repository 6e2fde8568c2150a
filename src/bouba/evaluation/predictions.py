"""How good are predicted labels, from all views, from each alone, and without each?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from bouba.data.views import Views, is_missing
from bouba.errors import DataError, nearest
from bouba.evaluation.calibration import calibration_interval
from bouba.evaluation.differences import RowValues
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.intervals import bootstrap_weighted, interval
from bouba.evaluation.model import PredictsLabels, as_model
from bouba.evaluation.result import Record, Result
from bouba.metrics.calibration import bin_of, confidence_and_hits
from bouba.metrics.regression import r_squared

BINS = 15  # of the calibration error
Interval = tuple[float | None, float | None]


def predicts(model: Any) -> bool:
    """Whether a fitted model predicts label columns, see PredictsLabels."""
    return as_model(model).predicts


def evaluate_predictions(
    model: PredictsLabels,
    views: Views,
    *,
    method: str = "model",
    split: str = "test",
    labels: Sequence[str] | None = None,
    by_domain: bool = True,
    seed: int | None = None,
    row_values: RowValues | None = None,
) -> Result:
    """Every label that `model` predicts and `views` know, by the views that were used.

    Args:
        model: fitted; see PredictsLabels.
        views: held-out rows. Rows with equal keys count as the same thing.
        method, split, seed: names for the records.
        labels: which label columns; all by default. by_domain: judge each domain apart.
        row_values: takes, for each row, whether its class was right, or how far off its number.

    Returns:
        Records. `direction` is "all" or, of three views or more, "without <view>", over the labelled rows that have a
        view, so that the two differ by what is lost with it; or "only <view>", over those that have it. Of classes
        "<label>_accuracy", "<label>_macro_f1", "<label>_log_loss" and "<label>_calibration_error"; of numbers
        "<label>_r2", "<label>_rmse" and "<label>_mae". `chance` is what the same rows get without any view: the shares
        of the classes in training, or the mean. A class that training did not have is always wrong, and left out of
        the log loss. Intervals are of 95%, with all rows of a key drawn together, see `interval`.

    Raises:
        DataError: `labels` names a column that the rows do not have.
    """
    missing = next((name for name in labels or () if name not in views.y), None)
    if missing is not None:
        raise DataError(f"no label column {missing!r}{nearest(missing, views.y)}")
    subsets = view_subsets(list(views.columns))
    outputs = model.outputs(views, [*subsets.values(), ()])
    judged = [name for name in outputs if name in views.y and (labels is None or name in labels)]
    records: list[Record] = []
    for domain, rows in domains(views, by_domain):
        part = views[rows]
        for label in judged:
            labelled = ~np.array([is_missing(v) for v in part.y[label]], bool)
            values = outputs[label][rows]
            classes = model.classes(label) if values.ndim == 3 else None
            for place, (direction, subset) in enumerate(subsets.items()):
                needed = subset if direction.startswith("only ") else part.columns
                mask = labelled & np.any([part[name].present for name in needed], axis=0)
                fields = {"method": method, "split": split, "domain": domain, "direction": direction, "seed": seed}
                if mask.sum() < 2:
                    continue
                y, guess, prior = part.y[label][mask], values[mask, place], values[mask, -1]
                if row_values is not None:
                    right = class_codes(y, classes) == guess.argmax(1) if classes is not None else abs(y - guess)
                    metric = f"{label}_{'mae' if classes is None else 'accuracy'}"
                    row_values.add(fields, metric, part.rows[mask], part.things[mask], right)
                if classes is None:
                    scores = _number_scores(y, guess, prior, part.things[mask])
                else:
                    scores = _class_scores(y, guess, prior, part.things[mask], classes)
                records += _records(scores, label, fields, int(mask.sum()))
    return Result(records, environment(seed, fingerprint(views)))


def view_subsets(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is judged: all views, each of them alone, and each left out where two or more are then left."""
    subsets = {"all": tuple(names)}
    if len(names) > 1:
        subsets |= {f"only {name}": (name,) for name in names}
    if len(names) > 2:
        subsets |= {f"without {name}": tuple(n for n in names if n != name) for name in names}
    return subsets


def domains(views: Views, by_domain: bool) -> list[tuple[str, np.ndarray]]:
    """Name and rows of each domain that has two rows or more; all rows as "all" where they are not judged apart."""
    all_rows = np.arange(len(views))
    if not by_domain or views.domain is None:
        return [("all", all_rows)]
    names = views.domain.astype(str)
    return [(domain, rows) for domain in views.domains if len(rows := all_rows[names == domain]) > 1]


Scores = Iterator[tuple[str, float, Interval, float | None]]  # metric, value, interval, chance


def _records(scores: Scores, label: str, fields: dict[str, Any], n: int) -> Iterator[Record]:
    for metric, value, (low, high), chance in scores:
        yield Record(**fields, metric=f"{label}_{metric}", value=value, low=low, high=high, chance=chance, n=n)


def _class_scores(y: np.ndarray, log_p: np.ndarray, prior: np.ndarray, keys: np.ndarray, classes: np.ndarray) -> Scores:
    """Of log probabilities (n, C); `prior` (n, C) is what the model gives without any view."""
    codes = class_codes(y, classes)
    guess, prior_guess = log_p.argmax(1), prior.argmax(1)
    correct = (guess == codes).astype(float)
    yield "accuracy", correct.mean(), _mean_interval(correct, keys), float((prior_guess == codes).mean())
    score = partial(_macro_f1, codes, guess, len(classes) + 1)
    chance = _macro_f1(codes, prior_guess, len(classes) + 1, np.ones(len(y)))
    size = _independent_rows(codes, keys)
    yield "macro_f1", score(np.ones(len(y))), _interval(score, keys, (0.0, 1.0), size), chance
    trained = codes >= 0
    if trained.any():
        loss = -log_p[trained, codes[trained]].astype(float)
        chance = -prior[trained, codes[trained]].mean()
        yield "log_loss", loss.mean(), _mean_interval(loss, keys[trained]), float(chance)
    bins, excess = _binned(codes, np.exp(log_p.astype(float)))
    ends: Interval = calibration_interval(bins, excess, keys) if len(set(keys)) > 1 else (None, None)
    yield "calibration_error", float(abs(np.bincount(bins, excess)).sum() / len(y)), ends, None


def _number_scores(y: np.ndarray, guess: np.ndarray, prior: np.ndarray, keys: np.ndarray) -> Scores:
    """Of numbers (n,); `prior` (n,) is what the model gives without any view."""
    y = y.astype(float)
    score = lambda w: r_squared(y, guess, weights=w)  # noqa: E731
    yield "r2", score(np.ones(len(y))), _interval(score, keys, (-np.inf, 1.0)), r_squared(y, prior)
    error, prior_error = abs(y - guess), abs(y - prior)
    low, high = _mean_interval(error**2, keys)
    ends = (None if low is None else low**0.5, None if high is None else high**0.5)
    yield "rmse", float((error**2).mean() ** 0.5), ends, float((prior_error**2).mean() ** 0.5)
    yield "mae", error.mean(), _mean_interval(error, keys), prior_error.mean()


def class_codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Places of the labels among the classes, int (n,); -1 for any other. 3.0 and "3" are one class."""
    from bouba.data.loader import encode

    return encode(y, classes.tolist()).numpy()


def _macro_f1(true: np.ndarray, guess: np.ndarray, classes: int, weights: np.ndarray) -> float:
    """F1 averaged over the classes that occur; `true` may be -1, one more class."""
    cells = np.bincount((true % classes) * classes + guess, weights, classes**2).reshape(classes, classes)
    total = cells.sum(0) + cells.sum(1)
    return float((2 * np.diag(cells)[total > 0] / total[total > 0]).mean())


def _binned(codes: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each row, and how much accuracy exceeds confidence in it."""
    confidence, correct = confidence_and_hits(codes, proba)
    return bin_of(confidence, BINS), correct - confidence


def _mean_interval(values: np.ndarray, keys: np.ndarray) -> Interval:
    """Over keys; none where there is one key only."""
    return interval(values, groups=keys) if len(set(keys)) > 1 else (None, None)


def _interval(
    statistic: Callable[[np.ndarray], float], keys: np.ndarray, bounds: tuple[float, float], size: float | None = None
) -> Interval:
    if len(set(keys)) < 2:
        return None, None
    low, high = bootstrap_weighted(statistic, keys, bounds=bounds, size=size)
    return (None, None) if np.isnan(low) else (low, high)


def _independent_rows(codes: np.ndarray, keys: np.ndarray) -> float:
    """Of a mean over classes: how many rows, the same number of each class, say as much; a group counts as one."""
    _, counts = np.unique(codes, return_counts=True)
    rows_a_key = len(keys) / len(np.unique(keys))
    return max(len(counts) ** 2 / float((1 / counts).sum()) / rows_a_key, 2.0)
