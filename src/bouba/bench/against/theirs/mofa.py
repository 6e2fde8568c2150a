"""mofapy2's side."""

import contextlib
import io

import numpy as np
from mofapy2.run.entry_point import entry_point

NAMES = ("rna", "meth", "drugs")
TRAINING = 200
LEAST = 0.01  # of the variance that a shared factor explains in each view


def fitted(arrays, rows):
    """Factors (n, k), weights by view (d, k), means by view, from samples with rows of NaN where a view is absent."""
    with contextlib.redirect_stdout(io.StringIO()):
        model = entry_point()
        model.set_data_options(scale_views=False)
        model.set_data_matrix([[arrays[name][rows]] for name in NAMES], views_names=list(NAMES))
        model.set_model_options(factors=15, spikeslab_weights=True, ard_weights=True)
        model.set_train_options(iter=1000, convergence_mode="slow", dropR2=0.01, seed=1, quiet=True)
        model.build()
        model.run()
    factors = model.model.nodes["Z"].getExpectation()
    weights = model.model.nodes["W"].getExpectation()
    return factors, dict(zip(NAMES, weights)), {name: np.nanmean(arrays[name][rows], axis=0) for name in NAMES}


def factors(arrays):
    """Factors of all samples; it has no other way to give those of new samples than to fit them too."""
    return {"factors": fitted(arrays, slice(None))[0]}


def absent_view(arrays):
    """Drugs of the new samples."""
    z, weights, means = fitted(arrays, slice(None))
    return {"drugs": z[TRAINING:] @ weights["drugs"].T + means["drugs"]}


def variance_explained(arrays):
    """By the factors that explain LEAST of each view."""
    z, weights, means = fitted(arrays, slice(0, TRAINING))
    shares = []
    for name in NAMES:
        there = ~np.isnan(arrays[name][:TRAINING]).any(axis=1)
        values = arrays[name][:TRAINING][there] - means[name]
        one = [
            1 - ((values - np.outer(z[there, k], weights[name][:, k])) ** 2).sum() / (values**2).sum()
            for k in range(z.shape[1])
        ]
        shares.append(one)
    shared = np.flatnonzero((np.array(shares) >= LEAST).all(axis=0))
    total = []
    for name in NAMES:
        there = ~np.isnan(arrays[name][:TRAINING]).any(axis=1)
        values = arrays[name][:TRAINING][there] - means[name]
        fit = z[there][:, shared] @ weights[name][:, shared].T
        total.append(1 - ((values - fit) ** 2).sum() / (values**2).sum())
    return {"total": np.array(total)}


factors__probabilisticcca = factors
absent_view__probabilisticcca = absent_view
variance_explained__probabilisticcca = variance_explained
