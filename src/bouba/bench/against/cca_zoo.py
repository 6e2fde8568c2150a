"""cca-zoo: every flavour of canonical correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bouba.align import CCA
from bouba.bench.against.contest import Arrays, Contest, Peer

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


PEER = Peer(
    "cca-zoo",
    packages=("cca-zoo==4.0.1",),
    contests=(Contest("CCA", f"sum of {PLANTED} correlations, new rows", "its defaults", planted, cca, correlation),),
)
