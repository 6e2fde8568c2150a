"""SimCLR: what one view teaches itself; its loss by a loop, features before the projection, any kind of view."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from bouba import CLIP, MLP, Views, load
from bouba.align.simclr import VARIED_TOWERS, SimCLR
from bouba.data.kinds import KINDS
from bouba.errors import ModalityError, UsageError
from bouba.metrics import accuracy, knn
from bouba.runs.recipe import build
from bouba.terms import BYOL, DINO, MAE, BarlowTwins, NTXent, SimSiam, VICReg
from bouba.towers import SameAs

QUICK = {"dim": 4, "epochs": 2, "batch_size": 32}


def numbers(n=60, d=5, seed=0):
    return Views({"x": np.random.default_rng(seed).normal(size=(n, d))})


def hidden_classes(seed, n=900):
    """Eight classes: the signs of three latent numbers, each told eight times with noise, among 30 columns of noise."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, 3))
    told = np.repeat(latent, 8, axis=1) + 0.5 * random.normal(size=(n, 24))
    return np.hstack([told, random.normal(size=(n, 30))]), ((latent > 0) @ [1, 2, 4]).astype(str)


def shapes(n=40, side=16):
    """Circles and squares, in any colour."""
    random = np.random.default_rng(0)
    out = []
    for number in range(n):
        picture = Image.new("RGB", (side, side), "white")
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if number % 2 else draw.rectangle)(
            (3, 3, 12, 12), fill=tuple(random.integers(0, 200, 3).tolist())
        )
        out.append(picture)
    return Views({"image": out}, kinds={"image": "image"})


def test_definition_of_the_first_loss():
    """One batch, one epoch, no step: the logged loss is NT-Xent over both copies, by a loop."""
    views = numbers(12)
    model = SimCLR(
        {"x": MLP(hidden=(8,), dropout=0.0, mask=0.5)}, dim=3, epochs=1, batch_size=12, lr=0.0, temperature=0.7
    )
    copies = []
    fit_once(model, views, copies)
    z = [row / np.linalg.norm(row) for row in np.concatenate(copies[:2])]
    total = 0.0
    for i in range(24):
        partner = (i + 12) % 24
        others = [math.exp(z[i] @ z[k] / 0.7) for k in range(24) if k != i]
        total += -math.log(math.exp(z[i] @ z[partner] / 0.7) / sum(others))
    assert model.history_[0]["loss"] == pytest.approx(total / 24, rel=1e-5)


def fit_once(model, views, copies):
    """Fit, keeping what the tower gave."""
    extend = type(model)._extend

    def watched(self, network):
        extend(self, network)
        network.towers["x"].register_forward_hook(lambda module, given, z: copies.append(z.detach().numpy()))

    model._extend = watched.__get__(model)
    model.fit(views)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recovery_neighbours_agree_more_than_among_the_raw_numbers(seed):
    x, y = hidden_classes(seed)
    views = Views({"x": x})
    towers = {"x": MLP(mask=0.6)}
    model = SimCLR(towers, temperature=0.5, epochs=30, random_state=seed).fit(views[:300])
    untrained = SimCLR(towers, epochs=1, lr=0.0, random_state=seed).fit(views[:300])
    found = {
        name: accuracy(y[300:], knn(z[:300], y[:300], z[300:]))
        for name, z in (("learnt", model.embed(views)["x"]), ("untrained", untrained.embed(views)["x"]), ("raw", x))
    }
    assert found["learnt"] > found["raw"] + 0.04, found
    assert found["learnt"] > found["untrained"] + 0.15, found


def test_score_is_the_rank_of_the_other_copy():
    views = numbers(200, d=12)
    model = SimCLR({"x": MLP(noise=0.1)}, dim=16, epochs=15, batch_size=50).fit(views[:150])
    test = views[150:]
    chance = np.mean(1 / np.arange(1, 51))
    assert model.score(test) > 5 * chance
    assert model.score(test) == model.score(test)
    state = torch.random.get_rng_state()
    model.score(test)
    assert torch.equal(state, torch.random.get_rng_state())
    exact = SimCLR({"x": MLP(hidden=(4,), dropout=0.0)}, **QUICK).fit(views)
    assert exact.score(views) == 1.0, "nothing is varied, so that each cell is its own copy"
    torch.manual_seed(model.random_state)
    z, other = (model._varied(test)["x"] for _ in range(2))
    unit = lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)  # noqa: E731
    similar = unit(z) @ unit(other).T
    own = similar.diagonal()
    expected = [np.mean(1 / (s > own[:, None]).sum(1).__add__(1)) for s in (similar, similar.T)]
    assert model.score(test) == pytest.approx(np.mean(expected), rel=1e-3)


def test_features_stand_before_the_projection():
    views = numbers()
    model = SimCLR({"x": MLP(hidden=(7,))}, **QUICK).fit(views)
    features = model.features(views)["x"]
    assert features.shape == (60, 7)
    tower = model.module_.towers["x"]
    with torch.no_grad():
        np.testing.assert_allclose(tower.projection(torch.from_numpy(features)), model.embed(views)["x"], rtol=1e-4)
        inputs = tower.encoder.prepare(list(views["x"]))
        np.testing.assert_allclose(tower.encoder(**inputs), features, rtol=1e-4, atol=1e-5)
    assert not tower.projection._forward_pre_hooks, "nothing is left behind"


