"""Towers of saved models: locked, locked but for their head, trained on."""

import json

import numpy as np
import pytest
import torch
from made import twin_vectors

import bouba
from bouba import CCA, CLIP, MLP, ConvNet, DeepCCA, InfoNCE, Learner, NGrams, SameAs, SimCLR, TowerOf, Views
from bouba.errors import DataError, UsageError
from bouba.towers.frozen import Frozen

FAST = {"dim": 8, "epochs": 3, "batch_size": 40}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path):
    """A model of two views, saved; `right` has a tower of BatchNorm's kin in no layer."""
    model = CLIP(**FAST).fit(twin_vectors(120))
    model.save(tmp_path / "source")
    return model


def pictures(n=60, seed=0):
    random = np.random.default_rng(seed)
    shade = random.integers(0, 255, (n, 1, 1, 3))
    noise = random.integers(0, 40, (n, 12, 12, 3))
    cells = (shade * 0.8 + noise).astype(np.uint8)
    return Views({"photo": list(cells), "shade": shade[:, 0, 0] / 255.0}, kinds={"photo": "image"})


def weights_of(model, view):
    return {name: value.clone() for name, value in model.module_.towers[view].state_dict().items()}


def test_all_is_locked_but_the_head(source, tmp_path):
    views = twin_vectors(120, seed=1)
    spec = TowerOf(str(tmp_path / "source"), view="left")
    model = CLIP({"left": spec, "right": MLP()}, **FAST).fit(views)
    tower, before = model.module_.towers["left"], source.module_.towers["left"]
    for name, weight in before.encoder.state_dict().items():
        assert torch.equal(tower.encoder.inner.state_dict()[name], weight)
    assert isinstance(tower.encoder, Frozen)
    learns = {name for name, p in tower.named_parameters() if p.requires_grad}
    assert learns == {"projection.layers.1.weight", "projection.layers.1.bias"}
    features = before.encoder(**before.encoder.prepare(list(views["left"]))).detach()
    given = tower.encoder(**tower.encoder.prepare(list(views["left"])))
    mean, scale = features.mean(0), features.std(0, correction=0)
    usual = scale.square().mean().sqrt()
    torch.testing.assert_close(given, (features - mean) / scale.clamp(min=0.01 * usual), rtol=1e-4, atol=1e-4)


def test_a_locked_head_gives_the_embeddings_of_the_source(source, tmp_path):
    views = twin_vectors(120, seed=1)
    locked = TowerOf(str(tmp_path / "source"), view="left", head="frozen")
    model = CLIP({"left": locked, "right": MLP()}, **FAST).fit(views)
    np.testing.assert_allclose(model.embed(views)["left"], source.embed(views)["left"], atol=1e-5)
    assert not any(p.requires_grad for p in model.module_.towers["left"].parameters())


@pytest.mark.parametrize("head", ["new", "frozen"])
def test_saved_and_loaded_where_the_source_is_not(head, source, tmp_path):
    views = twin_vectors(80, seed=1)
    spec = TowerOf(str(tmp_path / "source"), view="left", head=head)
    model = CLIP({"left": spec, "right": MLP()}, **FAST).fit(views)
    model.save(tmp_path / "model")
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    again = bouba.load(tmp_path / "model")
    for view in ("left", "right"):
        assert np.array_equal(again.embed(views)[view], model.embed(views)[view])
    assert again.specs_["left"] == model.specs_["left"]
    assert again.specs_["left"].kind == "vector"
    locked = {name for name, p in again.module_.towers["left"].named_parameters() if not p.requires_grad}
    assert ("projection.layers.1.weight" in locked) == (head == "frozen")


def test_trained_on_from_the_weights_of_the_source(source, tmp_path):
    views = twin_vectors(80, seed=1)
    spec = TowerOf(str(tmp_path / "source"), view="left", train="finetune", head="finetune")
    still = CLIP({"left": spec, "right": MLP()}, dim=8, epochs=1, lr=0.0).fit(views)
    np.testing.assert_allclose(still.embed(views)["left"], source.embed(views)["left"], atol=1e-6)
    moved = CLIP({"left": spec, "right": MLP()}, **FAST).fit(views)
    before, after = weights_of(source, "left"), weights_of(moved, "left")
    assert not torch.equal(before["projection.layers.1.weight"], after["projection.layers.1.weight"])
    changes = [(after[name] - value).abs().max() for name, value in before.items() if "encoder" in name]
    assert max(changes) > 0


def test_a_tower_with_batch_norm_stays_as_it_was_over_domains(tmp_path):
    views = pictures()
    SimCLR({"photo": ConvNet(size=12, channels=4)}, **FAST).fit(views.select("photo")).save(tmp_path / "simclr")
    mixed = views.replace(domain=np.array(["a", "b"])[np.arange(60) % 2])
    model = CLIP({"photo": TowerOf(str(tmp_path / "simclr"), head="frozen"), "shade": MLP()}, **FAST).fit(mixed)
    source = bouba.load(tmp_path / "simclr")
    np.testing.assert_allclose(model.embed(mixed)["photo"], source.embed(views.select("photo"))["photo"], atol=1e-5)


def test_missing_cells(source, tmp_path):
    views = twin_vectors(80, seed=1)
    views = views.replace(columns={**views.columns, "left": views["left"].without(np.arange(80) % 5 == 0)})
    spec = TowerOf(str(tmp_path / "source"), view="left", head="frozen")
    z = CLIP({"left": spec, "right": MLP()}, **FAST).fit(views).embed(views)["left"]
    assert not z[::5].any()
    assert z[1::5].any(1).all()


