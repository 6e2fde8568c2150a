"""Which of several models to take for a target domain without labels, and how far the answer can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax, xlogy
from scipy.stats import spearmanr

from bouba.adapt.evidence import correctness, density_ratio, embedded, of_label, predicts_label, read_by
from bouba.data.target import Target, hide, source_only
from bouba.data.views import Views
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.abilities import temperature_of
from bouba.evaluation.model import as_model
from bouba.evaluation.table import text_table
from bouba.metrics import proxy_a_distance
from bouba.metrics.similarity import similarities

CRITERIA = ("source", "entropy", "information", "proxy a-distance", "importance weighted", "dev")
MOST = 2000  # rows of a domain that distances and weights are measured on


@dataclass(frozen=True)
class Ranking:
    """The score of each model by each criterion; higher is better for all of them.

    Args:
        scores: criterion -> model -> score; NaN where the criterion is not defined for the model.
        truth: model -> score on labelled target rows, where they were given for analysis.
    """

    scores: Mapping[str, Mapping[str, float]]
    truth: Mapping[str, float] | None = None

    def best(self, criterion: str) -> str:
        """The model that a criterion chooses; of equals the first.

        Raises:
            UsageError: no such criterion. DataError: it is defined for no model.
        """
        if criterion not in self.scores:
            raise UsageError(f"no criterion {criterion!r}{nearest(criterion, self.scores)}")
        defined = {name: score for name, score in self.scores[criterion].items() if not np.isnan(score)}
        if not defined:
            raise DataError(f"{criterion} is defined for none of these models; choose by {self._defined()}")
        return max(defined, key=lambda name: defined[name])

    def spearman(self) -> dict[str, float]:
        """criterion -> rank correlation with the truth, in [-1, 1]; NaN where either does not vary."""
        truth = self._required_truth()
        correlations = {}
        for criterion, scores in self.scores.items():
            names = [name for name in truth if not np.isnan(scores[name])]
            pairs = np.array([[scores[name], truth[name]] for name in names]).reshape(-1, 2)
            varies = len(pairs) > 1 and bool((np.ptp(pairs, axis=0) > 0).all())
            correlations[criterion] = float(spearmanr(*pairs.T).statistic) if varies else np.nan
        return correlations

    def regret(self) -> dict[str, float]:
        """criterion -> how much worse than the best model of all its choice is on the target, 0 or more."""
        truth = self._required_truth()
        defined = [c for c, scores in self.scores.items() if not all(map(np.isnan, scores.values()))]
        return {criterion: max(truth.values()) - truth[self.best(criterion)] for criterion in defined}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; None where a criterion is not defined."""
        plain = lambda scores: {k: None if np.isnan(v) else v for k, v in scores.items()}  # noqa: E731
        out: dict[str, Any] = {"scores": {criterion: plain(scores) for criterion, scores in self.scores.items()}}
        if self.truth is not None:
            out |= {"truth": dict(self.truth), "spearman": plain(self.spearman()), "regret": self.regret()}
        return out

    def __str__(self) -> str:
        names = list(next(iter(self.scores.values())))
        columns = {**self.scores, **({} if self.truth is None else {"truth": self.truth})}
        lines = [[name, *(_cell(scores[name]) for scores in columns.values())] for name in names]
        if self.truth is not None:
            for title, values in (("Spearman with truth", self.spearman()), ("regret", self.regret())):
                lines.append([title, *(_cell(values.get(criterion, np.nan)) for criterion in columns)])
        return text_table(["model", *columns], lines, labels=1)

    def _required_truth(self) -> Mapping[str, float]:
        if self.truth is None:
            raise UsageError("there is no truth to compare with; give rank(..., truth=labelled target rows)")
        return self.truth

    def _defined(self) -> str:
        return ", ".join(c for c, scores in self.scores.items() if not all(map(np.isnan, scores.values()))) or "hand"


