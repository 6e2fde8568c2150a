"""Towers from ONNX files: what they take, what they give, saved whole with the model."""

import copy
import pickle
import shutil

import numpy as np
import onnx
import pytest
import torch
from made_checkpoints import TEXTS, pictures, sounds, write_tokenizer
from onnx import TensorProto, helper, numpy_helper

import bouba
from bouba.data import Views
from bouba.data.views import Column
from bouba.errors import DataError, UsageError
from bouba.towers import Onnx
from bouba.towers.pretrained_image import cut_and_scaled, plain_picture_facts

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(3, 5)).astype(np.float32)
TABLE = RANDOM.normal(size=(11, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))


def write(path, nodes, inputs, outputs, **weights):
    info = lambda of: [helper.make_tensor_value_info(n, t, s) for n, t, s in of]  # noqa: E731
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", info(inputs), info(outputs), held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def vector_file(path, batch="B", dtype=TensorProto.FLOAT):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    kind = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}[dtype]
    return write(path, [node], [("x", dtype, [batch, 3])], [("y", dtype, [batch, 5])], w=WEIGHT.astype(kind))


def image_file(path, last=False):
    """The mean colour through a matrix; a map of channels as a second output."""
    shape = ["B", 8, 8, 3] if last else ["B", 3, 8, 8]
    axes = np.array([1, 2] if last else [2, 3])
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=axes.tolist(), keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
        helper.make_node("Relu", ["x"], ["map"]),
    ]
    outputs = [("y", TensorProto.FLOAT, ["B", 5]), ("map", TensorProto.FLOAT, shape)]
    return write(path, nodes, [("x", TensorProto.FLOAT, shape)], outputs, w=WEIGHT)


