"""Kernel CCA: exact, with landmarks, with random frequencies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.metrics.pairwise import laplacian_kernel, pairwise_kernels, rbf_kernel
from sklearn.utils.estimator_checks import parametrize_with_checks

import bouba
from bouba import Views
from bouba.align.cca import CCA
from bouba.align.kernel_cca import KernelCCA, Waves
from bouba.errors import DataError, ModalityError, UsageError


def rings(n=300, seed=0, noise=0.1):
    """Two noisy circles, the second walked around twice as fast: no line in one says anything of the other."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi, n)
    circles = ((1, "once"), (2, "twice"))
    return {
        name: np.stack([np.cos(speed * angle), np.sin(speed * angle)], axis=1) + noise * random.normal(size=(n, 2))
        for speed, name in circles
    }


def mixed(n=40, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    return {"a": x, "b": np.abs(x @ random.normal(size=(3, 4)) + 0.5 * random.normal(size=(n, 4)))}


def by_gram_matrices(grams, ridge, k):
    """Hardoon et al. 2004 with CCA's ridge: the dual, a generalised eigenproblem of centred kernel matrices.

    Of max a'K1 K2 b / n with a'[(1 - r) K1 K1 / n + r t1 K1] a = 1, t = tr(K) / n over the dimension of the span.
    """
    n = len(grams[0])
    centre = np.eye(n) - 1 / n
    K = [centre @ gram @ centre for gram in grams]
    ranks = [np.linalg.matrix_rank(gram, tol=1e-10) for gram in K]
    within = [(1 - ridge) * g @ g / n + ridge * np.trace(g) / n / d * g for g, d in zip(K, ranks)]
    across = K[0] @ K[1] / n
    nothing = np.zeros((n, n))
    left = np.block([[nothing, across], [across.T, nothing]])
    right = linalg.block_diag(*within) + 1e-13 * np.eye(2 * n)  # the constant is in the null space
    _, vectors = linalg.eigh(left, right, subset_by_index=[2 * n - k, 2 * n - 1])
    z = [K[0] @ vectors[:n, ::-1], K[1] @ vectors[n:, ::-1]]
    return [v / v.std(0) for v in z]


def same_up_to_sign(found, expected, atol):
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=atol)


@pytest.mark.parametrize("ridge", [0.0, 0.2, 1.0])
def test_definition_linear_kernel_is_cca(ridge):
    views = mixed(60)
    views["b"] = views["b"] * [1, 10, 100, 0.1] + 50
    kernel, linear = KernelCCA(3, kernel="linear", ridge=ridge).fit(views), CCA(3, ridge=ridge).fit(views)
    np.testing.assert_allclose(kernel.correlations_, linear.correlations_, atol=1e-9)
    more = mixed(20, seed=1)
    for name in views:
        same_up_to_sign(kernel.transform(more)[name], linear.transform(more)[name], atol=1e-6)
    np.testing.assert_allclose(np.abs(kernel.embed(more)["a"]), np.abs(linear.embed(more)["a"]), atol=1e-6)


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "poly", "cosine"])
def test_definition_exact_is_the_dual(kernel):
    views, gammas = mixed(), {"a": 0.3, "b": 0.2}
    model = KernelCCA(2, kernel=kernel, gamma=gammas, ridge=0.1).fit(views)
    grams = [
        pairwise_kernels(views[v], metric=kernel, filter_params=True, gamma=gammas[v], degree=3, coef0=1) for v in views
    ]
    z = by_gram_matrices(grams, 0.1, 2)
    for name, expected in zip(views, z):
        same_up_to_sign(model.transform(views)[name], expected, atol=1e-4)
    rho = [np.corrcoef(z[0][:, i], z[1][:, i])[0, 1] for i in range(2)]
    np.testing.assert_allclose(model.correlations_, rho, atol=1e-6)


@pytest.mark.parametrize("kernel", ["chi2", "additive_chi2"])
def test_definition_kernels_of_histograms(kernel):
    views = {name: np.abs(values) for name, values in mixed().items()}
    model = KernelCCA(1, kernel=kernel, gamma=0.5, ridge=0.1).fit(views)
    grams = [pairwise_kernels(v, metric=kernel, filter_params=True, gamma=0.5) for v in views.values()]
    same_up_to_sign(model.transform(views)["a"], by_gram_matrices(grams, 0.1, 1)[0], atol=1e-4)


