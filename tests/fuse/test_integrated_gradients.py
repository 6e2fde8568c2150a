"""Pixels and words that made a model say what it says."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bouba import CCA, CLIP, LSTM, MLP, ConvNet, FusionClassifier, FusionRegressor, NGrams, Views
from bouba.errors import DataError, MissingExtraError, ModalityError, UsageError
from bouba.fuse.integrated_gradients import match_saliency, overlay, saliency
from bouba.towers import Transformer

pytest.importorskip("captum")
QUICK = {"dim": 8, "epochs": 12, "batch_size": 24, "lr": 5e-3}
SIZE = 12


def drawn(n=96, seed=0):
    """A dark square on the left or the right of white; a sentence whose second word says which; numbers that do not."""
    random = np.random.default_rng(seed)
    left = random.random(n) < 0.5
    pictures = np.full((n, SIZE, SIZE, 3), 255, np.uint8)
    for picture, at in zip(pictures, left):
        top = random.integers(0, 8)
        picture[top : top + 4, slice(1, 5) if at else slice(7, 11)] = 40
    texts = [f"the {'western' if at else 'oriental'} {random.choice(['shop', 'house', 'tree'])}" for at in left]
    where = np.where(left, "left", "right")
    columns = {"photo": list(pictures), "said": texts, "noise": random.normal(size=(n, 3))}
    return Views(columns, kinds={"photo": "image", "said": "text"}, y={"where": where, "x": left * 5.0 + 0.5})


TOWERS = {
    "photo": ConvNet(size=SIZE, channels=4, augment=None),
    "said": NGrams(width=16, buckets=500, longest=2),
    "noise": MLP((8,)),
}


@pytest.fixture(scope="module")
def model():
    return FusionClassifier(TOWERS, label="where", calibration=0.0, **QUICK).fit(drawn())


def test_definition_by_a_sum_of_gradients(model):
    """The integral as a sum of 400 gradients in the middles of equal steps, the other views held."""
    row = drawn(seed=1).select("photo", "noise")[:1]
    network = model.module_.eval()
    other = network.towers["noise"](network.towers["noise"].encoder.prepare(list(row["noise"]))).detach()
    tower = network.towers["photo"]
    pixels = tower.encoder.prepare(list(row["photo"]))["pixels"].float() / 255
    steps = 1 + (torch.arange(400) + 0.5)[:, None, None, None] / 400 * (pixels - 1)
    steps.requires_grad_()
    logits = network.state[0].heads["fused"]["where"](tower({"pixels": steps}) + other)
    code = list(model.classes_).index("left")
    [gradient] = torch.autograd.grad(logits.log_softmax(1)[:, code].sum(), steps)
    expected = ((pixels - 1)[0] * gradient.mean(0)).sum(0).detach().numpy()
    found = saliency(model, row, "photo", of="left", steps=200)
    np.testing.assert_allclose(found.heat, expected, atol=0.02 * np.abs(expected).max())
    assert found.whole == pytest.approx(model.outputs(row)["where"][0, 0, code], abs=1e-4)


@pytest.mark.parametrize("view", ["photo", "said"])
def test_law_weights_add_up_to_what_the_cell_adds(model, view):
    for row in range(3):
        found = saliency(model, drawn(seed=1)[row], view, steps=100)
        assert found.total == pytest.approx(found.whole - found.base, abs=0.02 * max(1, abs(found.whole - found.base)))


@pytest.mark.parametrize("tower", [LSTM(width=16), Transformer(width=16, heads=2, layers=1)], ids=repr)
def test_words_of_other_towers(tower):
    towers = {"said": tower, "noise": MLP((8,))}
    views = drawn().select("said", "noise")
    model = FusionClassifier(towers, label="where", calibration=0.0, **QUICK).fit(views)
    weights = np.zeros(3)
    for row in range(3):
        found = saliency(model, views[row], "said", of="truth", steps=100)
        assert " ".join(word for word, _ in found.words) == views["said"][row]
        assert found.total == pytest.approx(found.whole - found.base, abs=0.05)
        weights += [weight for _, weight in found.words]
    assert weights.argmax() == 1, "the second word decides"


def test_recovery_of_the_word_and_the_square_that_decide(model):
    inside = []
    for row in range(4):
        views = drawn(seed=2)[row]
        found = saliency(model, views, "said", of="truth")
        assert [word for word, _ in found.words] == views["said"][0].split()
        assert max(found.words, key=lambda pair: pair[1])[0] in ("western", "oriental")
        found = saliency(model, views, "photo", of="truth")
        assert found.heat.shape == (SIZE, SIZE)
        np.testing.assert_array_equal(found.picture, views["photo"][0])
        assert not found.heat[(found.picture == 255).all(2)].any(), "white pixels are the base, they add nothing"
        inside.append(found.heat.sum())
    assert np.mean(inside) > 0
    against = saliency(
        model, drawn(seed=2)[0], "said", of={"left": "right", "right": "left"}[drawn(seed=2).y["where"][0]]
    )
    assert min(against.words, key=lambda pair: pair[1])[0] in ("western", "oriental")


def test_a_number_and_late_fusion():
    views = drawn().select("said", "noise")
    towers = {name: TOWERS[name] for name in views.columns}
    model = FusionRegressor(towers, label="x", calibration=0.0, **QUICK).fit(views)
    found = saliency(model, views[0], "said", steps=128)
    assert found.whole == pytest.approx(model.predict(views[:1])[0], abs=1e-4)
    assert found.total == pytest.approx(found.whole - found.base, abs=0.1)
    with pytest.raises(UsageError, match="label 'x' is a number, which is explained as it is"):
        saliency(model, views[0], "said", of="left")
    late = FusionClassifier(towers, label="where", fusion=None, calibration=0.0, **QUICK).fit(views)
    found = saliency(late, views[0], "said", steps=128)
    assert found.total == pytest.approx(found.whole - found.base, abs=0.05)


def test_a_match(tmp_path):
    views = drawn().select("photo", "said")
    model = CLIP({name: TOWERS[name] for name in views.columns}, **QUICK).fit(views)
    for view, to in (("said", "photo"), ("photo", "said")):
        found = match_saliency(model, views[0], view, to=to, steps=128)
        z = {name: values[0] / np.linalg.norm(values[0]) for name, values in model.embed(views[:1]).items()}
        assert found.whole == pytest.approx(z["photo"] @ z["said"], abs=1e-4)
        assert found.total == pytest.approx(found.whole - found.base, abs=0.05)
    with pytest.raises(ModalityError, match="no other view 'said'; there is 'photo'"):
        match_saliency(model, views[0], "said", to="said")
    gone = views.replace(columns={"photo": views["photo"].without(np.ones(96, bool)), "said": views["said"]})
    with pytest.raises(DataError, match="the row has no photo; choose one that has both views"):
        match_saliency(model, gone[0], "said", to="photo")


def test_nothing_is_left_behind(model):
    before = {name: weight.clone() for name, weight in model.module_.state_dict().items()}
    again = [saliency(model, drawn(seed=1)[0], "said").words for _ in range(2)]
    assert again[0] == again[1]
    assert all(torch.equal(weight, before[name]) for name, weight in model.module_.state_dict().items())
    assert all(weight.grad is None for weight in model.module_.parameters())
    assert not model.module_.towers["said"].encoder.embed._forward_hooks


def test_overlay_is_red_for_and_blue_against():
    picture, heat = np.full((8, 16, 3), 255, np.uint8), np.zeros((8, 16))
    heat[:, :4], heat[:, 12:] = 1.0, -1.0
    shown = Image.open(io.BytesIO(overlay(picture, heat, side=64)))
    assert shown.size == (64, 32)
    (r, _, b), (red, _, blue), middle = (shown.getpixel((x, 16)) for x in (4, 60, 32))
    assert r > b + 100
    assert blue > red + 100
    assert min(middle) > 230
    assert overlay(picture, np.zeros((8, 16)))


def test_refusals(model, monkeypatch):
    views = drawn()
    with pytest.raises(UsageError, match=r"saliency is of one row, got 96; choose: X\[row\]"):
        saliency(model, views, "photo")
    with pytest.raises(ModalityError, match="no view 'foto'; did you mean 'photo'"):
        saliency(model, views[0], "foto")
    with pytest.raises(UsageError, match="view 'noise' is read by VectorEncoder, whose inputs cannot be changed"):
        saliency(model, views[0], "noise")
    gone = views.replace(columns={"photo": views["photo"].without(np.ones(96, bool)), "noise": views["noise"]})
    with pytest.raises(DataError, match="the row has no photo; choose one that has it"):
        saliency(model, gone[0], "photo")
    with pytest.raises(UsageError, match="a FusionClassifier has no trained network whose views share a space"):
        match_saliency(model, views[0], "said", to="photo")
    vectors = Views({"a": np.random.default_rng(0).normal(size=(20, 2)), "b": np.arange(20.0)[:, None] % 7})
    with pytest.raises(UsageError, match="a CCA has no trained network"):
        match_saliency(CCA(1).fit(vectors), vectors[0], "a", to="b")
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"captum.attr is not installed; it comes with: .*explain"):
        saliency(model, views[0], "photo")
