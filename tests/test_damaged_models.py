"""Whatever became of a model folder: loading it is a model that embeds, or one sentence."""

import json
import os
import shutil
import struct

import numpy as np
import pytest
from made import to_folder, to_pipe

import bouba
from bouba import CCA, CLIP, ConditionalGAN, FusionClassifier, MultimodalAutoencoder, MultimodalVAE, Views
from bouba.errors import BoubaError, DataError, RecipeError
from bouba.persist import class_of, load
from bouba.towers import MLP, NGrams

random = np.random.default_rng(0)
ROWS = random.normal(size=(24, 3)).astype("f4")
WORDS = [f"{['red', 'green', 'blue'][i % 3]} thing {i}" for i in range(24)]
NUMBERS = Views({"a": ROWS, "b": ROWS @ random.normal(size=(3, 4)).astype("f4")})
LABELLED = Views(
    {"a": ROWS, "words": WORDS},
    kinds={"a": "vector", "words": "text"},
    y={"kind": np.array(list("xy") * 12, dtype=object)},
    domain=list("st") * 12,
)
SMALL = {"a": MLP(hidden=(8,)), "words": NGrams(buckets=500, width=16)}
MODELS = {
    "clip": (lambda: CLIP(SMALL, epochs=1, dim=4), LABELLED),
    "cca": (lambda: CCA(n_components=2, ridge=0.1), LABELLED),
    "classifier": (lambda: FusionClassifier(SMALL, epochs=1, dim=4), LABELLED),
    "autoencoder": (lambda: MultimodalAutoencoder(epochs=1, dim=4), NUMBERS),
    "vae": (lambda: MultimodalVAE(epochs=1, dim=4), NUMBERS),
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
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield from nodes(inner, (*path, step))


STRANGE = [
    None,
    True,
    -1,
    1.5,
    10**12,
    float("nan"),
    "",
    "x",
    [],
    {},
    [[1]],
    {"is": "tuple"},
    {"is": "os:system"},
    2**70,
]


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
            sentence = str(error)
        else:
            continue
        assert "\n" not in sentence
        assert len(sentence) < 1000


def drop(name):
    return lambda facts: facts.pop(name)


def put(value, *path):
    """Put a value at a path."""

    def change(facts):
        *above, step = path
        for name in above:
            facts = facts[name]
        facts[step] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("2", "format"), "format is '2'"),
        (put(None, "format"), "format is None"),
        (put(-1, "format"), "format is -1"),
        (put(1.5, "format"), "format is 1.5"),
        (put(True, "format"), "format is True"),
        (put(2, "format"), "is of format 2, this bouba reads up to 1; upgrade bouba"),
        (drop("specs"), "lacks 'specs'"),
        (drop("class"), "lacks 'class'"),
        (put(5, "arguments"), "damaged"),
        (put(5, "arguments", "dim"), r"is \(4, .*in the file, and \(5, .*by what model.json says"),
        (put(10**12, "arguments", "dim"), "by what model.json says"),
        (put(10**12, "specs", "words", "buckets"), "by what model.json says"),
        (put(float("nan"), "arguments", "dim"), "CLIP: dim=nan is not a whole number"),
        (put("4", "arguments", "dim"), "CLIP: dim='4' is not a whole number"),
        (put(5, "arguments", "of_tomorrow"), "CLIP takes no 'of_tomorrow'.*upgrade bouba"),
        (put(5, "specs", "a", "of_tomorrow"), "MLP takes no 'of_tomorrow'.*upgrade bouba"),
        (put("bouba.terms.tomorrow:New", "class"), "does not have.*upgrade bouba"),
        (put("bouba.towers.vector:MLP", "class"), "MLP is no model"),
        (put("image", "kinds", "a"), "what was learnt, in model.json, is not what was saved"),
    ],
)
def test_facts_that_cannot_be_are_named(change, sentence, folder):
    rewrite(folder, change)
    with pytest.raises(BoubaError, match=sentence):
        load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "bouba.__main__:main",
        "bouba.runs.run:Run",
        "bouba.data.decode:image",
        "bouba.data.views:Views",
        "bouba.data.samples:Path",
        "bouba.terms.term:Any",
        "bouba.bench.adaptation:Task",
        "bouba:load",
        "bouba",
        ":",
    ],
)
def test_a_file_names_descriptions_and_nothing_else(name):
    with pytest.raises(RecipeError):
        class_of(name)


def test_a_number_that_flipped_is_noticed(folder):
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 64
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"is not what was saved with model\.json; copy the folder again"):
        load(folder)


def test_the_numbers_of_another_model_are_noticed(folder, saved):
    shutil.copy(saved / "classifier" / "model.safetensors", folder)
    with pytest.raises(DataError, match=r"is not what was saved with model\.json"):
        load(folder)
    rewrite(folder, drop("sums"))
    with pytest.raises(DataError, match=r"by what model.json says|lacks|holds a strange"):
        load(folder)


def test_models_saved_without_sums_load(folder):
    expected = load(folder).embed(LABELLED)
    rewrite(folder, drop("sums"))
    for view, z in load(folder).embed(LABELLED).items():
        np.testing.assert_array_equal(z, expected[view])


def replace(file, content):
    file.unlink()
    file.write_bytes(content)


def to_device(file):
    file.unlink()
    file.symlink_to("/dev/zero")


def to_five_gigabytes(file):
    with file.open("r+b") as opened:
        opened.truncate(5 << 30)  # sparse: it takes no room


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda file: file.unlink(), "missing|no model in"),
        (to_folder, "is a folder, not a file"),
        (to_pipe, "is a pipe or device, not a file"),
        (to_device, "is a pipe or device, not a file"),
        (lambda file: replace(file, b""), "damaged"),
        (lambda file: replace(file, b"\xff\xfe\x00"), "damaged"),
        (lambda file: replace(file, b"[]"), "damaged"),
        (lambda file: replace(file, b'{"format": 1, "format": 1}'), "the key 'format' stands twice|damaged"),
        (lambda file: replace(file, b"[" * 100_000), "damaged: nested too deeply|damaged"),
        (lambda file: replace(file, b'{"format": ' + b"9" * 5000 + b"}"), "damaged"),
        (lambda file: replace(file, struct.pack("<Q", 1 << 60) + b"{}"), "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_file_that_is_none(name, harm, sentence, sealed, folder):
    if not sealed:
        rewrite(folder, drop("sums"))
    harm(folder / name)
    with pytest.raises(DataError, match=sentence):
        load(folder)


def test_a_description_of_gigabytes_is_not_read(folder):
    to_five_gigabytes(folder / "model.json")
    with pytest.raises(DataError, match="bouba writes at most"):
        load(folder)


def test_a_header_that_promises_more_than_there_is(folder):
    rewrite(folder, drop("sums"))
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**12, 10], "data_offsets": [0, 4 * 10**13]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(DataError, match="damaged"):
        load(folder)


def test_a_network_without_end_is_not_begun(folder, saved):
    rewrite(folder, lambda facts: (facts.pop("sums"), facts["specs"]["words"].update(longest=10**12)))
    assert load(folder).embed(LABELLED)["words"].shape == (24, 4)  # no text has n-grams of that length


@pytest.mark.parametrize("path", [None, 5, "a\0b", object()])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(BoubaError, match="give the path of a folder"):
        bouba.load(path)


@pytest.mark.parametrize("custom", [CLIP, [5], ["CLIP"]])
def test_custom_is_a_list_of_classes(custom, folder):
    with pytest.raises(BoubaError, match="custom is a list of classes"):
        load(folder, custom=custom)
