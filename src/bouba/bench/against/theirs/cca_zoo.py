"""cca-zoo's side."""

import numpy as np
from cca_zoo.linear import CCA, MCCA
from cca_zoo.model_selection import GridSearchCV
from cca_zoo.probabilistic import GFA
from cca_zoo.sparse import PMDCCA

PENALTIES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]


def cca(arrays):
    """Canonical variates of new rows."""
    fitted = CCA(n_components=5).fit([arrays["x"], arrays["y"]])
    z_x, z_y = fitted.transform([arrays["new_x"], arrays["new_y"]])
    return {"z_x": z_x, "z_y": z_y}


def sparse_cca(arrays):
    """Variates of new rows."""
    search = GridSearchCV(PMDCCA(random_state=0), {"l1_bound": PENALTIES}, cv=5).fit([arrays["x"], arrays["y"]])
    z_x, z_y = search.best_estimator_.transform([arrays["new_x"], arrays["new_y"]])
    return {"z_x": z_x, "z_y": z_y}


def three_views(arrays):
    """Variates of new rows."""
    fitted = MCCA(n_components=2).fit([arrays[v] for v in "xyz"])
    return dict(zip(("z_x", "z_y", "z_z"), fitted.transform([arrays[f"new_{v}"] for v in "xyz"])))


def group_factor_analysis(arrays):
    """Factors of the fitted and of new rows."""
    model = GFA(n_components=15, random_state=0).fit([arrays[v] for v in "xyz"])
    return {"factors": np.vstack([model.posterior_mean([arrays[n + v] for v in "xyz"]) for n in ("", "new_")])}
