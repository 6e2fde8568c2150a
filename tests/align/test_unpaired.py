"""Cells without a partner teach FewPairs."""

import numpy as np
import pytest
from made import twin_vectors

import bouba
from bouba import Views
from bouba.align import FewPairs
from bouba.align.unpaired import Cells, chances_to_meet, guesses, taught_by_singles
from bouba.data.views import Column


def curved(n=900, seed=0):
    """Two views of points on a curved sheet."""
    random = np.random.default_rng(seed)
    latent = random.uniform(-1, 1, size=(n, 3))
    waves = [np.sin(2 * latent @ random.normal(size=(3, 40)) + random.uniform(0, 6, 40)) for _ in "ab"]
    return [wave + 0.3 * random.normal(size=wave.shape) for wave in waves]


def with_singles(a, b, pairs):
    """The first rows are pairs; of the others both cells are there, in rows of their own and in another order."""
    single = len(a) - pairs
    order = np.random.default_rng(1).permutation(single)
    nothing = [np.zeros((single, side.shape[1])) for side in (a, b)]
    present = np.ones(pairs + single, bool), np.zeros(single, bool)
    has_b = np.concatenate([np.ones(pairs, bool), np.zeros(single, bool), np.ones(single, bool)])
    return Views(
        {
            "a": Column.of(np.vstack([a, nothing[0]]), "vector", np.concatenate(present)),
            "b": Column.of(np.vstack([b[:pairs], nothing[1], b[pairs:][order]]), "vector", has_b),
        }
    )


def hits(model, a, b):
    z = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in model.embed({"a": a, "b": b}).values()]
    scores = z[0] @ z[1].T
    return float(((scores >= np.diag(scores)[:, None]).sum(1) <= 5).mean())


def test_definition_chances_are_a_sum_over_all_walks():
    cells = np.random.default_rng(0).normal(size=(7, 3))
    unit = cells - cells.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    w = np.clip(unit @ unit.T, 0, None)  # with seven cells all others are among the ten nearest
    np.fill_diagonal(w, 0)
    step = 0.8 * w / np.sqrt(np.outer(w.sum(0), w.sum(0)))
    expected = sum(np.linalg.matrix_power(step, t) for t in range(31))
    np.testing.assert_allclose(chances_to_meet(cells, np.array([2, 5])), expected[:, [2, 5]], atol=1e-12)


def test_law_guesses_share_out_the_smaller_side():
    plan = guesses(np.random.default_rng(0).normal(size=(6, 9)), steps=500)
    np.testing.assert_allclose(plan.sum(1), np.ones(6), rtol=1e-6)
    np.testing.assert_allclose(plan.sum(0), np.full(9, 6 / 9), rtol=1e-6)
    assert guesses(10 * np.eye(5)).argmax(1).tolist() == list(range(5))


def test_law_without_cells_on_both_sides_nothing_changes():
    a, b = np.random.default_rng(0).normal(size=(2, 20, 3))
    maps = (lambda x: x, lambda x: x)
    assert taught_by_singles(maps, (Cells(a, a[:0]), Cells(b, b)), 2, 0) is maps


def test_recovery_singles_find_partners_that_pairs_alone_do_not():
    a, b = curved()
    training = with_singles(a[:600], b[:600], pairs=40)
    alone, together = (FewPairs(self_learning=rounds).fit(training) for rounds in (0, 2))
    assert hits(together, a[600:], b[600:]) > hits(alone, a[600:], b[600:]) + 0.05


def test_saved_and_loaded_to_the_bit(tmp_path):
    views = twin_vectors(n=60)
    training = with_singles(*(np.stack([views[name][i] for i in range(60)]) for name in views.columns), pairs=20)
    model = FewPairs(self_learning=1).fit(training)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name, z in model.embed(training).items():
        np.testing.assert_array_equal(again.embed(training)[name], z)
    assert again.self_learning == 1


def test_refusal_of_fewer_rounds_than_none():
    a, b = np.random.default_rng(0).normal(size=(2, 30, 4))
    with pytest.raises(bouba.errors.UsageError, match="self_learning is a number of rounds, 0 or more, got -1"):
        FewPairs(self_learning=-1).fit([a, b])
