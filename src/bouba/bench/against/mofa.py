"""MOFA2 (mofapy2): factors of multi-omics by variational Bayes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bouba.align import CCA, ProbabilisticCCA, factors, variance_explained
from bouba.bench.against.contest import Arrays, Contest, Peer
from bouba.data import Column, Views

SHARED = 3
WIDTHS = {"rna": 300, "meth": 150, "drugs": 40}
TRAINING, NEW = 200, 100
LEAST = 0.01  # of the variance that a shared factor explains in each view, as in MOFA's answer
RIDGE = 0.9  # of .1, .3, .5, .7, .9 the best on cohorts of seeds 100 to 102, which are not judged


def cohort(seed: int, folder: Path | None) -> Arrays:
    """TRAINING + NEW samples with SHARED factors in all views and two more in each alone; half of the weights are 0. In
    training each view lacks 30% of the samples; new samples have RNA and methylation, and no drugs."""
    random = np.random.default_rng(seed)
    n = TRAINING + NEW
    shared = random.normal(size=(n, SHARED))
    arrays: dict[str, np.ndarray] = {"judge_factors": shared}
    for name, width in WIDTHS.items():
        z = np.hstack([shared, random.normal(size=(n, 2))])
        weights = random.normal(size=(SHARED + 2, width)) * (random.random((SHARED + 2, width)) < 0.5)
        values = z @ weights + 1.5 * random.normal(size=(n, width))
        lacks = random.random(n) < 0.3
        lacks[TRAINING:] = name == "drugs"
        arrays[f"judge_{name}"] = values
        arrays[name] = np.where(lacks[:, None], np.nan, values)
    return arrays


def views_of(arrays: Arrays) -> Views:
    """Rows of NaN as missing cells."""
    present = {name: ~np.isnan(arrays[name]).any(axis=1) for name in WIDTHS}
    columns = {name: Column.of(np.nan_to_num(arrays[name]), "vector", has) for name, has in present.items()}
    return Views(columns)


def fitted(arrays: Arrays, components: int) -> tuple[CCA, Views]:
    """Of the training samples; and all samples."""
    views = views_of(arrays)
    return CCA(components, ridge=RIDGE).fit(views[:TRAINING]), views


def factors_of(arrays: Arrays) -> Arrays:
    """Factors of all samples."""
    model, views = fitted(arrays, SHARED)
    return {"factors": factors(model, views)}


def recovered(arrays: Arrays, answers: Arrays) -> float:
    """Mean R2 of the planted shared factors by least squares on those found, of new samples, fitted on training."""
    truth, found = arrays["judge_factors"], np.c_[answers["factors"], np.ones(TRAINING + NEW)]
    weights = np.linalg.lstsq(found[:TRAINING], truth[:TRAINING], rcond=None)[0]
    error = ((found[TRAINING:] @ weights - truth[TRAINING:]) ** 2).sum(0)
    return float((1 - error / ((truth[TRAINING:] - truth[TRAINING:].mean(0)) ** 2).sum(0)).mean())


def absent(arrays: Arrays) -> Arrays:
    """Drugs of the new samples, which have none."""
    model, views = fitted(arrays, SHARED)
    return {"drugs": model.predict(views[TRAINING:].select("rna", "meth"), to="drugs")}


def given_back(arrays: Arrays, answers: Arrays) -> float:
    """R2 of the drugs of new samples."""
    truth = arrays["judge_drugs"][TRAINING:]
    return float(1 - ((answers["drugs"] - truth) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum())


def shares(arrays: Arrays) -> Arrays:
    """The share of each view's variance that the shared factors explain in training."""
    model, views = fitted(arrays, SHARED)
    return {"total": variance_explained(model, views[:TRAINING]).total}


def share_error(arrays: Arrays, answers: Arrays) -> float:
    """Mean absolute difference from what the planted shared factors explain by least squares."""
    true = []
    for name in WIDTHS:
        values = arrays[f"judge_{name}"][:TRAINING]
        design = np.c_[arrays["judge_factors"][:TRAINING], np.ones(TRAINING)]
        rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        true.append(1 - (rest**2).sum() / ((values - values.mean(0)) ** 2).sum())
    return float(np.abs(answers["total"] - true).mean())


def probabilistic(arrays: Arrays) -> tuple[ProbabilisticCCA, Views]:
    """Of the training samples, all as it comes; and all samples."""
    views = views_of(arrays)
    return ProbabilisticCCA().fit(views[:TRAINING]), views


def probabilistic_factors(arrays: Arrays) -> Arrays:
    """Factors of all samples, those of one view included, as in MOFA's answer."""
    model, views = probabilistic(arrays)
    return {"factors": factors(model, views)}


def probabilistic_absent(arrays: Arrays) -> Arrays:
    """Drugs of the new samples."""
    model, views = probabilistic(arrays)
    return {"drugs": model.predict(views[TRAINING:].select("rna", "meth"), to="drugs")}


def probabilistic_shares(arrays: Arrays) -> Arrays:
    """By the factors that explain LEAST of each view, as in MOFA's answer."""
    model, views = probabilistic(arrays)
    shares = variance_explained(model, views[:TRAINING]).shares
    return {"total": shares[:, (shares >= LEAST).all(axis=0)].sum(axis=1)}


SETTINGS = (
    "15 factors to start with, those of less than 1% dropped, views as they are, spike-and-slab weights, "
    "convergence slow; bouba: CCA(3, ridge=0.9), the ridge chosen on cohorts that are not judged"
)
PROBABILISTIC = "MOFA as above; bouba: ProbabilisticCCA() as it comes, rehearsed on cohorts that are not judged"
PEER = Peer(
    "mofa",
    packages=("mofapy2==0.7.5",),
    contests=(
        Contest("factors", "mean R2 of 3 planted factors, new samples", SETTINGS, cohort, factors_of, recovered),
        Contest("absent view", "R2 of the absent view, new samples", SETTINGS, cohort, absent, given_back),
        Contest(
            "variance explained",
            "mean error of the share that shared factors explain",
            f"{SETTINGS}; MOFA's shared factors are those that explain 1% of each view",
            cohort,
            shares,
            share_error,
            lowest=True,
        ),
        Contest(
            "factors, ProbabilisticCCA",
            "mean R2 of 3 planted factors, new samples",
            PROBABILISTIC,
            cohort,
            probabilistic_factors,
            recovered,
        ),
        Contest(
            "absent view, ProbabilisticCCA",
            "R2 of the absent view, new samples",
            PROBABILISTIC,
            cohort,
            probabilistic_absent,
            given_back,
        ),
        Contest(
            "variance explained, ProbabilisticCCA",
            "mean error of the share that shared factors explain",
            f"{PROBABILISTIC}; shared factors are those that explain 1% of each view, on both sides",
            cohort,
            probabilistic_shares,
            share_error,
            lowest=True,
        ),
    ),
    note="muon is a front of mofapy2 for MuData and fits the same model, so it is not run by itself.",
)
