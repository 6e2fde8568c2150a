"""Deep CCA: finds what linear CCA cannot, and ends in canonical variates."""

import numpy as np
import pytest
import torch
from made import twin_vectors

import bouba
from bouba import MLP, Views
from bouba.align import CCA
from bouba.align.deep_cca import DeepCCA
from bouba.errors import UsageError
from bouba.nn.projection import Projection
from bouba.terms.correlation import Correlation
from bouba.towers import SameAs

FAST = {"dim": 2, "epochs": 2, "batch_size": 60}


def circles(n, seed, noise=0.1):
    """An angle t, of which one view holds cos t and sin t, the other cos 2t and sin 2t, mixed with four numbers that
    mean nothing: every linear correlation is 0, and a view squared gives the other."""
    random = np.random.default_rng(seed)
    t = random.uniform(0, 2 * np.pi, n)
    columns = {}
    for name, turns in (("once", 1), ("twice", 2)):
        seen = np.c_[np.cos(turns * t), np.sin(turns * t)] + noise * random.normal(size=(n, 2))
        mix = np.linalg.qr(np.random.default_rng(turns).normal(size=(6, 6)))[0]
        columns[name] = np.hstack([seen, random.normal(size=(n, 4))]) @ mix
    return Views(columns)


def held_out_sum(model, views):
    a, b = model.embed(views).values()
    return sum(np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(a.shape[1]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recovery_where_linear_cca_finds_nothing(seed):
    training, test = circles(800, seed), circles(1000, seed + 100)
    assert CCA(2).fit(training).correlations(test).sum() < 0.2
    model = DeepCCA(dim=2, random_state=seed).fit(training)
    assert held_out_sum(model, test) > 1.5
    assert model.score(test[:200]) > 3 * (np.log(200) + 0.58) / 200  # the mean of 1/rank by chance


@pytest.fixture(scope="module")
def model():
    return DeepCCA(dim=3, epochs=5, ridge=1e-4).fit(twin_vectors())


def test_definition_embeddings_are_canonical_variates(model):
    """Centred, uncorrelated, as spread as they correlate: what CCA gives on top of the towers, and no more to gain."""
    z = model.embed(twin_vectors())
    again = CCA(3).fit(z)
    np.testing.assert_allclose(again.correlations_, model.correlations_, atol=1e-4)
    for view in z.values():
        np.testing.assert_allclose(view.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cov(view.T, bias=True), np.diag(model.correlations_**2), atol=5e-3)
    paired = [np.corrcoef(*(view[:, k] for view in z.values()))[0, 1] for k in range(3)]
    np.testing.assert_allclose(paired, model.correlations_, atol=1e-4)
    assert (np.diff(model.correlations_) <= 0).all()


def test_the_fold_is_the_affine_map():
    projection = Projection(5, 3, hidden=4).eval()
    features = torch.randn(7, 5)
    matrix, shift = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = projection(features).double() @ matrix.T + shift
    projection.compose(matrix, shift)
    torch.testing.assert_close(projection(features).double(), expected, atol=1e-5, rtol=1e-5)


def test_what_is_saved_has_the_correlations(model, tmp_path):
    model.save(tmp_path / "model")
    copy = bouba.load(tmp_path / "model")
    np.testing.assert_array_equal(copy.correlations_, model.correlations_)
    np.testing.assert_array_equal(copy.embed(twin_vectors())["left"], model.embed(twin_vectors())["left"])


def test_three_views_with_missing_cells_meet():
    """Each row lacks one of three views, so no row is complete; every pair is still judged."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(300, 2))
    blocks = {name: np.hstack([shared, random.normal(size=(300, 1))]) for name in ("a", "b", "c")}
    views = Views(blocks)
    lacking = {name: views[name].without(np.arange(300) % 3 == i) for i, name in enumerate(blocks)}
    model = DeepCCA(dict.fromkeys(blocks, MLP(dropout=0.0)), dim=2, epochs=40).fit(views.replace(columns=lacking))
    z = model.embed(views)
    for first, second in (("a", "b"), ("b", "c"), ("a", "c")):
        assert min(np.corrcoef(z[first][:, k], z[second][:, k])[0, 1] for k in range(2)) > 0.8


def test_reconstruction_makes_it_dccae():
    model = DeepCCA(reconstruction=0.5, **FAST)
    assert [weight for weight, _ in model._objective()] == [1.0, 0.5]
    row = model.fit(twin_vectors()).history_[-1]
    assert row["loss"] == pytest.approx(row["Correlation"] + 0.5 * row["Reconstruction"], abs=1e-5)
    assert DeepCCA()._objective() == 1.0 * Correlation()


def test_batches_are_large_enough_for_a_covariance():
    assert DeepCCA(dim=32)._batch_size(10_000) == 320
    assert DeepCCA(dim=4)._batch_size(10_000) == 256
    assert DeepCCA(dim=32)._batch_size(200) == 200
    assert DeepCCA(dim=32, batch_size=64)._batch_size(10_000) == 64


def test_correlations_within_batches_only_are_told(caplog):
    """Batches of 8 rows correlate fully in 6 dimensions, whatever they hold; views without a relation never do."""
    random = np.random.default_rng(0)
    strangers = Views({"a": random.normal(size=(200, 9)), "b": random.normal(size=(200, 9))})
    DeepCCA(dim=6, epochs=1, batch_size=8, ridge=1e-3).fit(strangers)
    assert "Raise batch_size or ridge, or lower dim (6)" in caplog.text
    caplog.clear()
    DeepCCA(dim=6, epochs=3).fit(twin_vectors())
    assert "within batches" not in caplog.text


def test_refusals():
    views = twin_vectors()
    same = {"left": MLP(), "right": SameAs("left")}
    with pytest.raises(UsageError, match=r"'right' is SameAs\(view='left'\); DeepCCA ends each view's tower in a map"):
        DeepCCA(same, **FAST).fit(views)
    with pytest.raises(UsageError, match=r"Correlation needs two views or more, got 1 \('left'\)"):
        DeepCCA(**FAST).fit(views.select("left"))
    with pytest.raises(UsageError, match="ridge must be a finite number of 0 or more, got -1"):
        DeepCCA(ridge=-1, **FAST).fit(views)
    with pytest.raises(UsageError, match="reconstruction is a weight of 0 or more, got -1"):
        DeepCCA(reconstruction=-1, **FAST).fit(views)