def rank(
    models: Mapping[str, Any],
    views: Views,
    *,
    target: Target,
    label: str | None = None,
    truth: Views | None = None,
    random_state: int = 0,
) -> Ranking:
    """Score fitted models for a target domain without its labels.

        source               mean s_i over source rows; s_i is 1 where the label is predicted, or the reciprocal rank
        entropy              - mean_t H(p_t), p_t the prediction for target cell t
        information          H(mean_t p_t) - mean_t H(p_t)
        proxy a-distance     - 2 (1 - 2 err) of a classifier of source against target embeddings
        importance weighted  1 - mean_i w_i (1 - s_i)
        dev                  1 - [mean_i w_i l_i + eta (mean_i w_i - 1)],  l = 1 - s,  eta = - cov(w l, w) / var(w)

    w_i estimates p_target(z_i) / p_source(z_i) by a classifier of domains that was fitted without row i. Models that
    predict a label are judged by it. Of others, whose views share one space, p_t is the distribution over what target
    cell t may be paired with among the source rows' cells of another view, at the temperature of the model.

    No criterion is safe. Source validation says nothing about the target. Entropy and a small A-distance are also what
    a model has that maps everything onto one point, and information forbids only the one point, not the wrong classes;
    weights fail where the domains hardly overlap. Use several; a model that all of them rank high is a good bet. What
    holds for one pair of domains (`truth`, `Ranking.spearman`) may not hold for another.

    Args:
        models: name -> fitted model with `embed`, or `predict_proba` and `predict`, or both.
        views: rows of source and target that were not trained on. Labels, captions, keys and pairings of the target
            are dropped before anything is computed; see data/target.py.
        target: which domain is the target.
        label: the label column by which predictions are judged; the model's only one when None.
        truth: labelled (or paired) target rows, to measure afterwards how well each criterion ranks the models.
            They change no score.
        random_state: of folds, and of the rows that are drawn of large domains.

    Returns:
        A Ranking, which prints as a table; `.best(criterion)` is the name of a model.

    Raises:
        UsageError: no model, or one that neither predicts nor embeds. DataError: no such domain, or no labelled row of
        the source.

    References: Sugiyama, Krauledat and Mueller 2007, Covariate Shift Adaptation by Importance Weighted Cross Validation
    (importance weighted; departures: weights by logistic regression on embeddings, clipped); You et al. 2019, Towards
    Accurate Model Selection in Deep Unsupervised Domain Adaptation, equation 7 (dev); Shi and Sha 2012,
    Information-Theoretical Learning of Discriminative Clusters (information); Ben-David et al. 2007 (A-distance).
    """
    if not models:
        raise UsageError("rank needs a model or more, got none; give {name: fitted model}")
    hidden, is_target = hide(views, target, random_state=random_state)
    sides = _Sides(source_only(views, target), hidden[is_target], label, random_state)
    by_model = {name: _scores(model, sides) for name, model in models.items()}
    scores = {criterion: {name: by_model[name][criterion] for name in models} for criterion in CRITERIA}
    if truth is None:
        return Ranking(scores)
    return Ranking(scores, {name: float(np.mean(correctness(m, truth, label)[0])) for name, m in models.items()})


def select(
    models: Mapping[str, Any], views: Views, *, target: Target, by: str = "information", label: str | None = None
) -> str:
    """The name of the model that one criterion of `rank` chooses for a target domain without labels.

    Information is the default for what it forbids: entropy is also best for a model that calls all one class, and
    source accuracy hardly differs between models. `bouba bench usps` and `bouba bench mnist-m` measure what the choice
    by each criterion costs; docs/adapt.md has the tables.

    Raises:
        As `rank`; UsageError: no such criterion.
    """
    if by not in CRITERIA:
        raise UsageError(f"no criterion {by!r}{nearest(by, CRITERIA)}")
    return rank(models, views, target=target, label=label).best(by)


@dataclass(frozen=True)
class _Sides:
    """Source rows with their labels, target rows without labels, keys and pairings."""

    source: Views
    target: Views
    label: str | None
    random_state: int

    def draw(self, rows: np.ndarray) -> np.ndarray:
        """At most MOST of these rows, in order."""
        return drawn(rows, self.random_state)


def drawn(rows: np.ndarray, random_state: int = 0) -> np.ndarray:
    """At most MOST of these rows, in order."""
    random = np.random.default_rng(random_state)
    return rows if len(rows) <= MOST else rows[np.sort(random.choice(len(rows), MOST, replace=False))]


