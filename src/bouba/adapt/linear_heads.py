"""Linear heads for rows of a target, solved from labelled rows of a source in every closed form there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from bouba.adapt.coral_aligner import CORALAligner
from bouba.adapt.domain_aligner import DomainAligner, inverse, standardised
from bouba.adapt.importance import kernel_mean_matching, kliep
from bouba.adapt.jda import JDA
from bouba.adapt.subspace_aligner import SubspaceAligner
from bouba.adapt.tca import TCA
from bouba.adapt.transport_aligner import TransportAligner

NOTHING, STANDARDISED = "nothing", "standardised"
ALIGNERS: Mapping[str, DomainAligner] = {
    "coral": CORALAligner(),
    "subspace": SubspaceAligner(),
    "tca": TCA(),
    "jda": JDA(),
    "balanced": JDA(balance=None),
    "transport": TransportAligner(entropy=0.0),
    "entropic-transport": TransportAligner(),
    "class-transport": TransportAligner(purity=0.3),
    "unbalanced-transport": TransportAligner(mass=1.0),
}
WEIGHTS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean-matching": kernel_mean_matching,
    "likelihood-ratio": kliep,
}
WAYS = (NOTHING, STANDARDISED, *ALIGNERS, *WEIGHTS)
"""What a head for the target can be solved by: aligners, and weights of source rows."""
CHOSEN_AMONG = tuple(way for way in WAYS if way not in (NOTHING, "class-transport"))
"""Those whose predictions can be compared by how much they tell: "nothing" has rows of another unit, and what keeps
classes apart on purpose tells more by that alone."""
NEEDS_POT = tuple(name for name, aligner in ALIGNERS.items() if isinstance(aligner, TransportAligner))
MOST = 3_000  # rows of a domain that a way is solved on; drawn at random
STRENGTH = 1.0  # inverse penalty of a head on rows of length 1
NEVER = -30.0  # log odds of a class that no source row has

Head = tuple[np.ndarray, np.ndarray]
"""Weights (C, d) and bias (C,): of logits x W' + b."""


def target_head(way: str, source: np.ndarray, codes: np.ndarray, target: np.ndarray, classes: int) -> Head:
    """Logistic regression for rows of the target, as it is learnt from labelled rows of the source.

        source rows -> s(x), target rows -> t(y) = y A + c,    logits = t(y) V' + v = y (A V') + (c V' + v)

    s and t are those of an aligner, which all are affine for rows of the target, so that the head is one layer on
    target rows as they come. All ways but "nothing" begin with rows standardised in each domain by itself.

    Args:
        way: one of WAYS. source: (n, d). codes: (n,) of classes, two or more of them. target: (m, d), two or more.
        classes: C, codes being below.

    Raises:
        MissingExtraError: a way of transport without the extra `transport`.
    """
    if way == NOTHING:
        return _solved(source, codes, None, classes, source)
    z, _, _ = standardised(source)
    z_target, mean, deviation = standardised(target)
    weights = None
    scale, offset = np.diag(inverse(deviation)), -mean * inverse(deviation)  # y -> y scale + offset
    if way in WEIGHTS:
        length = np.sqrt(z.shape[1])
        weights = WEIGHTS[way](z / length, z_target / length)
    elif way in ALIGNERS:
        from sklearn.base import clone

        aligner = clone(ALIGNERS[way]).fit(z, z_target, labels=codes)
        z = aligner.transform(z, domain="source")
        origin = aligner.transform(np.zeros((1, len(mean))), domain="target")[0]
        turn = aligner.transform(np.eye(len(mean)), domain="target") - origin
        scale, offset = scale @ turn, offset @ turn + origin
    v, bias = _solved(z, codes, weights, classes, target @ scale + offset)
    return v @ scale.T, bias + v @ offset


def _solved(z: np.ndarray, codes: np.ndarray, weights: np.ndarray | None, classes: int, read: np.ndarray) -> Head:
    """Logistic regression of rows in the unit in which those that it will read have length 1, as a head on rows as they
    are: rows that transport has drawn together stay together, and the penalty holds what is learnt of them down."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean = z.mean(0)
    length = np.sqrt(((read - read.mean(0)) ** 2).sum(1).mean()) or 1.0
    with threadpool_limits(1):
        model = LogisticRegression(C=STRENGTH * len(z) / 1000, max_iter=300, tol=1e-3)
        model.fit((z - mean) / length, codes, sample_weight=weights)
    coef, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    w, bias = np.zeros((classes, z.shape[1])), np.full(classes, NEVER)
    w[model.classes_] = coef / length
    bias[model.classes_] = intercept - w[model.classes_] @ mean
    return w, bias


def probabilities(head: Head, rows: np.ndarray) -> np.ndarray:
    """(n, C) of rows (n, d)."""
    w, bias = head
    return softmax(rows @ w.T + bias, axis=1)


def drawn(rows: Any, random_state: int) -> np.ndarray:
    """At most MOST of so many rows, in order."""
    return np.sort(np.random.default_rng(random_state).permutation(rows)[:MOST])
