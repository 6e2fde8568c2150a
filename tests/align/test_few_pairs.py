"""FewPairs: what it chooses, what it recovers, what it keeps apart, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import bouba
from bouba.align import FewPairs
from bouba.align.blocks import Blocks
from bouba.align.choosing import FAMILIES, Problem, choose, folds, joined
from bouba.align.maps import unit
from bouba.align.things import Things
from bouba.data.views import Column, Views
from bouba.errors import DataError, UsageError

MIXING = np.random.default_rng(1)
TO_X, TO_Y, TO_W = MIXING.normal(size=(5, 14)), MIXING.normal(size=(5, 11)), MIXING.normal(size=(5, 7))


def pairs(n: int = 120, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Two views of five hidden numbers."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, 5))
    return z @ TO_X + noise * random.normal(size=(n, 14)), z @ TO_Y + noise * random.normal(size=(n, 11))


def found(a: np.ndarray, b: np.ndarray) -> float:
    """Share of rows whose own partner is the nearest."""
    return float(((unit(a) @ unit(b).T).argmax(1) == np.arange(len(a))).mean())


def test_new_pairs_are_found():
    model = FewPairs().fit([*pairs()])
    z = model.embed([*pairs(60, seed=5)])
    assert found(z["view0"], z["view1"]) > 0.9


def test_every_family_is_tried_and_the_best_is_taken():
    model = FewPairs().fit([*pairs(60, noise=1.0)])
    tried = {candidate.name for candidate in model.candidates_}
    assert set(FAMILIES) <= tried
    assert any(" + " in name for name in tried)
    chosen = [candidate for candidate in model.candidates_ if candidate.chosen]
    assert len(chosen) == 1
    assert chosen[0].best == max(candidate.best for candidate in model.candidates_)
    assert chosen[0].name in model.chosen_


@pytest.mark.parametrize("family", FAMILIES)
def test_one_family_alone_is_that_family(family):
    model = FewPairs(candidates=[family]).fit([*pairs(60)])
    assert {candidate.name for candidate in model.candidates_} == {family}
    z = model.embed([*pairs(40, seed=5)])
    assert found(z["view0"], z["view1"]) > 0.2  # guessing: 0.025


def test_a_curved_relation_is_left_to_a_kernel():
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, size=(250, 2))
    y = np.stack([x[:, 0] ** 2, np.cos(2 * x[:, 1]), x[:, 0] * x[:, 1]], 1) + 0.02 * random.normal(size=(250, 3))
    model = FewPairs().fit([x, y])
    assert model.chosen_.startswith("kernel-cca")


def test_things_are_never_on_both_sides_of_a_fold():
    things = np.repeat(np.arange(30), 4)
    judged_once = []
    for training, judged in folds(things, 0):
        assert not set(things[training]) & set(things[judged])
        assert set(training) | set(judged) == set(range(120))
        judged_once += judged.tolist()
    assert sorted(judged_once) == list(range(120))


def test_a_group_is_on_one_side_of_a_fold_and_no_right_answer():
    """Ten groups of twelve things each: a thing is found by its own partner, not by one of its group."""
    x, y = pairs(120)
    group = np.repeat(np.arange(10), 12)
    views = Views({"x": x, "y": y}, group=group)
    things = Things.of(Blocks({"x": x, "y": y}, {view: np.ones(120, bool) for view in "xy"}, dict, views=views))
    assert len(set(things.shown)) == 120
    assert things.apart == 10
    for training, judged in folds(things.together, 0):
        assert not set(group[training]) & set(group[judged])
    alone = FewPairs(candidates=("cca",)).fit(Views({"x": x, "y": y}))
    grouped = FewPairs(candidates=("cca",)).fit(views)
    assert max(c.best for c in grouped.candidates_) < max(c.best for c in alone.candidates_) + 0.1


def test_equal_keys_and_equal_cells_are_one_thing():
    """Copies with noise of twenty things teach nothing about others, and scores must say so."""
    random = np.random.default_rng(0)
    x, y = (np.repeat(random.normal(size=(20, 6)), 3, 0) + 0.01 * random.normal(size=(60, 6)) for _ in range(2))
    key = np.repeat(np.arange(20), 3).astype(str)
    named, nameless = (
        FewPairs().fit(Views({"a": x, "b": y}, key=key if keyed else None)).candidates_[0].best
        for keyed in (True, False)
    )
    assert nameless > named + 0.1


def test_the_mean_of_a_domain_is_removed_also_by_rows_without_a_partner():
    x, y = pairs(120)
    new_x, new_y = pairs(60, seed=5)
    shift = 8 * np.random.default_rng(2).normal(size=14)
    alone_x, _ = pairs(60, seed=7)
    cells_a = np.concatenate([x, alone_x + shift])
    cells_b = np.concatenate([y, np.zeros((60, 11))])
    domain = np.repeat(["photo", "sketch"], [120, 60])
    there = np.arange(180) < 120
    table = Views({"a": cells_a, "b": Column.of(cells_b, "vector", there)}, domain=domain)
    model = FewPairs().fit(table)
    shifted = Views({"a": new_x + shift, "b": new_y}, domain=np.full(60, "sketch"))
    z = model.embed(shifted)
    assert found(z["b"], z["a"]) > 0.8
    z = model.embed(Views({"a": new_x + shift, "b": new_y}))  # nobody says which domain it is
    assert found(z["b"], z["a"]) < 0.5


def test_a_target_teaches_its_mean_and_nothing_else():
    x, y = pairs(120)
    random = np.random.default_rng(3)
    other_x, other_y = random.normal(size=(60, 14)) + 5, random.normal(size=(60, 11))
    domain = np.repeat(["photo", "sketch"], [120, 60])
    table = Views({"a": np.vstack([x, other_x]), "b": np.vstack([y, other_y])}, domain=domain)
    hidden = FewPairs().fit(table, target={"sketch": ["a"]})
    alone = FewPairs().fit(table[np.arange(120)])
    new = dict(zip("ab", pairs(40, seed=5), strict=True))
    for name, z in hidden.embed(Views(new, domain=np.full(40, "photo"))).items():
        np.testing.assert_allclose(z, alone.embed(Views(new, domain=np.full(40, "photo")))[name], atol=1e-5)


def test_three_views_share_one_space():
    random = np.random.default_rng(0)
    z, new = random.normal(size=(150, 5)), random.normal(size=(40, 5))
    mixed = lambda hidden: [hidden @ to for to in (TO_X, TO_Y, TO_W)]  # noqa: E731
    model = FewPairs().fit(mixed(z))
    embedded = list(model.embed(mixed(new)).values())
    assert min(found(embedded[i], embedded[j]) for i in range(3) for j in range(3)) > 0.9
    assert len(model.candidates_) > 1


def test_hubness_is_corrected_where_that_was_chosen():
    model = FewPairs().fit([*pairs(80, noise=1.5)])
    z = model.embed([*pairs(30, seed=5)])
    offsets = model.hub_offsets(z)
    assert (set(offsets) == set(z)) if model.corrects_ else not offsets
    model.corrects_ = True
    offsets = model.hub_offsets(z)
    known = model.known_["view1"]
    expected = np.sort(z["view0"] @ known.T, 1)[:, -10:].mean(1)
    np.testing.assert_allclose(offsets["view0"], expected, atol=1e-5)


def test_what_is_joined_is_at_most_as_wide_as_said():
    x, y = pairs(90)
    every = np.arange(90)
    problem = Problem.of(x, y, every, every, Things(every, every), 0)
    _, taken, _ = choose(problem, tuple(FAMILIES), 0)
    (a, b), (cells_a, cells_b) = joined(problem, taken)
    np.testing.assert_allclose(a(x), cells_a, atol=1e-9)
    np.testing.assert_allclose(b(y), cells_b, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(a(x), axis=1), 1, atol=1e-9)
    assert a(x).shape == b(y).shape


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_handful_of_pairs_is_aligned_without_choosing(n):
    model = FewPairs().fit([*pairs(n)])
    assert len(model.candidates_) == 1
    assert np.isfinite(model.embed([*pairs(4, seed=3)])["view0"]).all()


@pytest.mark.parametrize("n", [4, 80])
def test_saved_and_loaded_to_the_bit(n, tmp_path):
    model = FewPairs().fit([*pairs(n, noise=1.0)])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    new = [*pairs(30, seed=5)]
    for name, z in model.embed(new).items():
        assert np.array_equal(z, again.embed(new)[name])
    assert again.candidates_ == model.candidates_ or n < 6
    assert again.chosen_ == model.chosen_
    offsets = model.hub_offsets(model.embed(new))
    for name, values in again.hub_offsets(again.embed(new)).items():
        assert np.array_equal(values, offsets[name])


def test_the_same_seed_gives_the_same_model():
    first, second = (FewPairs(random_state=3).fit([*pairs(60)]).embed([*pairs(20, seed=5)]) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_refusals():
    x, y = pairs(20)
    with pytest.raises(UsageError, match="did you mean 'asif'"):
        FewPairs(candidates=["asiff"]).fit([x, y])
    with pytest.raises(DataError, match="two views or more"):
        FewPairs().fit([x])
    apart = {
        "a": Column.of(x, "vector", np.arange(20) < 10),
        "b": Column.of(y, "vector", np.arange(20) >= 10),
    }
    with pytest.raises(DataError, match="aligning needs two or more"):
        FewPairs().fit(Views(apart))


@pytest.mark.parametrize("options", [{"self_learning": 1}, {"candidates": ["asif"]}])
def test_what_three_sides_cannot_have_is_refused(options):
    x, y = pairs(20)
    with pytest.raises(UsageError, match="is for two sides, and these views have 3"):
        FewPairs(**options).fit([x, y, x[:, ::-1]])


def test_three_views_with_gaps():
    """Each row lacks one view; partners are found all the same."""
    random = np.random.default_rng(0)
    z = random.normal(size=(240, 5))
    there = np.arange(240) % 3
    cells = {
        name: Column.of(z @ to + 0.05 * random.normal(size=(240, to.shape[1])), "vector", there != lacking)
        for lacking, (name, to) in enumerate({"a": TO_X, "b": TO_Y, "c": TO_W}.items())
    }
    model = FewPairs().fit(Views(cells))
    new = random.normal(size=(40, 5))
    embedded = model.embed({"a": new @ TO_X, "b": new @ TO_Y, "c": new @ TO_W})
    assert min(found(embedded[i], embedded[j]) for i in "abc" for j in "abc") > 0.8
    assert model.correlations_[0] > 0.9
