"""Light alignments: each by its definition, on what it must recover, saved to the bit, and refused."""

from __future__ import annotations

import numpy as np
import pytest

import bouba
from bouba.align import ASIF, CCA, PLS, Procrustes, RidgeMap
from bouba.align.light import Coordinates, Correlated, Pairs
from bouba.align.maps import Gaussian, Joined, Linear, Relative, unit
from bouba.data.views import Column, Views
from bouba.errors import DataError, ModalityError, UsageError

ESTIMATORS = [PLS, Procrustes, RidgeMap, ASIF]


def pairs(n: int = 120, noise: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two views of four hidden numbers, 12 and 9 columns wide."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, 4))
    mixing = np.random.default_rng(1)
    x, y = z @ mixing.normal(size=(4, 12)) + 3, z @ mixing.normal(size=(4, 9)) - 1
    return x + noise * random.normal(size=x.shape), y + noise * random.normal(size=y.shape)


def covariances(x: np.ndarray, y: np.ndarray, ridge: float):
    """(S_a, S_ab, S_b), the outer two shrunk."""
    x, y = x - x.mean(0), y - y.mean(0)
    shrunk = [
        (1 - ridge) * v.T @ v / len(v) + ridge * np.trace(v.T @ v / len(v)) / v.shape[1] * np.eye(v.shape[1])
        for v in (x, y)
    ]
    return shrunk[0], x.T @ y / len(x), shrunk[1]


def root(s: np.ndarray) -> np.ndarray:
    """S^-1/2."""
    values, vectors = np.linalg.eigh(s)
    return vectors / np.sqrt(values) @ vectors.T


@pytest.mark.parametrize("ridge", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_correlated_is_its_definition(ridge, power):
    x, y = pairs()
    s_a, s_ab, s_b = covariances(x, y, ridge)
    u, rho, vt = np.linalg.svd(root(s_a) @ s_ab @ root(s_b))
    scale = np.where(rho > 1e-7 * rho[0], rho**power, 0)
    expected = ((x - x.mean(0)) @ root(s_a) @ u[:, : len(rho)] * scale) @ (
        ((y - y.mean(0)) @ root(s_b) @ vt.T) * scale
    ).T
    sides = Coordinates.linear(x), Coordinates.linear(y)
    every = np.arange(len(x))
    found = Correlated(ridge, power).solve(Pairs(*sides, every, every))
    a, b = (side.on_features(f) for side, f in zip(sides, found, strict=True))
    np.testing.assert_allclose(a(x) @ b(y).T, expected, atol=1e-6 * np.abs(expected).max())


def test_ridge_map_is_ridge_regression_with_a_relative_ridge():
    x, y = pairs()
    s_a, s_ab, _ = covariances(x, y, 0.3)
    model = RidgeMap(ridge=0.3).fit([x, y])
    predicted = (x - x.mean(0)) @ np.linalg.solve(s_a, s_ab)
    a, b = model.transform([x, y])
    np.testing.assert_allclose(a @ b.T, predicted @ (y - y.mean(0)).T, atol=1e-6)
    back = RidgeMap(ridge=0.3, backward=True).fit([y, x]).transform([y, x])
    np.testing.assert_allclose(back[1] @ back[0].T, a @ b.T, atol=1e-6)


def test_asif_is_its_definition():
    x, y = pairs(40)
    model = ASIF(largest=5, power=3.0).fit([x, y])
    for name, values in (("view0", x), ("view1", y)):
        centred = unit(values - values.mean(0))
        cosines = np.clip(centred @ centred.T, 0, None)
        cosines[cosines < np.sort(cosines, 1)[:, -5, None]] = 0
        np.testing.assert_allclose(model.transform({name: values})[name], cosines**3, atol=1e-9)


def test_procrustes_undoes_a_rotation_of_one_space():
    x, _ = pairs(noise=1.0)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0]
    new, _ = pairs(30, noise=1.0, seed=9)
    z = Procrustes(ridge=0.0).fit([x, x @ turn]).embed([new, new @ turn])
    np.testing.assert_allclose(z["view0"], z["view1"], atol=1e-4)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, CCA])