def _scores(model: Any, sides: _Sides) -> dict[str, float]:
    """criterion -> score of one model."""
    correct, rows = correctness(model, sides.source, sides.label)
    p = target_distributions(model, sides.source, sides.target, sides.label)
    entropy = np.nan if p is None else float(-xlogy(p, p).sum(1).mean())
    scores = {
        "source": float(correct.mean()),
        "entropy": -entropy,
        "information": np.nan if p is None else information(p),
    }
    distances, weighted, controlled = [], [], []
    source, target = embedded(model, sides.source), embedded(model, sides.target)
    for view in source.keys() & target.keys():
        present = {s: np.flatnonzero(v[view].present) for s, v in (("source", sides.source), ("target", sides.target))}
        a, b = sides.draw(present["source"]), sides.draw(present["target"])
        if min(len(a), len(b)) < 2:
            continue
        z = source[view][a], target[view][b]
        distances.append(proxy_a_distance(*z, random_state=sides.random_state))
        weight = dict(zip(a.tolist(), density_ratio(*z, random_state=sides.random_state), strict=True))
        weighted_rows = np.isin(rows, a)
        if weighted_rows.sum() > 1:
            w, loss = np.array([weight[row] for row in rows[weighted_rows].tolist()]), 1 - correct[weighted_rows]
            weighted.append(1 - float(np.mean(w * loss)))
            controlled.append(1 - dev_risk(w, loss))
    average = lambda values: float(np.mean(values)) if values else np.nan  # noqa: E731
    return {
        **scores,
        "proxy a-distance": -average(distances),
        "importance weighted": average(weighted),
        "dev": average(controlled),
    }


def information(p: np.ndarray) -> float:
    """How much predictions tell: H(mean_t p_t) - mean_t H(p_t), in nats; from 0, the same for all rows, to ln C.

    Args:
        p: (n, C) probabilities.

    Reference: Shi and Sha 2012, Information-Theoretical Learning of Discriminative Clusters.

    >>> round(information(np.eye(2)), 4), information(np.full((2, 2), 0.5))  # ln 2, nothing
    (0.6931, 0.0)
    """
    mean = p.mean(0)
    return float(xlogy(p, p).sum(1).mean() - xlogy(mean, mean).sum())


def dev_risk(weights: np.ndarray, losses: np.ndarray) -> float:
    """The importance-weighted mean of losses, with a control variate: the mean of the weights, which should be 1.

        mean w l + eta (mean w - 1),    eta = - cov(w l, w) / var(w)

    Args:
        weights: (n,) density ratios, whose mean is 1 in expectation. losses: (n,).

    Reference: You, Wang, Long and Jordan 2019, Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation,
    equation 7.

    >>> dev_risk(np.array([1.0, 3.0]), np.array([0.5, 0.5]))  # mean w l = 1, but weights are twice too large
    0.5
    """
    product = weights * losses
    variance = np.var(weights)
    eta = -np.mean((product - product.mean()) * (weights - weights.mean())) / variance if variance > 0 else 0.0
    return float(product.mean() + eta * (weights.mean() - 1))


def target_distributions(model: Any, source: Views, target: Views, label: str | None) -> np.ndarray | None:
    """(cells, C) probabilities that the model gives each target cell; None where it gives none.

    Predictions of a label; or, of a model that aligns, which of the source's cells of another view it is paired with.
    Where several views can be the query, the first of `target` that has cells; up to MOST cells, drawn, of either side.
    """
    if predicts_label(model):
        return of_label(model, model.predict_proba(read_by(model, target)), label, source)[1].astype(float)
    tau = temperature_of(model)
    z, gallery = embedded(model, target), embedded(model, source)
    if tau is None or not as_model(model).aligns:
        return None
    for query in (name for name in z if target[name].present.any()):
        others = [name for name in gallery if name != query and source[name].present.any()]
        if others:
            candidates = drawn(np.unique(gallery[others[0]][source[others[0]].present], axis=0))
            cells = drawn(z[query][target[query].present])
            return softmax(similarities(cells, candidates, as_model(model).compared_by) / tau, axis=1)
    return None


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
