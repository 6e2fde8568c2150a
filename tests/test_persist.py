"""What a closed form learnt, packed and unpacked to the bit, without pickle."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bouba import AdaptedCLIP, Views
from bouba.align import Moments
from bouba.errors import RecipeError
from bouba.persist import MOVED, class_of, load, name_of, pack, read_arrays, read_model, unpack, write_model

plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=10,
)


@dataclass(frozen=True)
class Mine:
    """Somebody else's description."""

    numbers: np.ndarray


def through_json(attributes):
    facts, arrays = pack(attributes)
    return unpack(json.loads(json.dumps(facts)), arrays)


@given(value=nested)
def test_law_plain_values_come_back(value):
    assert through_json({"value": value})["value"] == value


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
def test_arrays_come_back_to_the_bit(dtype):
    arrays = [np.arange(12).reshape(3, 4).astype(dtype), np.zeros((0, 3), dtype), np.array(1).astype(dtype)]
    arrays.append(np.asfortranarray(arrays[0])[::2])
    for before, after in zip(arrays, through_json({"it": arrays})["it"]):
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        np.testing.assert_array_equal(before, after)


def test_arrays_of_text_come_back():
    for names in (np.array(["a", "红"], dtype=object), np.array(["a", "bc"])):
        found = through_json({"names": names})["names"]
        assert found.dtype == names.dtype
        np.testing.assert_array_equal(found, names)


def test_names_with_dots_stay_apart():
    value = {"a.b": np.zeros(2), "a": {"b": np.ones(3)}}
    found = through_json({"w": value})["w"]
    np.testing.assert_array_equal(found["a.b"], [0, 0])
    np.testing.assert_array_equal(found["a"]["b"], [1, 1, 1])


def test_dataclasses_of_arrays_survive_the_disk(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    moments = Moments.of({"a": x, "b": x[:, :2]})
    facts, arrays = pack({"moments_": moments, "k": 3})
    write_model(tmp_path / "m", {"fitted": facts}, arrays)
    facts, file = read_model(tmp_path / "m")
    found = unpack(facts["fitted"], read_arrays(file))
    assert found["k"] == 3
    assert (found["moments_"].names, found["moments_"].widths) == (("a", "b"), (3, 2))
    np.testing.assert_array_equal(found["moments_"].products, moments.products)


def test_refusals():
    facts, arrays = pack({"it": Mine(np.ones(2))})
    with pytest.raises(RecipeError, match=r"custom=\[Mine\]"):
        unpack(facts, arrays)
    np.testing.assert_array_equal(unpack(facts, arrays, [Mine])["it"].numbers, [1, 1])
    with pytest.raises(RecipeError, match="cannot save a function; use plain values and frozen dataclasses"):
        pack({"it": pack})
    with pytest.raises(RecipeError, match="cannot save it, an array of object; use an array of numbers"):
        pack({"it": np.array([1, "a"], dtype=object)})


def test_keys_that_are_no_text_come_back_as_they_were():
    given = {"weights": {0: 1.0, 1: (2.0, {"a": True})}}
    assert unpack(*pack(given)) == given


def test_arrays_are_written_as_torch_would_write_them(tmp_path):
    arrays = {"wide": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "one": np.array(3), "yes": np.array([True])}
    arrays |= {"none": np.zeros((0, 2), np.float32)}
    write_model(tmp_path / "arrays", {}, arrays)
    write_model(tmp_path / "tensors", {}, {name: torch.tensor(array) for name, array in arrays.items()})
    one, other = (read_model(tmp_path / name)[1] for name in ("arrays", "tensors"))
    assert one.read_bytes() == other.read_bytes()
    for name, array in read_arrays(one).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.shape == arrays[name].shape


@pytest.mark.parametrize(("former", "today"), MOVED.items())
def test_classes_that_moved_load_by_their_former_names(former, today):
    assert name_of(class_of(former)) == today


def test_models_saved_under_a_former_name_load(tmp_path):
    views = Views({"a": np.eye(8), "b": np.eye(8)}, domain=np.repeat(["s", "t"], 4).astype(object))
    model = AdaptedCLIP(epochs=1, dim=4, verbose=False).fit(views)
    model.save(tmp_path)
    file = tmp_path / "model.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"class": "bouba.adapt.clip_dann:AdaptedCLIP"}))
    restored = load(tmp_path)
    assert type(restored) is AdaptedCLIP
    np.testing.assert_array_equal(restored.embed(views)["a"], model.embed(views)["a"])