def test_a_cut_run_goes_on_to_the_bit_and_not_with_other_weights(source, tmp_path):
    views = twin_vectors(80, seed=1)
    spec = TowerOf(str(tmp_path / "source"), view="left")

    def fit(epochs, **where):
        return CLIP({"left": spec, "right": MLP()}, dim=8, epochs=epochs, lr=0.01).fit(views, **where)

    unbroken = fit(4)

    class Cut(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Cut

    with pytest.raises(Cut):
        fit(4, folder=tmp_path / "run", on_epoch=stop)
    resumed = fit(4, folder=tmp_path / "run", resume=True)
    for view in ("left", "right"):
        assert np.array_equal(resumed.embed(views)[view], unbroken.embed(views)[view])
    (tmp_path / "source").rename(tmp_path / "before")
    CLIP(random_state=1, **FAST).fit(twin_vectors(120)).save(tmp_path / "source")
    with pytest.raises(DataError, match="was made with other frozen weights"):
        fit(6, folder=tmp_path / "run", resume=True)


def test_locking_wins_where_the_tower_knew_more_than_the_pairs_say(tmp_path):
    """LiT: 40 pairs, and a tower that learnt from 800 others which of its numbers say nothing."""
    random = np.random.default_rng(0)
    latent, idle = random.normal(size=(1200, 4)), random.normal(size=(1200, 20))
    rotation, _ = np.linalg.qr(random.normal(size=(24, 24)))
    left = np.hstack([latent, idle]) @ rotation
    views = Views({"left": left, "right": latent @ random.normal(size=(4, 6))})
    many, few, new = views[:800], views[800:840], views[840:]
    CLIP(dim=16, epochs=10).fit(many).save(tmp_path / "source")
    locked = TowerOf(str(tmp_path / "source"), view="left", head="frozen")
    found = {}
    for name, tower in {"locked": locked, "scratch": MLP()}.items():
        model = CLIP({"left": tower, "right": MLP()}, dim=16, epochs=40, batch_size=40).fit(few)
        found[name] = model.score(new)
    assert found["locked"] > 2 * found["scratch"], found


def test_in_a_recipe_and_a_closed_form(source, tmp_path):
    from bouba.runs.recipe import build

    recipe = {"method": "clip", "towers": {"left": {"encoder": "TowerOf", "source": str(tmp_path / "source")}}}
    recipe["towers"]["left"] |= {"view": "left", "head": "frozen"}
    recipe["towers"]["right"] = {"encoder": "MLP"}
    assert build(recipe).towers["left"] == TowerOf(str(tmp_path / "source"), view="left", head="frozen")
    views = twin_vectors(80, seed=1)
    towers = {"left": TowerOf(str(tmp_path / "source"), view="left", cache=False)}
    model = CCA(2, ridge=0.1, towers=towers).fit(views)
    model.save(tmp_path / "cca")
    assert np.array_equal(bouba.load(tmp_path / "cca").embed(views)["left"], model.embed(views)["left"])


def test_a_shared_tower_and_one_of_text(tmp_path):
    texts = [f"{'red' if i % 2 else 'blue'} thing {i}" for i in range(60)]
    views = Views({"one": texts, "two": texts[::-1]}, kinds={"one": "text", "two": "text"})
    towers = {"one": NGrams(buckets=500, width=8), "two": SameAs("one")}
    source = Learner(towers, InfoNCE(), **FAST).fit(views)
    source.save(tmp_path / "shared")
    spec = TowerOf(str(tmp_path / "shared"), view="two", head="frozen")
    model = CLIP({"one": spec, "two": NGrams(buckets=500, width=8)}, **FAST).fit(views)
    np.testing.assert_allclose(model.embed(views)["one"], source.embed(views)["one"], atol=1e-5)


def test_refusals(source, tmp_path):
    views, path = twin_vectors(80, seed=1), str(tmp_path / "source")
    with pytest.raises(UsageError, match="no train='locked'; there is 'finetune', 'frozen'"):
        TowerOf(path, train="locked")
    with pytest.raises(UsageError, match="a locked head reads what its own tower gives"):
        TowerOf(path, train="finetune", head="frozen")
    with pytest.raises(UsageError, match="lr_scale is a share above 0"):
        TowerOf(path, lr_scale=0)
    with pytest.raises(UsageError, match=r"needs view=\.\.\., one of left \(vector\), right \(vector\)"):
        CLIP({"left": TowerOf(path), "right": MLP()}).fit(views)
    with pytest.raises(UsageError, match="has no view 'lft'; did you mean 'left'"):
        CLIP({"left": TowerOf(path, view="lft"), "right": MLP()}).fit(views)
    with pytest.raises(UsageError, match=r"'left' of .*source reads vector"):
        TowerOf(path, view="left").on("image")
    with pytest.raises(UsageError, match="gives 8 numbers; say dim=8"):
        CLIP({"left": TowerOf(path, view="left", head="frozen"), "right": MLP()}, dim=4, epochs=1).fit(views)
    both = {view: TowerOf(path, view=view, head="frozen") for view in ("left", "right")}
    with pytest.raises(UsageError, match="every tower and head is locked"):
        Learner(both, InfoNCE(learn=False), **FAST).fit(views)
    with pytest.raises(UsageError, match="and the head of 'left' is locked"):
        DeepCCA({"left": both["left"], "right": MLP()}, dim=8, epochs=1).fit(views)
    with pytest.raises(DataError, match="no model in"):
        TowerOf(str(tmp_path / "nowhere")).on("vector")
    CCA(2).fit(views).save(tmp_path / "cca")
    with pytest.raises(DataError, match="a model without trained towers"):
        TowerOf(str(tmp_path / "cca")).on("vector")
    facts = json.loads((tmp_path / "source" / "model.json").read_text())
    assert facts["kinds"] == {"left": "vector", "right": "vector"}
