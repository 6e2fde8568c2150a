"""GromovWasserstein: clouds are laid over each other without a pair."""

import numpy as np
import pytest

import bouba
from bouba import Views
from bouba.align import GromovWasserstein
from bouba.align.gromov_wasserstein import cheapest_plan, ways_between
from bouba.data.views import Column
from bouba.errors import UsageError
from bouba.metrics import foscttm

pytest.importorskip("ot")


def arms(n=120, seed=0):
    """Points on three arms of unequal lengths and shares, seen through two maps into 30 and 20 columns."""
    random = np.random.default_rng(seed)
    arm = random.choice(3, n, p=[0.2, 0.3, 0.5])
    along = random.random(n) * np.array([1.0, 2.0, 3.5])[arm]
    angle = np.array([0.0, 2.1, 4.2])[arm]
    latent = np.c_[along * np.cos(angle), along * np.sin(angle)]
    views = [latent @ random.normal(size=(2, d)) for d in (30, 20)]
    return [view + 0.02 * random.normal(size=view.shape) for view in views]


def test_definition_ways_lead_over_the_graph():
    points = np.array([[0.0], [1.0], [2.5], [9.0], [9.5]])
    ways = ways_between(points, 1)  # 0-1, 1-2 and 3-4; the rest is out of reach
    u = 2.5
    expected = [[0, 1, 2.5, u, u], [1, 0, 1.5, u, u], [2.5, 1.5, 0, u, u], [u, u, u, 0, 0.5], [u, u, u, 0.5, 0]]
    np.testing.assert_allclose(ways, np.array(expected) / 2.5)


def test_definition_costs_are_those_of_their_plans():
    random = np.random.default_rng(0)
    a, b = (ways_between(random.normal(size=(n, 3)), 3) for n in (9, 7))
    plan, costs = cheapest_plan(a, b, 3, random)
    plan = plan / plan.sum()
    i, j, k, m = np.ix_(range(9), range(7), range(9), range(7))
    by_hand = ((a[i, k] - b[j, m]) ** 2 * plan[i, j] * plan[k, m]).sum()
    assert costs[0] == pytest.approx(by_hand, rel=1e-9)
    np.testing.assert_allclose(plan.sum(0), np.full(7, 1 / 7), rtol=0.25)  # after a few scalings
    assert (np.diff(costs) >= 0).all()


def test_recovery_without_a_pair():
    left, right = arms()
    order = np.random.default_rng(1).permutation(120)
    nothing = np.zeros(120, bool)
    rows = Views(
        {
            "left": Column.of(np.vstack([left, np.zeros_like(left)]), "vector", np.r_[~nothing, nothing]),
            "right": Column.of(np.vstack([np.zeros_like(right), right[order]]), "vector", np.r_[nothing, ~nothing]),
        }
    )
    model = GromovWasserstein().fit(rows)
    z = model.embed({"left": left, "right": right})
    assert foscttm(z["left"], z["right"]) < 0.15
    other_left, other_right = arms(seed=0)
    assert foscttm(other_left[:, :20], other_right) > 0.3  # as they are


def test_law_turning_a_cloud_changes_nothing():
    left, right = arms(n=60)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))
    narrow = right[:, :5]
    costs = [GromovWasserstein(starts=3).fit([left, side]).costs_["view1"] for side in (narrow, narrow @ turn)]
    np.testing.assert_allclose(*costs, rtol=1e-6)


def test_cells_that_were_not_laid_over_go_with_their_neighbours():
    left, right = arms()
    few = GromovWasserstein(cells=80).fit([left, right])
    z = few.embed([left, right])
    assert foscttm(z["view0"], z["view1"]) < 0.25


def test_saved_and_loaded_to_the_bit(tmp_path):
    left, right = arms(n=50)
    model = GromovWasserstein(2, starts=2).fit([left, right])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name, z in model.embed([left, right]).items():
        np.testing.assert_array_equal(again.embed([left, right])[name], z)


@pytest.mark.parametrize(("name", "value", "least"), [("starts", 0, 1), ("cells", 2, 3), ("neighbours", 0, 1)])
def test_refusals(name, value, least):
    with pytest.raises(UsageError, match=f"{name} is at least {least}, got {value}"):
        GromovWasserstein(**{name: value}).fit(arms(n=20))
