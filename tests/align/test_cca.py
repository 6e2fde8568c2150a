"""Linear CCA, and the baseline made of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import twin_vectors

from bouba.align import CCA, LinearBaseline
from bouba.errors import DataError, ModalityError
from bouba.evaluation import evaluate


def planted(n=4000, seed=0):
    """Two views with canonical correlations 0.9, 0.5 and 0 by construction, mixed by random maps."""
    random = np.random.default_rng(seed)
    a = random.normal(size=(n, 3))
    rho = np.array([0.9, 0.5, 0.0])
    b = a * rho + random.normal(size=(n, 3)) * np.sqrt(1 - rho**2)
    return {"a": a @ random.normal(size=(3, 3)) + 5, "b": b @ random.normal(size=(3, 4)) - 2}


def test_definition_correlations_of_the_variates():
    views = planted()
    views["b"] = views["b"] + 1e-3 * np.random.default_rng(1).normal(size=views["b"].shape)
    model = CCA(2, ridge=0.0).fit(views)
    z = model.transform(views)
    for k in range(2):
        assert np.corrcoef(z["a"][:, k], z["b"][:, k])[0, 1] == pytest.approx(model.correlations_[k], abs=1e-6)
    np.testing.assert_allclose(np.cov(z["a"].T, bias=True), np.eye(2), atol=1e-6)


def test_recovery_of_planted_correlations():
    np.testing.assert_allclose(CCA(2, ridge=0.0).fit(planted()).correlations_, [0.9, 0.5], atol=0.03)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_law_invertible_maps_change_nothing(seed):
    views = planted(500)
    turned = {"a": views["a"] @ np.random.default_rng(seed).normal(size=(3, 3)), "b": views["b"]}
    np.testing.assert_allclose(
        CCA(2, ridge=0.0).fit(views).correlations_, CCA(2, ridge=0.0).fit(turned).correlations_, atol=1e-6
    )


def test_three_views_share_what_all_have():
    random = np.random.default_rng(0)
    common = random.normal(size=(1000, 1))
    views = {name: np.hstack([common, random.normal(size=(1000, 2))]) for name in "abc"}
    model = CCA(1, ridge=0.0).fit(views)
    assert model.correlations_[0] == pytest.approx(1.0, abs=1e-6)
    assert abs(np.corrcoef(model.transform(views)["b"][:, 0], common[:, 0])[0, 1]) > 0.999


def test_refusals():
    views = planted(50)
    with pytest.raises(DataError, match=r"CCA needs two views or more, got 1 \('a'\)"):
        CCA(2).fit({"a": views["a"]})
    with pytest.raises(DataError, match="5 components from views"):
        CCA(5).fit(views)
    with pytest.raises(DataError, match="views have \\[50, 40\\] rows; CCA pairs them row by row"):
        CCA(2).fit({"a": views["a"], "b": views["b"][:40]})


def test_the_baseline_is_judged_like_any_model():
    views = twin_vectors(200, noise=0.01)
    baseline = LinearBaseline(dim=6, ridge=0.01).fit(views[:150])
    found = evaluate(baseline, views[150:], method="linear_cca").value(direction="left->right", metric="recall@1")
    assert found.value > 0.9
    with pytest.raises(ModalityError, match="the baseline has no view 'other'; it has left, right"):
        baseline.embed(views.replace(columns={"other": views["left"]}))