def test_definition_all_rows_as_landmarks_is_exact():
    views = rings(80)
    exact = KernelCCA(2, ridge=0.1).fit(views)
    nystroem = KernelCCA(2, ridge=0.1, approximation="nystroem", n_features=80).fit(views)
    np.testing.assert_array_equal(nystroem.transform(views)["once"], exact.transform(views)["once"])


def test_definition_median_heuristic():
    views = mixed(30)
    apart = [((a - b) ** 2).sum() for i, a in enumerate(views["a"]) for b in views["a"][:i]]
    assert KernelCCA(1).fit(views).gammas_["a"] == pytest.approx(1 / np.median(apart))
    apart = [np.abs(a - b).sum() for i, a in enumerate(views["a"]) for b in views["a"][:i]]
    assert KernelCCA(1, kernel="laplacian").fit(views).gammas_["a"] == pytest.approx(1 / np.median(apart))


@pytest.mark.parametrize(("kernel", "true"), [("rbf", rbf_kernel), ("laplacian", laplacian_kernel)])
def test_waves_approximate_the_kernel(kernel, true):
    """Each of m/2 frequencies gives an independent estimate in [-1, 1]: 4 standard errors are below 4 / sqrt(m/2)."""
    views = mixed(30)
    waves = Waves.drawn(kernel, 0.2, (3, 4000), np.random.default_rng(0))(views["a"])
    assert waves.shape == (30, 8000)
    np.testing.assert_allclose(waves @ waves.T, true(views["a"], gamma=0.2), atol=4 / np.sqrt(4000))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_law_order_of_rows_means_nothing(seed):
    views, order = rings(60), np.random.default_rng(seed).permutation(60)
    straight = KernelCCA(2, ridge=0.2).fit(views)
    shuffled = KernelCCA(2, ridge=0.2).fit({name: values[order] for name, values in views.items()})
    np.testing.assert_allclose(shuffled.correlations_, straight.correlations_, atol=1e-8)
    same_up_to_sign(shuffled.transform(views)["once"], straight.transform(views)["once"], atol=1e-5)


