"""Recipes map onto constructors one to one, there and back."""

import dataclasses
import tomllib

import pytest

from bouba import CLIP, ConvNet, DomainAdversarial, Frames, InfoNCE, Learner, ResNet, SameAs
from bouba.data.augment import Augment
from bouba.errors import RecipeError
from bouba.runs.methods import METHODS
from bouba.runs.recipe import build
from bouba.runs.toml import to_toml
from bouba.terms import Objective


def test_a_recipe_is_the_constructor_call():
    text = """
method = "learner"
[arguments]
dim = 32
[towers.photo]
encoder = "ConvNet"
size = 48
[[objective]]
term = "InfoNCE"
temperature = 0.1
[[objective]]
term = "DomainAdversarial"
weight = 0.3
views = ["photo"]
"""
    model = build(tomllib.loads(text), epochs=3)
    assert isinstance(model, Learner)
    assert model.towers == {"photo": ConvNet(size=48)}
    assert model.objective == InfoNCE(temperature=0.1) + 0.3 * DomainAdversarial(views=("photo",))
    assert (model.dim, model.epochs) == (32, 3)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_builds(method):
    said = {"method": method} | ({"objective": [{"term": "InfoNCE"}]} if method == "learner" else {})
    model = build(said, dim=7)
    assert type(model).__name__ == METHODS[method].cls.__name__
    assert 7 in (model.get_params().get("dim"), model.get_params().get("n_components"))
    assert build({**said, "arguments": {"dim": 7}}).get_params().keys() == model.get_params().keys()


def test_to_toml_and_back():
    recipe = {
        "method": "clip",
        "arguments": {"dim": 3, "lr": 0.5},
        "read": {"text": ["标题", "t"], "image": "a b"},
        "towers": {"图片": {"encoder": "ConvNet"}, "my view": {"encoder": "MLP", "hidden": [4, 2]}},
        "objective": [{"term": "InfoNCE"}, {"term": "DomainAdversarial", "weight": 0.1}],
        "fit": {"target": {"line art": ["image"]}},
    }
    back = tomllib.loads(to_toml(recipe))
    assert back == {k: v for k, v in recipe.items() if v}


def test_default_is_clip():
    assert isinstance(build({}), CLIP)


def test_shared_towers_and_pairs_of_views():
    text = """
method = "learner"
[towers.right]
encoder = "NGrams"
[towers.wrong]
encoder = "SameAs"
view = "right"
[[objective]]
term = "InfoNCE"
pairs = [["image", "right"]]
"""
    model = build(tomllib.loads(text))
    assert model.towers["wrong"] == SameAs("right")
    assert model.objective == Objective.of(InfoNCE(pairs=(("image", "right"),)))


def test_tables_within_change_what_stands_there_by_default():
    text = """
[towers.photo]
encoder = "ConvNet"
[towers.photo.augment]
zoom = [0.5, 1.0]
"""
    (encoder,) = build(tomllib.loads(text)).towers.values()
    assert encoder == ConvNet(augment=Augment(zoom=(0.5, 1.0)))
    with pytest.raises(RecipeError, match="unknown key 'zom' in augment of encoder ConvNet; did you mean 'zoom'"):
        build(tomllib.loads(text.replace("zoom", "zom")))
    with pytest.raises(RecipeError, match="'size' in encoder ConvNet is no table"):
        build({"towers": {"photo": {"encoder": "ConvNet", "size": {"a": 1}}}})


def test_an_encoder_within_an_encoder_is_named_and_a_mapping_is_taken_as_it_is():
    text = """
[towers.clip]
encoder = "Frames"
pool = "lstm"
[towers.clip.image]
encoder = "ResNet"
size = 32
[towers.words]
encoder = "Pretrained"
source = "bert"
train = "scratch"
config = { num_hidden_layers = 2 }
"""
    towers = build(tomllib.loads(text)).towers
    assert towers["clip"] == Frames(pool="lstm", image=ResNet(size=32))
    assert towers["words"].config == {"num_hidden_layers": 2}
    kept = build(tomllib.loads(text.replace('encoder = "ResNet"', ""))).towers["clip"]
    assert kept == Frames(pool="lstm", image=dataclasses.replace(Frames().image, size=32))  # its augmentation stays


def test_what_is_lacking_is_named():
    with pytest.raises(RecipeError, match="term ExplicitNegatives lacks 'positive', 'negatives'"):
        build({"method": "learner", "objective": [{"term": "ExplicitNegatives", "anchor": "image"}]})
    with pytest.raises(RecipeError, match=r'method "learner" needs a recipe with an \[\[objective\]\]'):
        build({"method": "learner"})
