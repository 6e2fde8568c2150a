"""Views with known canonical correlations: the population is what it says, and CCA finds it."""

import numpy as np
import pytest
from scipy import linalg

import bouba
from bouba.align import CCA
from bouba.data.samples import correlated
from bouba.errors import DataError, UsageError

RHO = (0.9, 0.6, 0.3)


def root(s):
    """S^-1/2."""
    values, vectors = np.linalg.eigh(s)
    return vectors / np.sqrt(values) @ vectors.T


@pytest.mark.parametrize("within", [0.0, 0.7])
@pytest.mark.parametrize("nonzero", [None, 3, 5])
def test_definition_canonical_correlations_of_the_population(within, nonzero):
    """By the singular values of the whitened covariance; and all covariances together are one of some numbers."""
    _, truth = correlated(10, RHO, widths=(9, 6, 7), nonzero=nonzero, within=within)
    names = list(truth.weights)
    for a, b in [(names[0], names[1]), (names[1], names[2])]:
        agree = root(truth.covariance(a, a)) @ truth.covariance(a, b) @ root(truth.covariance(b, b))
        np.testing.assert_allclose(np.linalg.svd(agree, compute_uv=False)[:4], [*RHO, 0], atol=1e-8)
    for name, w in truth.weights.items():
        np.testing.assert_allclose(w.T @ truth.covariance(name, name) @ w, np.eye(3), atol=1e-9)
        most, apart = nonzero or len(w), 3 * (nonzero or len(w)) <= len(w)
        assert (truth.support(name).sum(0) <= most).all()
        assert not apart or (truth.support(name).sum(0) == most).all()
        assert not apart or (truth.support(name).sum(1) <= 1).all()
    whole = np.block([[truth.covariance(a, b) for b in names] for a in names])
    assert linalg.eigvalsh(whole)[0] > -1e-9


def test_law_rows_have_the_covariance_of_the_population():
    views, truth = correlated(60_000, RHO, widths={"x": 5, "y": 4}, within=0.5)
    x, y = (np.stack(list(views[name])) for name in ("x", "y"))
    found = np.cov(np.hstack([x, y]).T)
    expected = np.block([[truth.covariance(a, b) for b in ("x", "y")] for a in ("x", "y")])
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert abs(x.mean(0)).max() < 0.03


def test_recovery_by_cca():
    views, truth = correlated(4000, (0.9, 0.5), widths=(6, 5, 4), nonzero=2)
    model = CCA(2).fit(views)
    np.testing.assert_allclose(model.correlations_, truth.correlations, atol=0.03)
    new = truth.draw(4000, random_state=7)
    np.testing.assert_allclose(model.correlations(new), truth.correlations, atol=0.04)
    found, true = model.weights_["view0"][:, 0], truth.weights["view0"][:, 0]
    assert abs(found @ true) / np.linalg.norm(found) / np.linalg.norm(true) > 0.99
    assert bouba.align.loadings(model, "view1").columns[0] == "view1_0"


def test_the_same_seed_gives_the_same_rows():
    (one, truth), (two, _) = correlated(20), correlated(20)
    other = correlated(20, random_state=1)[0]
    np.testing.assert_array_equal(np.stack(list(one["view0"])), np.stack(list(two["view0"])))
    assert not np.allclose(np.stack(list(one["view0"])), np.stack(list(other["view0"])))
    assert len(truth.draw(3)) == 3


def test_refusals():
    with pytest.raises(DataError, match="two or more, got 1"):
        correlated(widths=(4,))
    with pytest.raises(DataError, match="'view1' has 1 columns for 2 correlations"):
        correlated(widths=(4, 1))
    with pytest.raises(UsageError, match="the largest first, got"):
        correlated(correlations=(0.2, 0.4))
    with pytest.raises(UsageError, match="from 0 to 1"):
        correlated(correlations=(1.2,))
    with pytest.raises(UsageError, match="within is from 0 to below 1, got 1"):
        correlated(within=1)
    with pytest.raises(UsageError, match="nonzero is from 2, the number of correlations, to 20"):
        correlated(nonzero=1)
    with pytest.raises(UsageError, match="n is 1 or more, got 0"):
        correlated(0)
