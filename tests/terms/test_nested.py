import tomllib

import numpy as np
import pytest
import torch

import bouba
from bouba import Learner, Views
from bouba.errors import RecipeError, UsageError
from bouba.evaluation import by_width
from bouba.runs.describing import sections_of
from bouba.runs.recipe import build
from bouba.runs.toml import to_toml
from bouba.terms import InfoNCE, Nested, Objective, Prediction, Space, info_nce
from bouba.terms.contract import SPACE, a_batch

WIDE = Space(dims={"a": 32, "b": 32})


def batch_of(seed=0, size=9):
    return a_batch(InfoNCE(), WIDE, size=size, seed=seed, present=1.0).replace(key=None)


def test_definition():
    batch, term = batch_of(), Nested(InfoNCE(temperature=0.2), dims=(4, 16))
    value, parts = term.loss(batch, term.state(WIDE))
    costs = []
    for width in (4, 16, 32):
        a, b = batch.z["a"][:, :width], batch.z["b"][:, :width]
        costs.append(info_nce(a, b, temperature=0.2).item())
    assert value.item() == pytest.approx(sum(costs) / 3, rel=1e-6)
    assert [float(parts[name]) for name in ("4", "16", "32")] == pytest.approx(costs, rel=1e-6)


def test_the_whole_width_counts_once_whether_it_is_named_or_not():
    batch = batch_of()
    named, unnamed = (
        Nested(InfoNCE(), dims).loss(batch, Nested(InfoNCE(), dims).state(WIDE))[0] for dims in ((8, 32), (8,))
    )
    assert named.equal(unnamed)


def test_the_whole_alone_is_the_term_itself():
    batch, term = batch_of(), Nested(InfoNCE(), (32,))
    assert term.loss(batch, term.state(WIDE))[0].equal(InfoNCE().loss(batch, InfoNCE().state(WIDE))[0])


def test_the_first_numbers_are_pulled_by_every_width_and_the_last_by_the_whole_alone():
    batch = batch_of()
    whole, nested = (term.loss(batch, term.state(WIDE))[0] for term in (InfoNCE(), Nested(InfoNCE(), (8, 16))))
    (of_whole,) = torch.autograd.grad(whole, batch.z["a"])
    (of_nested,) = torch.autograd.grad(nested, batch.z["a"])
    assert torch.allclose(3 * of_nested[:, 16:], of_whole[:, 16:], atol=1e-7)
    assert not torch.allclose(3 * of_nested[:, :8], of_whole[:, :8], atol=1e-4)


def test_each_width_learns_what_the_term_learns():
    state = Nested(InfoNCE(), (4, 16)).state(WIDE)
    assert state.widths == (32, 16, 4)
    assert sum(1 for _ in state.parameters()) == 3  # a temperature each
    heads = Nested(Prediction(("kind",)), (2,)).state(SPACE).states
    assert [next(p for p in head.parameters() if p.dim() == 2).shape[1] for head in heads] == [4, 2]


def test_it_stands_in_the_algebra_and_in_recipes():
    objective = Nested(InfoNCE(temperature=0.1), (16,)) + 0.1 * Prediction()
    assert repr(objective).startswith("Nested(inner=InfoNCE(temperature=0.1")
    needs = objective.needs()
    assert (needs.widths, needs.aligns, needs.predicts) == ((16,), True, True)
    recipe = {"method": "learner"} | sections_of({"objective": objective})
    text = to_toml(recipe)
    assert "[objective.inner]" in text
    assert build(tomllib.loads(text)).objective == objective
    inline = 'method = "learner"\n[[objective]]\nterm = "Nested"\ndims = [8]\ninner = { term = "InfoNCE" }'
    assert build(tomllib.loads(inline)).objective == Objective.of(Nested(InfoNCE(), (8,)))


def test_refusals():
    for dims in ((), (0, 4), (64,), (4, 4)):
        with pytest.raises(UsageError, match=r"different widths from 1 to 32, that of the embeddings, got dims="):
            Nested(InfoNCE(), dims).state(WIDE)
    with pytest.raises(UsageError, match=r"inner=.* is not a Term"):
        Nested(InfoNCE() + InfoNCE())
    with pytest.raises(RecipeError, match="no term 'InfoNEC'; did you mean 'InfoNCE'"):
        build({"method": "learner", "objective": [{"term": "Nested", "inner": {"term": "InfoNEC"}}]})
    with pytest.raises(RecipeError, match="lacks 'inner'"):
        build({"method": "learner", "objective": [{"term": "Nested"}]})


def views_of(n, seed, directions=24):
    """Two views of a latent whose directions weigh alike, so that no few of them are enough by chance."""
    random = np.random.default_rng(seed)
    maps = np.random.default_rng(99)
    latent = random.normal(size=(n, directions))
    views = {}
    for name, width in (("left", 40), ("right", 50)):
        noise = 0.3 * random.normal(size=(n, width))
        views[name] = np.tanh(latent @ maps.normal(size=(directions, width)) / 3) + noise
    return Views(views)


@pytest.fixture(scope="module")
def trained():
    train = views_of(600, 0)
    models = {}
    for name, objective in {"nested": Nested(InfoNCE(), (4, 8)), "plain": InfoNCE()}.items():
        models[name] = Learner(objective=objective, dim=32, epochs=25, batch_size=128).fit(train)
    return models


def test_recovery_short_embeddings_find_more_than_cut_ones(trained):
    test = views_of(400, 1)
    curves = {
        name: {one.width: one.value for one in by_width(model, test, (4, 8)) if one.direction == "left->right"}
        for name, model in trained.items()
    }
    assert curves["nested"][4] > 1.2 * curves["plain"][4], curves
    assert curves["nested"][8] > curves["plain"][8], curves
    assert curves["nested"][32] > 0.8 * curves["plain"][32], curves


def test_a_curve_of_what_a_model_was_trained_for(trained):
    test = views_of(100, 2)
    curve = by_width(trained["nested"], test)
    assert [one.width for one in curve] == [4, 4, 8, 8, 32, 32]
    assert [one.width for one in by_width(trained["plain"], test)][::2] == [8, 16, 32]  # halves
    whole = [one for one in curve if one.width == 32]
    records = {r.direction: r.value for r in bouba.evaluate(trained["nested"], test) if r.metric == "recall@10"}
    assert {one.direction: one.value for one in whole} == pytest.approx(records)
    assert all(one.share == 1 and one.low <= one.value <= one.high for one in whole)
    with pytest.raises(UsageError, match="widths are whole numbers from 1 to 32"):
        by_width(trained["nested"], test, (64,))


def test_saved_and_loaded(trained, tmp_path):
    trained["nested"].save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    views = views_of(20, 3)
    assert (again.objective, again.widths) == (Nested(InfoNCE(), (4, 8)), (4, 8))
    assert np.array_equal(again.embed(views)["left"], trained["nested"].embed(views)["left"])
    assert again.temperature_ == trained["nested"].temperature_
