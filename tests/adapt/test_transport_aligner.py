"""Optimal transport of source rows: the plan against loops and linear programming, laws, recovery, refusals."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import bouba
from bouba.adapt import CORALAligner, TransportAligner, transport_plan
from bouba.errors import DataError, UsageError

pytest.importorskip("ot")


def bent(seed, n=200, turn=0.8):
    """Four clusters at the corners of a square; in the target three went one way and the last the opposite one."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 4
    centres = np.array([[0, 0], [4, 0], [0, 4], [4, 4]], float)
    ways = turn * np.array([[1.5, 1.5], [1.5, 1.5], [1.5, 1.5], [-1.5, -1.5]])
    noise = lambda: 0.35 * random.normal(size=(n, 2))  # noqa: E731
    return centres[y] + noise(), (centres + ways)[y] + noise(), y


def test_definition_the_exact_plan_is_the_cheapest_of_all_matchings():
    x, z = np.random.default_rng(0).normal(size=(2, 5, 3))
    cost = ((x[:, None] - z[None]) ** 2).sum(2)
    best = min(permutations(range(5)), key=lambda p: sum(cost[i, j] for i, j in enumerate(p)))
    expected = np.zeros((5, 5))
    expected[range(5), best] = 0.2
    np.testing.assert_allclose(transport_plan(x, z, entropy=0), expected, atol=1e-12)


def test_definition_the_entropic_plan_is_a_scaled_kernel():
    """P = diag(u) exp(-C / entropy) diag(v): every 2 x 2 minor of P / kernel is flat."""
    x, z = np.random.default_rng(0).normal(size=(2, 6, 2))
    cost = ((x[:, None] - z[None]) ** 2).sum(2)
    plan = transport_plan(x, z, entropy=0.5)
    ratio = plan / np.exp(-cost / cost.mean() / 0.5)
    for i in range(5):
        for j in range(5):
            assert ratio[i, j] * ratio[i + 1, j + 1] == pytest.approx(ratio[i, j + 1] * ratio[i + 1, j], rel=1e-6)
    np.testing.assert_allclose(plan.sum(1), 1 / 6, rtol=1e-3)
    np.testing.assert_allclose(plan.sum(0), 1 / 6, rtol=1e-3)


@given(st.integers(0, 30), st.floats(0.1, 100), st.floats(-50, 50))
@settings(deadline=None, max_examples=15)
def test_law_units_and_origin_of_both_change_nothing_but_the_unit(seed, unit, origin):
    source, target, _ = bent(seed, n=24)
    plain = TransportAligner(entropy=0.1).fit(source, target).transform(source)
    other = TransportAligner(entropy=0.1).fit(unit * source + origin, unit * target + origin)
    np.testing.assert_allclose(other.transform(unit * source + origin), unit * plain + origin, rtol=1e-6, atol=1e-4)


def test_law_a_permuted_target_gives_the_same_map_and_a_copy_stays_where_it_is():
    source, target, _ = bent(0)
    order = np.random.default_rng(1).permutation(len(target))
    moved = [TransportAligner(entropy=0).fit(source, rows).transform(source) for rows in (target, target[order])]
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-9)
    np.testing.assert_allclose(TransportAligner(entropy=0).fit(source, source).transform(source), source, atol=1e-9)


def test_other_rows_follow_the_nearest_training_row():
    source, target, _ = bent(0)
    model = TransportAligner().fit(source, target)
    new = np.array([[0.3, 0.2], [3.9, 4.4]])
    nearest = ((new[:, None] - source[None]) ** 2).sum(2).argmin(1)
    np.testing.assert_allclose(model.transform(new), new + model.transform(source)[nearest] - source[nearest])


def test_recovery_clusters_that_went_their_own_ways_beat_one_linear_map():
    by_transport, by_coral = [], []
    for seed in range(3):
        source, target, y = bent(seed)
        for aligner, scores in ((TransportAligner(target=target), by_transport), (CORALAligner(), by_coral)):
            model = make_pipeline(aligner.set_params(target=target), LogisticRegression()).fit(source, y)
            scores.append(model.score(target, y))
    assert min(by_transport) > 0.97
    assert np.mean(by_coral) < 0.94


