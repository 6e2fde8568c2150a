"""How far two domains lie apart for a model, before adaptation and after, and what it cost on the source."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bouba.adapt.evidence import correctness, embedded, predicts_label
from bouba.data.target import Target, hide, source_only
from bouba.data.views import Views
from bouba.errors import DataError
from bouba.evaluation.features import raw_features
from bouba.evaluation.intervals import paired_difference
from bouba.evaluation.model import as_model
from bouba.evaluation.table import text_table
from bouba.metrics import proxy_a_distance
from bouba.metrics.similarity import unit_rows

MOST = 500  # rows of a domain that are compared


@dataclass(frozen=True)
class Shift:
    """How far source and target lie apart in one view.

    Args:
        view: which. space: "raw", "before" or "after".
        a_distance: proxy A-distance, 0 (cannot be told apart) to 2. mmd: squared, near 0 where there is no shift.
        p: share of random splits of the same rows with an MMD as large: below 0.05 the domains differ.
        source, target: rows compared.
    """

    view: str
    space: str
    a_distance: float
    mmd: float
    p: float
    source: int
    target: int


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; prints as a table.

    Args:
        shifts: one for each view and space.
        source_score: on source rows; None where none can be judged. measure: "accuracy", or "mean reciprocal rank" of
            true partners.
        before_score: that of the model given as `before`; None without. lost: its interval, (low, high) of
            before_score - source_score.
    """

    shifts: tuple[Shift, ...]
    source_score: float | None = None
    before_score: float | None = None
    lost: tuple[float, float] | None = None
    measure: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        header = ["view", "space", "A-distance", "MMD^2", "p", "source", "target"]
        lines = [
            [s.view, s.space, f"{s.a_distance:.2f}", f"{s.mmd:.4f}", f"{s.p:.3f}", str(s.source), str(s.target)]
            for s in self.shifts
        ]
        table = text_table(header, lines, labels=2)
        if self.source_score is None:
            return table
        scores = f"\n\n{self.measure} on the source: {self.source_score:.3f}"
        if self.before_score is not None and self.lost is not None:
            low, high = self.lost
            scores += f", {self.before_score:.3f} before (lost {low:+.3f} to {high:+.3f})"
        return table + scores


def diagnose(
    model: Any,
    views: Views,
    *,
    target: Target,
    before: Any = None,
    label: str | None = None,
    permutations: int = 200,
    random_state: int = 0,
) -> Diagnosis:
    """Do source and target look alike to the model, did they before, and is it still good on the source?

    For each view the proxy A-distance and the MMD (kernel "multi" of terms.mmd, on rows of length one; standardised for
    raw numbers) between up to 500 rows a domain. A small distance is what adaptation aims for but no proof that it
    works: a model that maps everything onto one point has it too, so read it together with the score on the source.
    Distances of different spaces are comparable as A-distances, and as MMDs roughly: the kernel's width follows each
    space.

    Args:
        model: fitted, with `embed`.
        views: rows of both domains, best such that were not trained on. Labels and pairings of the target are dropped.
        target: which domain is the target.
        before: a model trained on the source only. Without it "before" are the raw numbers of each view, where its
            tower has such a form.
        label: the label column that is judged; when None, the mean over all of classes that the model predicts.
        permutations: random splits for p. random_state: of these, of folds, and of the rows drawn.

    Returns:
        A Diagnosis. Warns where the score on the source is lower than that of `before` and the 95% interval of the
        difference, over the same rows, leaves out 0.

    Raises:
        DataError: no such domain, or no view that both domains have.

    References: Ben-David et al. 2007, Analysis of representations for domain adaptation; Gretton et al. 2012, A Kernel
    Two-Sample Test, section 8 (p by permutation).
    """
    hidden, is_target = hide(views, target, random_state=random_state)
    source, other = source_only(views, target), hidden[is_target]
    spaces = {} if before is None else {"before": (embedded(before, source), embedded(before, other))}
    spaces["after"] = (embedded(model, source), embedded(model, other))
    shifts = []
    for view in spaces["after"][0]:
        a, b = source[view].present, other[view].present
        if view not in spaces["after"][1] or min(a.sum(), b.sum()) < 2:
            continue
        samples = {}
        if before is None:
            raw_source, raw_target = raw_features(model, source, view), raw_features(model, other, view)
            if raw_source is not None and raw_target is not None:
                samples["raw"] = standardised(raw_source, raw_target)
        for space, (z_source, z_target) in spaces.items():
            if view in z_source and view in z_target:
                samples[space] = unit_rows(z_source[view][a].astype(float)), unit_rows(z_target[view][b].astype(float))
        for space, pair in samples.items():
            shifts.append(shift(view, space, *pair, permutations=permutations, random_state=random_state))
    if not shifts:
        raise DataError(f"no view has two cells or more in the target {target!r} and in the source; nothing to compare")
    return Diagnosis(tuple(shifts), **_source_scores(model, before, source, label))


