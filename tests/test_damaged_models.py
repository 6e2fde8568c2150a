"""Whatever became of a model folder: loading it is a model that embeds, or one sentence."""

import json
import os
import shutil
import struct

import numpy as np
import pytest

import bouba
from bouba import CCA, CLIP, ConditionalGAN, FusionClassifier, MultimodalAutoencoder, Views
from bouba.errors import BoubaError, DataError, RecipeError
from bouba.persist import class_of, load

random = np.random.default_rng(0)
ROWS = random.normal(size=(24, 3)).astype("f4")
WORDS = [f"{'red green blue'.split()[i % 3]} thing {i}" for i in range(24)]
NUMBERS = Views({"a": ROWS, "b": ROWS @ random.normal(size=(3, 4)).astype("f4")})
LABELLED = Views(
    {"a": ROWS, "words": WORDS},
    kinds={"a": "vector", "words": "text"},
    y={"kind": np.array(list("xy") * 12, dtype=object)},
    domain=list("st") * 12,
)
MODELS = {
    "clip": (lambda: CLIP(epochs=1, dim=4), LABELLED),
    "cca": (lambda: CCA(n_components=2), LABELLED),
    "classifier": (lambda: FusionClassifier(epochs=1, dim=4), LABELLED),
    "autoencoder": (lambda: MultimodalAutoencoder(epochs=1, dim=4), NUMBERS),
    "gan": (lambda: ConditionalGAN("a", "b", epochs=1, dim=4), NUMBERS),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Name -> folder of a fitted model."""
    folder = tmp_path_factory.mktemp("models")
    for name, (make, views) in MODELS.items():
        make().fit(views).save(folder / name)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the CLIP that a test may damage."""
    return shutil.copytree(saved / "clip", tmp_path / "model")


def rewrite(folder, change):
    """Change the content of model.json, as one with a text editor would."""
    file = folder / "model.json"
    facts = json.loads(file.read_text("utf-8"))
    change(facts)
    file.write_text(json.dumps(facts), "utf-8")


def nodes(value, path=()):
    """The path to every node of a JSON document."""
    yield path
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from nodes(inner, (*path, step))


STRANGE = [None, True, -1, 1.5, 10**12, float("nan"), "", "x", [], {}, [[1]], {"is": "tuple"}, {"is": "os:system"}, 2**70]


def mutate(facts, random):
    """Delete, replace or double one node."""
    paths = [path for path in nodes(facts) if path]
    *above, step = paths[random.integers(len(paths))]
    owner = facts
    for name in above:
        owner = owner[name]
    harm = random.integers(3)
    if harm == 0:
        del owner[step]
    elif harm == 1:
        owner[step] = STRANGE[random.integers(len(STRANGE))]
    elif isinstance(owner, list):
        owner.insert(step, owner[step])
    else:
        owner[f"{step} again"] = owner[step]


def damage(folder, random):
    """Flip bytes of a file, cut it, or change a node of model.json; half of the times of a model without sums."""
    if random.integers(2):
        rewrite(folder, lambda facts: facts.pop("sums"))
    kind = random.integers(4)
    file = folder / ("model.safetensors" if kind == 0 else "model.json")
    if kind == 3:
        rewrite(folder, lambda facts: mutate(facts, random))
        return
    data = bytearray(file.read_bytes())
    if random.integers(2):
        data = data[: random.integers(len(data))]
    else:
        for place in random.integers(0, len(data), size=1 + random.integers(4)):
            data[place] ^= 1 << random.integers(8)
    file.write_bytes(data)


@pytest.mark.parametrize("name", MODELS)
def test_any_damage_is_a_sentence_or_a_model(name, saved, tmp_path):
    random, views = np.random.default_rng(len(name)), MODELS[name][1]
    for number in range(int(os.environ.get("BOUBA_DAMAGES", 60))):
        copy = shutil.copytree(saved / name, tmp_path / str(number))
        damage(copy, random)
        try:
            load(copy).embed(views)
        except BoubaError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 1000
