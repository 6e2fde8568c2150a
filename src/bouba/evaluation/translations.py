"""Are made items right, like real ones, various and new? In the space of a judge that was trained separately."""

from __future__ import annotations

from typing import Any

import numpy as np

from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.intervals import interval
from bouba.evaluation.model import Embeds, Translates, as_model
from bouba.evaluation.predictions import Interval, Scores, domains
from bouba.evaluation.result import Record, Result
from bouba.metrics import diversity, frechet_distance, novelty, r_precision
from bouba.metrics.similarity import unit_rows

K = 10  # of R-precision


def evaluate_translations(
    model: Translates,
    views: Views,
    *,
    judge: Embeds,
    training: Views | None = None,
    made: np.ndarray | None = None,
    method: str = "model",
    split: str = "test",
    by_domain: bool = True,
    seed: int | None = None,
    n: int = 3,
) -> Result:
    """How good the items are that a translator makes for held-out rows.

    Args:
        model: fitted.
        views: held-out rows; those without source or target, or with an imputed one, are left out.
        judge: in its space everything is measured. It must read the view `model.target_`, and should be fitted without
            the translator: what made the items would judge them kindly. Its `compared_by` is read where it has one;
            embeddings compared by cosine are scaled to length 1 first.
        training: the rows that the translator was fitted on; without them there is no novelty, and no chance of the
            Frechet distance.
        made: items of all `views` that were made before, (len(views), n, ...); they are drawn otherwise.
        method, split, seed: names for the records; items are drawn from `seed`.
        by_domain: judge each domain apart; a gallery then holds one domain's rows only.
        n: items a row, 2 or more.

    Returns:
        Records of direction "source->target", with 95% intervals over keys, see `interval`: "r_precision@10" (chance
        10 / rows), where there are more than 10 rows; "frechet_distance" of the first item of each row, which has no
        interval, and as chance what as many real training items of the domain give; "diversity" and "novelty" (from
        training items of all domains), which are left out where they are not defined: real items that are all alike, or
        of which half stand in the training. `meta` names the judge.

    Raises:
        DataError: no domain with two rows that have both views. ModalityError: rows without one of them.
    """
    views, made = _paired(model, views.observed(), made)
    random = np.random.default_rng(seed or 0)
    fields: dict[str, Any] = {"method": method, "split": split, "direction": f"{model.source_}->{model.target_}"}
    if made is None:
        made = model.translate(views.select(model.source_), n, random_state=seed or 0)
    space = _Space(judge, model.target_)
    z, true = space.of(made), space.of(model.truth(views))
    train_z, train_rows = None, {}
    if training is not None:
        training = _paired(model, training.observed(), None)[0]
        train_z, train_rows = space.of(model.truth(training)), dict(domains(training, by_domain))
    records = []
    for domain, rows in domains(views, by_domain):
        of_domain = None if train_z is None else train_z[train_rows.get(domain, [])]
        fields |= {"domain": domain, "n": len(rows), "seed": seed}
        scores = _scores(z[rows], true[rows], train_z, of_domain, views.things[rows], space.compared_by, random)
        for metric, value, (low, high), chance in scores:
            records.append(Record(**fields, metric=metric, value=value, low=low, high=high, chance=chance))
    if not records:
        raise DataError("no domain has two rows with source and target; judge them together: by_domain=False")
    return Result(records, environment(seed, fingerprint(views)) | {"judge": type(judge).__name__})


def _paired(model: Translates, views: Views, made: np.ndarray | None) -> tuple[Views, np.ndarray | None]:
    """The rows that have source and target, and what was made for them."""
    for name in (model.source_, model.target_):
        if name not in views.columns:
            raise ModalityError(
                f"items are judged by rows with view {name!r}, got {', '.join(map(repr, views.columns))}"
            )
    both = views[model.source_].present & views[model.target_].present
    if both.sum() < 2:
        raise DataError(
            f"items are judged by two rows or more that have {model.source_!r} and {model.target_!r}, got {both.sum()}"
        )
    return views[np.flatnonzero(both)], None if made is None else made[both]


class _Space:
    """Items of one view, embedded by a judge."""

    def __init__(self, judge: Embeds, view: str):
        self.judge, self.view = judge, view
        self.compared_by = as_model(judge).compared_by

    def of(self, items: np.ndarray) -> np.ndarray:
        """(rows, ...) pictures or vectors, or (rows, n, ...) of them -> (rows, d) or (rows, n, d)."""
        width, kind = (3, "image") if items.dtype == np.uint8 else (1, "vector")  # axes of one item
        flat = items.reshape(-1, *items.shape[-width:])
        column = Column.of(list(flat) if kind == "image" else flat, kind)
        z = self.judge.embed(Views({self.view: column}))[self.view].astype(np.float64)
        z = unit_rows(z) if self.compared_by == "cosine" else z
        return z.reshape(*items.shape[:-width], -1)


def _scores(
    z: np.ndarray,
    true: np.ndarray,
    training: np.ndarray | None,
    of_domain: np.ndarray | None,
    keys: np.ndarray,
    compared_by: str,
    random: np.random.Generator,
) -> Scores:
    """Of made items (rows, n, d) against true ones (rows, d), training items (m, d) and those of the domain (k, d)."""
    if len(true) > K:
        precision = r_precision(z, true, k=K, similarity=compared_by)
        yield f"r_precision@{K}", float(precision.mean()), _interval(precision, keys), K / len(true)
    chance = None
    if of_domain is not None:
        others = of_domain[random.permutation(len(of_domain))[: len(true)]]
        chance = frechet_distance(others, true) if len(others) > 1 else None
    yield "frechet_distance", frechet_distance(z[:, 0], true), (None, None), chance
    try:
        spread = diversity(z, true)
        yield "diversity", float(spread.mean()), _interval(spread, keys), None
    except DataError:  # one item a row, or real items that are all alike
        pass
    try:
        if training is not None:
            new = novelty(z, training, true)
            yield "novelty", float(new.mean()), _interval(new, keys), None
    except DataError:  # the held-out items stand in the training
        pass


def _interval(values: np.ndarray, keys: np.ndarray) -> Interval:
    """Over keys; none where there is one key only."""
    return interval(values, groups=keys) if len(set(keys)) > 1 else (None, None)
