"""cca-zoo: every flavour of canonical correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bouba.align import CCA, ProbabilisticCCA, SparseCCA, factors
from bouba.bench.against.contest import Arrays, Contest, Peer
from bouba.data.samples import correlated

PLANTED = 5


def planted(seed: int, folder: Path | None) -> Arrays:
    """2,000 rows of two views that share PLANTED directions, and as many new ones."""
    random = np.random.default_rng(seed)
    weights = [random.normal(size=(PLANTED, width)) for width in (60, 40)]

    def rows() -> list[np.ndarray]:
        shared = random.normal(size=(2000, PLANTED))
        return [shared @ w + 3 * random.normal(size=(2000, w.shape[1])) for w in weights]

    (x, y), (new_x, new_y) = rows(), rows()
    return {"x": x, "y": y, "new_x": new_x, "new_y": new_y}


def cca(arrays: Arrays) -> Arrays:
    """Canonical variates of new rows."""
    fitted = CCA(PLANTED, ridge=0.0).fit([arrays["x"], arrays["y"]])
    z_x, z_y = fitted.transform([arrays["new_x"], arrays["new_y"]])
    return {"z_x": z_x, "z_y": z_y}


def correlation(arrays: Arrays, answers: Arrays) -> float:
    """Sum over the pairs of variates of how they correlate over new rows."""
    pairs = zip(answers["z_x"].T, answers["z_y"].T, strict=True)
    return float(sum(abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs))


def few_columns(seed: int, folder: Path | None) -> Arrays:
    """150 rows of 150 + 100 columns, of which three each share a correlation of .9, and 1,000 new rows."""
    views, truth = correlated(150, (0.9,), widths={"x": 150, "y": 100}, nonzero=3, random_state=seed)
    new = truth.draw(1000, random_state=seed + 1000)
    return {f"{new_}{v}": np.stack(list(of[v])) for new_, of in (("", views), ("new_", new)) for v in "xy"}


def sparse(arrays: Arrays) -> Arrays:
    """Variates of new rows."""
    fitted = SparseCCA(1).fit([arrays["x"], arrays["y"]])
    z_x, z_y = fitted.transform([arrays["new_x"], arrays["new_y"]])
    return {"z_x": z_x, "z_y": z_y}


def three(seed: int, folder: Path | None) -> Arrays:
    """300 rows of three views that share two directions, and 2,000 new ones."""
    views, truth = correlated(300, (0.8, 0.5), widths={"x": 20, "y": 15, "z": 10}, random_state=seed)
    new = truth.draw(2000, random_state=seed + 1000)
    return {f"{new_}{v}": np.stack(list(of[v])) for new_, of in (("", views), ("new_", new)) for v in "xyz"}


def several(arrays: Arrays) -> Arrays:
    """Variates of new rows."""
    fitted = CCA(2).fit([arrays[v] for v in "xyz"])
    return dict(zip(("z_x", "z_y", "z_z"), fitted.transform([arrays[f"new_{v}"] for v in "xyz"]), strict=True))


def mean_correlation(arrays: Arrays, answers: Arrays) -> float:
    """Sum over components of the mean over pairs of views."""
    pairs = [("z_x", "z_y"), ("z_x", "z_z"), ("z_y", "z_z")]
    return float(np.mean([correlation(arrays, {"z_x": answers[a], "z_y": answers[b]}) for a, b in pairs]))


def cohort(seed: int, folder: Path | None) -> Arrays:
    """150 rows, nothing missing, of three views with three shared factors and two of each alone; as many new ones."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(300, 3))
    arrays: dict[str, np.ndarray] = {"judge_factors": shared}
    for name, width in (("x", 60), ("y", 40), ("z", 20)):
        z = np.hstack([shared, random.normal(size=(300, 2))])
        values = z @ random.normal(size=(5, width)) + 1.5 * random.normal(size=(300, width))
        arrays |= {name: values[:150], f"new_{name}": values[150:]}
    return arrays


def factor_analysis(arrays: Arrays) -> Arrays:
    """Factors of the fitted and of new rows."""
    model = ProbabilisticCCA().fit({v: arrays[v] for v in "xyz"})
    new = factors(model, {v: arrays[f"new_{v}"] for v in "xyz"})
    return {"factors": np.vstack([factors(model, {v: arrays[v] for v in "xyz"}), new])}


def recovered(arrays: Arrays, answers: Arrays) -> float:
    """Mean R2 of the planted shared factors of new rows, by least squares on those found, fitted on the first rows."""
    truth, found = arrays["judge_factors"], np.c_[answers["factors"], np.ones(300)]
    weights = np.linalg.lstsq(found[:150], truth[:150], rcond=None)[0]
    error = ((found[150:] @ weights - truth[150:]) ** 2).sum(0)
    return float((1 - error / ((truth[150:] - truth[150:].mean(0)) ** 2).sum(0)).mean())


PEER = Peer(
    "cca-zoo",
    packages=("cca-zoo==4.0.1",),
    contests=(
        Contest("CCA", f"sum of {PLANTED} correlations, new rows", "its defaults", planted, cca, correlation),
        Contest(
            "sparse CCA",
            "correlation, new rows",
            "PMDCCA, its bound chosen of .1 to 1 by its grid search in five folds; bouba: SparseCCA(1)",
            few_columns,
            sparse,
            correlation,
        ),
        Contest(
            "three views",
            "sum of 2 mean correlations, new rows",
            "MCCA, its defaults",
            three,
            several,
            mean_correlation,
            seeds=3,
        ),
        Contest(
            "group factor analysis",
            "mean R2 of 3 planted factors, new rows",
            "GFA of 15 factors, its defaults; bouba: ProbabilisticCCA()",
            cohort,
            factor_analysis,
            recovered,
            seeds=3,
        ),
    ),
    note="Its PartialCCA, TCCA and other sparse variants have no counterpart here.",
)
