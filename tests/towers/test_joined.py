"""Several frozen encoders as one."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

import bouba
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.runs.describing import sections_of
from bouba.runs.recipe import build
from bouba.runs.toml import to_toml
from bouba.towers import ConvNet, Joined, Packaged
from bouba.towers.frozen import Frozen


def joined(**options) -> Joined:
    return Joined((Packaged("glove"), Packaged("glove", **options)))


def test_features_stand_beside_each_other_with_length_one(words):
    texts = ["red apple", "kiwi", "green market", "nothing known"]
    encoder = joined(cache=False).build(joined(cache=False).learn(texts))
    assert isinstance(encoder, Frozen)
    got = encoder.prepare(texts)["features"].numpy()
    means = np.stack([(words["red"] + words["apple"]) / 2, words["kiwi"], (words["green"] + words["market"]) / 2])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(got, np.vstack([np.hstack([unit, unit]), np.zeros((1, 100))]), atol=1e-6)
    assert not [name for name in encoder.state_dict() if "network" in name]


def test_saved_with_a_closed_form_and_in_a_recipe(words, tmp_path):
    random = np.random.default_rng(0)
    names = list(words)
    chosen = random.integers(0, 2, (40, len(names))).astype(bool)
    texts = [" ".join(name for name, on in zip(names, row, strict=True) if on) or "red" for row in chosen]
    views = Views({"caption": texts, "numbers": chosen + 0.1}, kinds={"caption": "text"})
    model = bouba.CCA(2, ridge=0.1, towers={"caption": joined(cache=False)}).fit(views)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert np.array_equal(model.embed(views)["caption"], again.embed(views)["caption"])
    recipe = {"method": "cca", **sections_of({"towers": model.towers})}
    assert "encoders" in to_toml(recipe)
    assert build(tomllib.loads(to_toml(recipe))).towers == model.towers


def test_refusals():
    with pytest.raises(UsageError, match="two encoders or more"):
        Joined((Packaged("glove"),))
    with pytest.raises(UsageError, match="read one kind, got text, image"):
        Joined((Packaged("glove"), Packaged("efficientnet-lite0")))
    with pytest.raises(UsageError, match="joined encoders are frozen ones"):
        Joined((ConvNet(), ConvNet())).learn([np.zeros((8, 8, 3), np.uint8)] * 4)
