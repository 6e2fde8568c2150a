"""Shapley values of games whose answer is known."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bouba.errors import UsageError
from bouba.fuse.shapley import EXACT, Game

WORTH = st.integers(1, 5).flatmap(
    lambda m: arrays(float, (3, 2**m), elements=st.floats(-10, 10, allow_nan=False, width=32))
)


def players_of(worth):
    return worth.shape[1].bit_length() - 1


def by_sum(worth, i):
    """The formula, subset by subset; subset S stands at place sum of 2^j."""
    m = players_of(worth)
    others = [j for j in range(m) if j != i]
    total = 0.0
    for size in range(m):
        for some in combinations(others, size):
            place = sum(2**j for j in some)
            chance = factorial(size) * factorial(m - size - 1) / factorial(m)
            total += chance * (worth[:, place + 2**i] - worth[:, place])
    return total


@given(WORTH)
def test_definition(worth):
    game = Game.of(players_of(worth))
    assert [sum(2**j for j in np.flatnonzero(mask)) for mask in game.masks] == list(range(worth.shape[1]))
    values, errors = game.values(worth)
    expected = np.stack([by_sum(worth, i) for i in range(players_of(worth))], 1)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    assert not errors.any()


@given(WORTH)
def test_efficiency_the_values_add_up_to_all_less_none(worth):
    values, _ = Game.of(players_of(worth)).values(worth)
    np.testing.assert_allclose(values.sum(1), worth[:, -1] - worth[:, 0], atol=1e-9)


@given(WORTH, st.data())
def test_symmetry_renaming_players_renames_values(worth, data):
    m = players_of(worth)
    order = data.draw(st.permutations(range(m)))
    game = Game.of(m)
    place = {tuple(mask): k for k, mask in enumerate(game.masks)}
    renamed = worth[:, [place[tuple(mask[np.argsort(order)])] for mask in game.masks]]
    np.testing.assert_allclose(game.values(renamed)[0], game.values(worth)[0][:, order], atol=1e-9)


@given(WORTH)
def test_dummy_a_player_who_adds_the_same_everywhere_gets_that(worth):
    m = players_of(worth)
    with_one_more = np.concatenate([worth, worth + 2.5], 1)  # player m adds 2.5 to whoever is there
    values, _ = Game.of(m + 1).values(with_one_more)
    np.testing.assert_allclose(values[:, m], 2.5, atol=1e-9)
    np.testing.assert_allclose(values[:, :m], Game.of(m).values(worth)[0], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10_000))
def test_drawn_orders_keep_efficiency_and_games_without_interplay(players, seed):
    game = Game.of(players, orders=4, random_state=seed)
    assert not game.masks[0].any()
    assert game.masks[-1].all()
    own = np.random.default_rng(seed).normal(size=players)
    values, errors = game.values((game.masks @ own)[None])
    np.testing.assert_allclose(values[0], own, atol=1e-9)
    np.testing.assert_allclose(errors, 0, atol=1e-9)
    worth = np.random.default_rng(seed + 1).normal(size=(2, len(game.masks)))
    np.testing.assert_allclose(game.values(worth)[0].sum(1), worth[:, -1] - worth[:, 0], atol=1e-9)


def test_drawn_orders_agree_with_all_subsets_within_their_standard_errors():
    """Over 300 games of 5 players, deviations in standard errors have the spread of Student's t with 63 degrees."""
    random = np.random.default_rng(0)
    every = Game.of(5)
    worth = random.normal(size=(300, 32))
    exact, _ = every.values(worth)
    place = {tuple(mask): k for k, mask in enumerate(every.masks)}
    drawn = Game.of(5, orders=128, random_state=1)
    values, errors = drawn.values(worth[:, [place[tuple(mask)] for mask in drawn.masks]])
    off = (values - exact) / errors
    assert np.abs(values - exact).max() > 0.01, "they are not the same sums"
    assert np.mean(np.abs(off) < 3) > 0.98
    assert 0.8 < np.sqrt(np.mean(off**2)) < 1.2


def test_many_players_are_drawn_and_few_are_not():
    assert Game.of(EXACT).places is None
    assert len(Game.of(EXACT).masks) == 2**EXACT
    assert Game.of(EXACT + 1).places.shape == (64, EXACT + 1, 2)


def test_refusal():
    with pytest.raises(UsageError, match="one player or more, got 0"):
        Game.of(0)
    for orders in (2, 7):
        with pytest.raises(UsageError, match=f"an even number from 4 up, got {orders}"):
            Game.of(3, orders=orders)