def shift(
    view: str, space: str, z_source: np.ndarray, z_target: np.ndarray, *, permutations: int, random_state: int
) -> Shift:
    """The numbers of one view in one space, from up to MOST evenly drawn rows of each domain."""
    random = np.random.default_rng(random_state)
    a, b = (z[random.permutation(len(z))[:MOST]] for z in (z_source, z_target))
    value, p = mmd_test(a, b, permutations=permutations, random_state=random_state)
    return Shift(view, space, proxy_a_distance(a, b, random_state=random_state), value, p, len(a), len(b))


def mmd_test(a: np.ndarray, b: np.ndarray, *, permutations: int = 200, random_state: int = 0) -> tuple[float, float]:
    """The unbiased squared MMD of two samples and its p-value, for the five kernels of `terms.mmd(kernel="multi")`.

        p = (1 + number of random splits of the pooled rows with an MMD as large) / (1 + permutations)

    The kernel matrix of the pooled rows is made once; a split costs one product with it.

    Args:
        a: (n, D). b: (m, D); two rows or more each. permutations: how many splits.

    Returns:
        (MMD^2, p); p of samples of one distribution is uniform.

    Reference: Gretton et al. 2012, A Kernel Two-Sample Test, section 8.

    >>> a, b = np.random.default_rng(0).normal(size=(2, 60, 3))
    >>> mmd_test(a, b)[1] > 0.05, mmd_test(a, b + 1)[1] < 0.01
    (True, True)
    """
    import torch

    from bouba.terms.mmd import SHARES, median_squared_distance

    n, m = len(a), len(b)
    pooled = np.concatenate([a, b]).astype(float)
    spread = median_squared_distance(torch.from_numpy(pooled[:n]), torch.from_numpy(pooled[n:]))
    half = np.einsum("nd,nd->n", pooled, pooled) / 2
    exponents = np.minimum(pooled @ pooled.T - half[:, None] - half, 0.0)  # - |x - y|^2 / 2
    kernel = np.mean([np.exp(exponents / (share * spread)) for share in SHARES], axis=0)
    np.fill_diagonal(kernel, 0.0)
    random = np.random.default_rng(random_state)
    first = np.zeros((1 + permutations, n + m))  # 1 where a row is in the first sample
    first[0, :n] = 1
    for row in first[1:]:
        row[random.permutation(n + m)[:n]] = 1
    with_first = first @ kernel  # (permutations + 1, n + m)
    within_a = np.einsum("pn,pn->p", with_first, first)
    between = with_first.sum(1) - within_a
    within_b = kernel.sum() - within_a - 2 * between
    values = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    return float(values[0]), float((values >= values[0] - 1e-12).mean())


def standardised(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean 0 and deviation 1 of both pooled, column by column; constant columns are 0."""
    pooled = np.concatenate([a, b]).astype(float)
    scale = pooled.std(0)
    pooled = (pooled - pooled.mean(0)) / np.where(scale > 1e-12, scale, 1.0)
    return pooled[: len(a)], pooled[len(a) :]


def _source_scores(model: Any, before: Any, source: Views, label: str | None) -> Mapping[str, Any]:
    """Arguments of Diagnosis, none where no row can be judged; warns where the model lost."""
    if not (predicts_label(model) or as_model(model).aligns):
        return {}
    measure = "accuracy" if predicts_label(model) else "mean reciprocal rank"
    try:
        after, rows = correctness(model, source, label)
    except DataError:  # numbers are predicted, or no row has the label or a pair
        return {}
    if before is None:
        return {"source_score": float(after.mean()), "measure": measure}
    prior, prior_rows = correctness(before, source, label)
    common = np.intersect1d(rows, prior_rows)
    pairs = (prior, prior_rows), (after, rows)
    prior, after = (values[np.isin(of_rows, common)] for values, of_rows in pairs)
    _, low, high, _ = paired_difference(prior, after, groups=source.things[common])
    if low > 0:
        warnings.warn(
            f"on the source this model scores {after.mean():.3f}, the one before {prior.mean():.3f} (lost {low:.3f} to "
            f"{high:.3f}): adaptation costs what was learnt; lower its weight",
            stacklevel=3,  # who called diagnose
        )
    scores = {"source_score": float(after.mean()), "before_score": float(prior.mean())}
    return {**scores, "lost": (low, high), "measure": measure}