def text_file(path):
    """Embeddings (B, L, 5), those behind the mask made huge so that pooling them would show."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["e"]),
        helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m", "two"], ["m2"]),
        helper.make_node("Sub", ["one", "m2"], ["off"]),
        helper.make_node("Mul", ["off", "huge"], ["far"]),
        helper.make_node("Add", ["e", "far"], ["states"]),
    ]
    inputs = [(name, TensorProto.INT64, ["B", "L"]) for name in ("input_ids", "attention_mask")]
    constants = {"two": np.array([2]), "one": np.ones(1, np.float32), "huge": np.full(1, 1e6, np.float32)}
    return write(path, nodes, inputs, [("states", TensorProto.FLOAT, ["B", "L", 5])], table=TABLE, **constants)


def audio_file(path):
    node = helper.make_node("ReduceL2", ["x"], ["y"], axes=[1], keepdims=1)
    return write(path, [node], [("x", TensorProto.FLOAT, ["B", "n"])], [("y", TensorProto.FLOAT, ["B", 1])])


def built(spec, kind, cells):
    spec = spec.on(kind)
    learned = spec.learn(cells)
    encoder = spec.build(learned)
    spec.start(encoder)
    return encoder


@pytest.mark.parametrize("batch", ["B", 1])
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_definition_of_vectors(batch, dtype, tmp_path):
    cells = RANDOM.normal(size=(4, 3))
    encoder = built(Onnx(vector_file(tmp_path / "v.onnx", batch, dtype)), "vector", list(cells))
    np.testing.assert_allclose(encoder.prepare(list(cells))["features"], cells @ WEIGHT, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_definition_of_pictures(last, tmp_path):
    cells = pictures(3)
    encoder = built(
        Onnx(image_file(tmp_path / "i.onnx", last), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)), "image", cells
    )
    for cell, row in zip(cells, encoder.prepare(cells)["features"].numpy()):
        pixels = cut_and_scaled(cell, plain_picture_facts(8)) / 255  # (8, 8, 3)
        mean = np.zeros(3)
        for y in range(8):
            for x in range(8):
                mean += (pixels[y, x] - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7] / 64
        np.testing.assert_allclose(row, mean @ WEIGHT, rtol=1e-4, atol=1e-5)


def test_maps_are_pooled_over_places(tmp_path):
    path = image_file(tmp_path / "i.onnx")
    cells = pictures(2)
    mean, most = (built(Onnx(path, output="map", pooling=p), "image", cells) for p in ("mean", "max"))
    pixels = torch.relu(mean.inner.read.normalised(mean.inner.prepare(cells)["pixels"]))
    torch.testing.assert_close(mean.prepare(cells)["features"], pixels.mean((2, 3)))
    torch.testing.assert_close(most.prepare(cells)["features"], pixels.amax((2, 3)))


def test_definition_of_texts(tmp_path):
    write_tokenizer(tmp_path)
    path = text_file(tmp_path / "t.onnx")
    encoder = built(Onnx(path), "text", TEXTS)
    tokens = encoder.inner.read.tokenizer
    for text, row in zip(TEXTS, encoder.prepare(TEXTS)["features"].numpy()):
        ids = tokens.encode(text).ids
        np.testing.assert_allclose(row, sum(TABLE[i] for i in ids) / len(ids), rtol=1e-4, atol=1e-5)
    first = built(Onnx(path, pooling="cls"), "text", TEXTS).prepare(TEXTS)["features"]
    np.testing.assert_allclose(first, np.tile(TABLE[2], (len(TEXTS), 1)), rtol=1e-6)


def test_definition_of_sounds(tmp_path):
    encoder = built(Onnx(audio_file(tmp_path / "a.onnx")), "audio", sounds(3))
    for (samples, _), row in zip(sounds(3), encoder.prepare(sounds(3))["features"]):
        assert float(row) == pytest.approx(np.sqrt((samples**2).sum()), rel=1e-4)


def test_a_saved_model_needs_no_file(tmp_path):
    path = image_file(tmp_path / "files" / "i.onnx")
    cells = pictures()
    views = Views({"image": Column.of(cells, "image"), "n": Column.of(RANDOM.normal(size=(6, 2)), "vector")})
    towers = {"image": Onnx(path), "n": bouba.MLP(hidden=(4,))}
    model = bouba.Learner(towers, bouba.InfoNCE(), dim=3, epochs=2, batch_size=4).fit(views)
    expected = model.embed(views)["image"]
    model.save(tmp_path / "model")
    shutil.rmtree(tmp_path / "files")
    shutil.rmtree(tmp_path / "cache")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").embed(views)["image"], expected)
    encoder = model.module_.towers["image"].encoder
    for copied in (pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder)):
        assert torch.equal(copied.prepare(cells)["features"], encoder.prepare(cells)["features"])
        assert torch.equal(copied.inner(**copied.inner.prepare(cells)), encoder.prepare(cells)["features"])


def test_refusals(tmp_path):
    path = image_file(tmp_path / "i.onnx")
    with pytest.raises(UsageError, match=r"reads image; its inputs are x tensor\(float\) \['B', 3, 8, 8\]"):
        Onnx(path).on("text")
    with pytest.raises(UsageError, match="no output 'maps'; did you mean 'map'"):
        Onnx(path, output="maps").on("image").learn(pictures(1))
    with pytest.raises(DataError, match="cannot read the first cell"):
        Onnx(path, size=9).on("image").learn(pictures(1))
    with pytest.raises(UsageError, match="no pooling='meen'; did you mean 'mean'"):
        Onnx(path, pooling="meen")
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"cannot use .*broken\.onnx .* export the model into one ONNX file"):
        Onnx(tmp_path / "broken.onnx").on("image")
    with pytest.raises(DataError, match=r"cannot read '.*nowhere\.onnx' \(No such file"):
        Onnx(tmp_path / "nowhere.onnx").on("image")
    with pytest.raises(DataError, match=r"no tokenizer in .*; give tokenizer="):
        Onnx(text_file(tmp_path / "t.onnx")).on("text").learn(TEXTS)