def test_new_pairs_are_found(estimator):
    x, y = pairs()
    new_x, new_y = pairs(40, seed=5)
    z = estimator(**({"ridge": 0.1} if estimator is CCA else {})).fit([x, y]).embed([new_x, new_y])
    found = (unit(z["view0"]) @ unit(z["view1"]).T).argmax(1)
    assert (found == np.arange(40)).mean() > 0.3  # guessing: 0.025


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_units_of_a_view_do_not_matter(estimator):
    x, y = pairs(60)
    plain, scaled = (estimator().fit([v, y]).embed([v, y]) for v in (x, 1000 * x))
    similarities = [unit(z["view0"]) @ unit(z["view1"]).T for z in (plain, scaled)]
    np.testing.assert_allclose(*similarities, atol=1e-3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_saved_and_loaded_to_the_bit(estimator, tmp_path):
    x, y = pairs(50)
    model = estimator().fit({"numbers": x, "others": y})
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name, z in model.embed({"numbers": x, "others": y}).items():
        assert np.array_equal(z, again.embed({"numbers": x, "others": y})[name])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_refusals(estimator):
    x, y = pairs(20)
    with pytest.raises(UsageError, match="aligns two views, got 3"):
        estimator().fit([x, y, x])
    apart = Views(
        {"a": Column.of(x[:4], "vector", np.arange(4) < 2), "b": Column.of(y[:4], "vector", np.arange(4) >= 2)}
    )
    with pytest.raises(DataError, match="have both views"):
        estimator().fit(apart)
    with pytest.raises(ModalityError):
        estimator().fit([x, y]).embed({"another": x})


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (PLS(power=-1.0), "power must be 0 or above"),
        (Procrustes(ridge=2.0), "between 0 and 1"),
        (RidgeMap(ridge=-0.1), "between 0 and 1"),
        (ASIF(largest=0), "largest is 1 or more"),
    ],
)
def test_arguments_are_refused(estimator, message):
    with pytest.raises(UsageError, match=message):
        estimator.fit([*pairs(20)])


def test_coordinates_of_a_kernel_have_its_inner_products():
    x, _ = pairs(50)
    side = Coordinates.gaussian(x, 0)
    squares = ((x[:, None] - x) ** 2).sum(-1)
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(50, 1)]))
    centring = np.eye(50) - 1 / 50
    np.testing.assert_allclose(side.values @ side.values.T, centring @ kernel @ centring, atol=1e-6)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(side.values.shape[1], 3)))[0]
    found = Linear(np.full(side.values.shape[1], 0.1), rotation)
    moved = side.on_features(found)
    assert isinstance(moved, Gaussian)
    np.testing.assert_allclose(moved(x), found(side.values), atol=1e-9)


def test_maps_of_linear_coordinates_are_maps_of_features():
    x, _ = pairs(50)
    side = Coordinates.linear(x)
    width = side.values.shape[1]
    linear = Linear(np.full(width, 0.2), np.random.default_rng(0).normal(size=(width, 2)))
    relative = Relative(side.values.mean(0), unit(side.values[:7]), 3, 2.0)
    for found in (linear, relative):
        np.testing.assert_allclose(side.on_features(found)(x), found(side.values), atol=1e-8)


def test_joined_dot_products_are_weighted_means():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 3)), random.normal(size=(6, 3))
    parts = [Linear(np.zeros(3), random.normal(size=(3, 2))) for _ in range(2)]
    joined = Joined(tuple(parts), (0.25, 0.75))
    expected = 0.25 * unit(parts[0](x)) @ unit(parts[0](y)).T + 0.75 * unit(parts[1](x)) @ unit(parts[1](y)).T
    np.testing.assert_allclose(joined(x) @ joined(y).T, expected)