def test_purity_keeps_classes_apart():
    """Two classes interleaved in the target: less of its rows is given mass of both."""
    source, target, y = bent(0)
    target = 0.5 * target
    codes = y % 2
    mixed = []
    for purity in (0.0, 1.0):
        plan = transport_plan(source, target, entropy=0.2, codes=codes, purity=purity)
        shares = np.stack([plan[codes == c].sum(0) for c in (0, 1)])
        mixed.append(float((shares.min(0) / shares.sum(0)).mean()))
    assert mixed[1] < 0.5 * mixed[0]


def test_with_a_price_of_mass_other_shares_do_no_harm():
    """The target has one class in ten of the other: constraints carry rows across, a price leaves them."""
    random = np.random.default_rng(0)
    y, y_target = np.repeat([0, 1], [100, 100]), np.repeat([0, 1], [20, 180])
    source = np.where(y[:, None], 4.0, 0.0) + random.normal(size=(200, 2))
    target = np.where(y_target[:, None], 5.0, 1.0) + random.normal(size=(200, 2))
    crossed = []
    for mass in (None, 0.2):
        moved = TransportAligner(mass=mass).fit(source, target).transform(source)
        crossed.append(float((moved[y == 0].mean(1) > 3).mean()))
    assert crossed[0] > 0.5
    assert crossed[1] < 0.1


@pytest.mark.parametrize("options", [{"entropy": 0.0}, {"purity": 0.3}, {"mass": 1.0}, {"mass": 1.0, "entropy": 0.0}])
def test_saved_to_the_bit(options, tmp_path):
    source, target, y = bent(0, n=60)
    model = TransportAligner(**options).fit(source, target, labels=y)
    model.save(tmp_path / "model")
    loaded = bouba.load(tmp_path / "model")
    for domain in ("source", "target"):
        np.testing.assert_array_equal(
            loaded.transform(source + 0.1, domain=domain), model.transform(source + 0.1, domain=domain)
        )


def test_rows_are_drawn_where_they_are_many():
    source, target, _ = bent(0)
    model = TransportAligner(most=50).fit(source, target)
    assert model.rows_.shape == (50, 2)
    assert model.transform(source).shape == source.shape


def test_refusals():
    source, target, y = bent(0, n=40)
    with pytest.raises(UsageError, match=r"entropy must be 0 or more, got -1; 0.05 is a start, 0 the exact plan"):
        TransportAligner(entropy=-1).fit(source, target)
    with pytest.raises(UsageError, match=r"purity must be 0 or more, got nan; 0.1 is a start"):
        transport_plan(source, target, purity=np.nan)
    with pytest.raises(UsageError, match="mass must be above 0, got 0; 1 is a start, None carries all"):
        transport_plan(source, target, mass=0)
    with pytest.raises(UsageError, match="purity goes with an entropy above 0 and without mass; leave one of them"):
        TransportAligner(purity=1.0, mass=1.0).fit(source, target, labels=y)
    with pytest.raises(UsageError, match=r"reads the classes of source rows; write fit\(X_source, X_target, labels=y"):
        TransportAligner(purity=1.0).fit(source, target)
    with pytest.raises(UsageError, match=r"purity reads the classes of source rows; give codes=\.\.\."):
        transport_plan(source, target, purity=1.0)
    with pytest.raises(UsageError, match="most must be 2 rows or more, got 1"):
        TransportAligner(most=1).fit(source, target)
    with pytest.raises(DataError, match=r"got labels of shape \(39,\) for 40 source rows"):
        TransportAligner(purity=1.0).fit(source, target, labels=y[1:])
    with pytest.raises(DataError, match="row 3 of the source has no label; leave rows without one out"):
        TransportAligner(purity=1.0).fit(source, target, labels=[*y[:3].astype(str), None, *y[4:].astype(str)])
    with pytest.raises(DataError, match="got one class, 0; two are needed"):
        TransportAligner(purity=1.0).fit(source, target, labels=0 * y)