def test_missing_cells_have_features_of_zeros():
    views = numbers()
    absent = np.arange(60) % 3 == 0
    some = views.replace(columns={"x": views["x"].without(absent)})
    model = SimCLR(**QUICK).fit(some)
    assert not model.features(some)["x"][absent].any()
    np.testing.assert_allclose(model.features(some)["x"][~absent], model.features(views)["x"][~absent], atol=1e-5)
    assert not model.features(some[absent])["x"].any()


def test_every_kind_has_a_default_that_varies():
    assert set(VARIED_TOWERS) == set(KINDS)
    cells = {
        "image": list(shapes(4)["image"]),
        "text": ["one two three four five"] * 4,
        "vector": list(np.random.default_rng(0).normal(size=(4, 6))),
        "audio": [(np.random.default_rng(i).normal(0, 0.1, 4000), 16_000) for i in range(4)],
        "video": [[picture] * 3 for picture in shapes(4)["image"]],
        "table": [{"a": float(i), "b": "xy"[i % 2]} for i in range(4)],
    }
    for kind in cells:  # a kind that is added later checks this beside its tower
        spec = VARIED_TOWERS[kind]()
        assert spec.kind == kind
        encoder = spec.build(spec.learn(cells[kind]))
        inputs = encoder.prepare(cells[kind])
        torch.manual_seed(0)
        one, other = (next(iter(encoder.vary(inputs).values())) for _ in range(2))
        assert one.shape != other.shape or not torch.equal(one, other)


def test_several_kinds_at_once_and_saved_to_the_bit(tmp_path):
    sounds = [(np.random.default_rng(i).normal(0, 0.1, 3000), 16_000) for i in range(40)]
    views = Views(
        {"image": list(shapes()["image"]), "text": ["some words to drop"] * 40, "x": numbers(40)["x"], "sound": sounds},
        kinds={"image": "image", "text": "text", "sound": "audio"},
    )
    model = SimCLR(**QUICK | {"epochs": 1}).fit(views)
    model.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    for name in views.columns:
        np.testing.assert_array_equal(model.embed(views)[name], copy.embed(views)[name])
        np.testing.assert_array_equal(model.features(views)[name], copy.features(views)[name])
    assert model.transform(views).modalities == dict.fromkeys(views.columns, "vector")
    assert 0 < model.score(views) <= 1


def test_law_labels_and_keys_teach_nothing_but_keys_mask():
    views = numbers()
    said = views.replace(y={"kind": np.array(list("ab") * 30, dtype=object)}, meta={"m": np.arange(60)})
    plain, labelled = (SimCLR(**QUICK).fit(v).embed(views)["x"] for v in (views, said))
    np.testing.assert_array_equal(plain, labelled)
    keyed = SimCLR(**QUICK).fit(views.replace(key=np.arange(60) // 2))
    assert not np.array_equal(plain, keyed.embed(views)["x"])


def test_towers_of_one_view_may_serve_another():
    x = np.random.default_rng(0).normal(size=(2, 40, 5))
    views = Views({"front": x[0], "back": x[1]})
    model = SimCLR({"front": MLP(mask=0.3), "back": SameAs("front")}, **QUICK).fit(views)
    features = model.features(views)
    swapped = model.features(Views({"front": x[1], "back": x[0]}))
    np.testing.assert_array_equal(features["front"], swapped["back"])
    np.testing.assert_array_equal(features["back"], swapped["front"])


def test_refusals():
    with pytest.raises(ModalityError, match=r"the model has no view 'y' \(vector\); it has x \(vector\)"):
        SimCLR(**QUICK).fit(numbers()).features(Views({"y": np.eye(5)}))
    with pytest.raises(UsageError, match="temperature must be"):
        SimCLR(temperature=0.0, **QUICK).fit(numbers())
    with pytest.raises(UsageError, match="InfoNCE needs two views or more"):
        CLIP(**QUICK).fit(numbers())


OTHERS = [VICReg(), BarlowTwins(), SimSiam(), BYOL(), DINO(groups=8), MAE(), NTXent(0.2) + 0.1 * VICReg()]


@pytest.mark.parametrize("objective", OTHERS, ids=repr)
def test_other_objectives_than_nt_xent_saved_to_the_bit(objective, tmp_path):
    views = numbers()
    model = SimCLR(objective=objective, **QUICK).fit(views)
    model.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    assert copy.objective == objective
    np.testing.assert_array_equal(model.features(views)["x"], copy.features(views)["x"])
    assert 0 < model.score(views) <= 1
    assert model.compared_by == ("euclidean" if "VICReg" in repr(objective) else "cosine")


def test_a_recipe_names_the_objective():
    recipe = {
        "method": "simclr",
        "arguments": QUICK,
        "objective": [{"term": "NTXent", "temperature": 0.2}, {"term": "VICReg", "weight": 0.1}],
    }
    model = build(recipe)
    assert model.objective == NTXent(0.2) + 0.1 * VICReg()
    assert {"NTXent", "VICReg"} <= set(model.fit(numbers()).history_[-1])