@pytest.mark.parametrize("approximation", [None, "nystroem", "fourier"])
def test_law_variates_have_variance_one_and_rows_stand_alone(approximation):
    views = rings(200)
    model = KernelCCA(2, approximation=approximation, n_features=40).fit(views)
    z = model.transform(views)
    np.testing.assert_allclose(z["twice"].std(0), 1, atol=1e-6)
    np.testing.assert_allclose(z["twice"].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(model.correlations(views), model.correlations_, atol=1e-6)
    one = model.transform({"twice": views["twice"][3:4]})
    assert list(one) == ["twice"]
    np.testing.assert_allclose(one["twice"][0], z["twice"][3], atol=1e-9)


@pytest.mark.parametrize("approximation", [None, "nystroem", "fourier"])
def test_recovery_where_linear_cca_finds_nothing(approximation):
    """angle and 2 angle share one circle: two correlations, bounded by the noise alone."""
    train, test = rings(400), rings(400, seed=1)
    model = KernelCCA(2, approximation=approximation, n_features=60, ridge=0.01).fit(train)
    assert (np.abs(CCA(2).fit(train).correlations(test)) < 0.15).all()
    assert (model.correlations(test) > 0.9).all()


def test_recovery_more_landmarks_come_nearer_to_exact():
    train, test = rings(400, noise=0.3), rings(400, seed=1, noise=0.3)
    exact = KernelCCA(2).fit(train).transform(test)["once"]
    away = []
    for m in (5, 20, 80):
        near = KernelCCA(2, approximation="nystroem", n_features=m, random_state=1).fit(train).transform(test)["once"]
        away.append(1 - linalg.svdvals(linalg.orth(near - near.mean(0)).T @ linalg.orth(exact - exact.mean(0))).mean())
    assert away[0] > away[1] > away[2]
    assert away[2] < 0.05


def test_three_views_and_missing_cells():
    """Rows without a cell change nothing but by their absence."""
    views = rings(150) | {"thrice": rings(150, seed=0)["once"] ** 2}
    there = np.arange(150) % 3 > 0
    cells = {name: list(values) for name, values in views.items()}
    cells["thrice"] = [cell if has else None for cell, has in zip(cells["thrice"], there)]
    gappy = Views(cells, kinds=dict.fromkeys(cells, "vector"))
    model = KernelCCA(2, ridge=0.2).fit(gappy)
    assert model.maps_["thrice"].points.shape == (100, 2)
    assert (model.correlations_ > 0.5).all()
    found = model.embed(gappy)
    assert (found["thrice"][~there] == 0).all()
    assert (found["thrice"][there] != 0).any(1).all()


def test_a_kernel_for_each_view_and_float32():
    views = {name: values.astype(np.float32) for name, values in rings(100).items()}
    model = KernelCCA(2, kernel={"once": "poly", "twice": "linear"}, degree=2).fit(views)
    assert model.transform(views)["once"].dtype == np.float32
    assert (model.correlations(rings(200, seed=1)) > 0.9).all()  # cos 2x = 2 cos^2 x - 1: a polynomial of degree 2


@pytest.mark.parametrize("approximation", ["nystroem", "fourier"])
def test_saved_to_the_bit(approximation, tmp_path):
    views = rings(60)
    model = KernelCCA(2, approximation=approximation, n_features=20).fit(views)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name in views:
        np.testing.assert_array_equal(again.embed(views)[name], model.embed(views)[name])
    assert again.gammas_ == model.gammas_


def test_refusals():
    views = rings(30)
    with pytest.raises(UsageError, match="no kernel 'rfb'; did you mean 'rbf'"):
        KernelCCA(kernel="rfb").fit(views)
    with pytest.raises(UsageError, match="no approximation 'nystrom'; did you mean 'nystroem'"):
        KernelCCA(approximation="nystrom").fit(views)
    with pytest.raises(UsageError, match="'fourier' is for rbf and laplacian, got 'poly'; take 'nystroem'"):
        KernelCCA(kernel="poly", approximation="fourier").fit(views)
    with pytest.raises(UsageError, match="gamma must be above 0, got -1 for view 'once'"):
        KernelCCA(gamma=-1).fit(views)
    with pytest.raises(UsageError, match="gamma is for 'one', the views are 'once', 'twice'"):
        KernelCCA(gamma={"one": 1.0}).fit(views)
    with pytest.raises(UsageError, match="n_features must be 2 or more, and even for 'fourier', got 5"):
        KernelCCA(approximation="fourier", n_features=5).fit(views)
    with pytest.raises(UsageError, match="ridge is a shrinkage between 0 and 1, got 2"):
        KernelCCA(ridge=2).fit(views)
    with pytest.raises(DataError, match=r"40 components from \[29, 29\] features; take 29 or fewer"):
        KernelCCA(40).fit(views)
    with pytest.raises(DataError, match=r"chi2': X contains negative values\. Choose another of rbf"):
        KernelCCA(kernel="chi2").fit(views)
    with pytest.raises(DataError, match="view 'flat' looks alike in all rows; leave it out"):
        KernelCCA().fit(views | {"flat": np.ones((30, 2))})
    with pytest.raises(ModalityError, match="the model has no view 'thrice'"):
        KernelCCA().fit(views).transform({"thrice": views["once"]})


def test_refuses_what_is_too_much_for_exact():
    views = {name: np.zeros((5001, 1)) for name in "ab"}
    with pytest.raises(DataError, match=r'5,000 rows or fewer, got 5,001; set approximation="nystroem", or "fourier"'):
        KernelCCA().fit(views)


def test_refuses_views_that_never_meet():
    cells = {"a": [[1.0], [2.0], None, None], "b": [[1.0], [2.0], [3.0], None], "c": [None, None, None, [1.0]]}
    alone = Views(cells, kinds=dict.fromkeys(cells, "vector"))
    with pytest.raises(DataError, match="view 'c' has no two rows in common with another view"):
        KernelCCA().fit(alone)


@parametrize_with_checks([KernelCCA(), KernelCCA(approximation="fourier", n_features=10)])
def test_scikit_learn(estimator, check):
    check(estimator)
