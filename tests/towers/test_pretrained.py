"""Checkpoints of transformers: read from a directory without a network, frozen, fine-tuned, saved with the model."""

import shutil
import socket
import sqlite3
import sys

import numpy as np
import pytest
import torch
from made_checkpoints import (
    MAKERS,
    OTHERS,
    TEXTS,
    bert,
    clip_image,
    pictures,
    resnet,
    vit_classifier,
    wav2vec2,
    write_tokenizer,
)
from safetensors.torch import load_file, save_file

import bouba
from bouba.data import Views
from bouba.data.views import Column
from bouba.errors import DataError, MissingExtraError, UsageError
from bouba.towers import MLP, Pretrained, SameAs
from bouba.towers.frozen import Frozen

WEIGHT_FILES = ("pytorch_model.bin", "model.safetensors")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No network, and a feature cache of its own."""

    def refuse(*args, **kwargs):
        raise AssertionError("a local path touched the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))


def made(maker, tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "checkpoint"
    kind, cells, by_hand = maker(folder)
    with torch.inference_mode():
        return folder, kind, cells, by_hand(cells).clone()


def rewrite(folder, without):
    """Leave some weights out of a checkpoint."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if without not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def built(spec, kind, cells):
    spec = spec.on(kind)
    learned = spec.learn(cells)
    encoder = spec.build(learned)
    spec.start(encoder)
    return encoder.eval()


def views_of(kind, cells):
    numbers = np.random.default_rng(1).normal(size=(len(cells), 3))
    return Views({"thing": Column.of(cells, kind), "numbers": Column.of(numbers, "vector")})


def learner(spec, **arguments):
    towers = {"thing": spec, "numbers": MLP(hidden=(8,))}
    return bouba.Learner(towers, bouba.InfoNCE(), dim=4, **{"epochs": 2, "batch_size": 4} | arguments)


@pytest.mark.parametrize("maker", MAKERS + OTHERS)
def test_definition_features_are_those_of_transformers(maker, tmp_path):
    folder, kind, cells, expected = made(maker, tmp_path)
    frozen = built(Pretrained(folder), kind, cells)
    features = frozen.prepare(cells)["features"]
    assert features.shape == (len(cells), frozen.width)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    centred = (features - features.mean(0)) / frozen.scale
    torch.testing.assert_close(frozen(features), centred, rtol=1e-3, atol=1e-4)
    tuned = built(Pretrained(folder, train="finetune"), kind, cells)
    with torch.no_grad():
        torch.testing.assert_close(tuned(**tuned.prepare(cells)), expected, rtol=1e-4, atol=1e-5)
        for cell, row in zip(cells, expected):  # a cell does not see its batch
            torch.testing.assert_close(tuned(**tuned.prepare([cell]))[0], row, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("maker", MAKERS)
def test_features_of_a_run_are_those_of_the_next(maker, tmp_path):
    """Learning, training, another run and a loaded model agree on what the network is: one file, each cell once."""
    folder, kind, cells, _ = made(maker, tmp_path)
    if maker is wav2vec2:  # as the checkpoints of its recognisers
        rewrite(folder, without="masked_spec_embed")
    views = views_of(kind, cells)
    for _ in range(2):
        model = learner(Pretrained(folder)).fit(views)
    model.save(tmp_path / "model")
    bouba.load(tmp_path / "model").embed(views)
    [file] = (tmp_path / "cache").rglob("*.sqlite")
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT count(*) FROM cells").fetchone() == (len(cells),)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("train", ["frozen", "finetune"])
def test_a_saved_model_needs_no_checkpoint(maker, train, tmp_path):
    folder, kind, cells, _ = made(maker, tmp_path)
    views = views_of(kind, cells)
    model = learner(Pretrained(folder, train=train)).fit(views)
    expected = model.embed(views)
    model.save(tmp_path / "model")
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    found = bouba.load(tmp_path / "model").embed(views)
    np.testing.assert_array_equal(found["thing"], expected["thing"])
    assert np.isfinite(found["thing"]).all()
    assert found["thing"].std() > 0


@pytest.mark.parametrize("maker", [bert, resnet])
def test_frozen_weights_stay_and_tuned_ones_move(maker, tmp_path):
    folder, kind, cells, _ = made(maker, tmp_path)
    views = views_of(kind, cells)
    for train, moves in (("frozen", False), ("finetune", True)):
        spec = Pretrained(folder, train=train)
        before = built(spec, kind, cells).state_dict()
        after = learner(spec).fit(views).module_.towers["thing"].encoder.state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert bool(changed) == moves
        assert any("running_mean" in name for name in changed) == (moves and maker is resnet)


def test_frozen_batch_norm_is_not_measured_by_domain(tmp_path):
    folder, kind, cells, _ = made(resnet, tmp_path)
    towers = {}
    for train in ("frozen", "finetune"):
        spec = Pretrained(folder, train=train).on(kind)
        towers[train] = bouba.towers.Tower(spec.build(spec.learn(cells)), 4, domains=2)
    assert not towers["frozen"].statistics
    assert towers["finetune"].statistics
    frozen = towers["frozen"].train()
    assert not any(module.training for module in frozen.encoder.inner.modules())


@pytest.mark.parametrize("maker", [bert, wav2vec2])
def test_lora_trains_adapters_alone(maker, tmp_path):
    folder, kind, cells, expected = made(maker, tmp_path)
    spec = Pretrained(folder, train="finetune", lora=2)
    before = built(spec, kind, cells)
    with torch.no_grad():
        torch.testing.assert_close(before(**before.prepare(cells)), expected, rtol=1e-4, atol=1e-5)
    trained = {name for name, p in before.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert before.lr_scale == 1
    model = learner(spec).fit(views_of(kind, cells))
    after = model.module_.towers["thing"].encoder.state_dict()
    for name, weights in before.state_dict().items():
        assert "lora_" in name or torch.equal(weights, after[name])
    assert any(after[name].any() for name in trained if "lora_B" in name)
    model.save(tmp_path / "model")
    shutil.rmtree(folder)
    found = bouba.load(tmp_path / "model").embed(views_of(kind, cells))
    np.testing.assert_array_equal(found["thing"], model.embed(views_of(kind, cells))["thing"])


def test_lora_refuses_a_network_without_linear_layers(tmp_path):
    folder, kind, cells, _ = made(resnet, tmp_path)
    with pytest.raises(UsageError, match="lora adapts linear layers, this network has none"):
        built(Pretrained(folder, train="finetune", lora=2), kind, cells)


@pytest.mark.parametrize(("pooling", "pool"), [("cls", lambda s: s[0]), ("max", lambda s: s.amax(0))])
def test_definition_of_other_poolings_and_layers(pooling, pool, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    folder, kind, cells, _ = made(bert, tmp_path)
    encoder = built(Pretrained(folder, pooling=pooling, layer=1), kind, cells)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, row in zip(cells, encoder.prepare(cells)["features"]):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[1][0]
        torch.testing.assert_close(row, pool(states), rtol=1e-4, atol=1e-5)


def test_sentence_transformers_say_how_they_pool(tmp_path):
    folder, kind, cells, _ = made(bert, tmp_path)
    (folder / "1_Pooling").mkdir()
    said = folder / "1_Pooling" / "config.json"
    said.write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    assert Pretrained(folder).on("text").learn(cells)["pooling"] == "cls"
    said.write_text('{"pooling_mode_weightedmean_tokens": true}')
    with pytest.raises(DataError, match="pools by pooling_mode_weightedmean_tokens; give pooling="):
        Pretrained(folder).on("text").learn(cells)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    encoder = built(Pretrained(folder, pooling="mean"), kind, cells)
    assert encoder.inner.prepare(["a red apple and a red ox"])["lengths"].tolist() == [3]


def test_an_architecture_without_a_checkpoint_learns_its_vocabulary():
    config = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16}
    spec = Pretrained("bert", train="scratch", config=config | {"vocab_size": 40}).on("text")
    learned = spec.learn(TEXTS * 5)
    assert 2 < learned["config"]["vocab_size"] <= 40
    encoder = spec.build(learned)
    assert encoder.lr_scale == 1
    assert all(p.requires_grad for p in encoder.parameters())
    views = views_of("text", TEXTS)
    assert np.isfinite(learner(spec).fit(views).embed(views)["thing"]).all()


def test_a_misspelt_setting_is_refused():
    spec = Pretrained("bert", train="scratch", config={"hiden_size": 16}).on("text")
    with pytest.raises(UsageError, match="bert has no setting 'hiden_size'; did you mean 'hidden_size'"):
        spec.learn(TEXTS)


def test_a_picture_architecture_takes_the_side_it_is_given():
    config = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    spec = Pretrained("resnet", train="scratch", config=config, size=20, augment=bouba.towers.image.Augment())
    views = views_of("image", pictures())
    model = learner(spec).fit(views)
    assert model.module_.towers["thing"].encoder.prepare(pictures(2))["pixels"].shape == (2, 3, 20, 20)


def test_resnet_and_bert_by_name_are_the_real_ones():
    from transformers import BertConfig, ResNetConfig

    resnet50, base = ResNetConfig(), BertConfig()
    assert list(resnet50.hidden_sizes) == [256, 512, 1024, 2048]
    assert list(resnet50.depths) == [3, 4, 6, 3]
    assert resnet50.layer_type == "bottleneck"
    assert (base.hidden_size, base.num_hidden_layers, base.num_attention_heads) == (768, 12, 12)


def test_two_views_share_one_clip_checkpoint(tmp_path):
    folder, _, cells, _ = made(clip_image, tmp_path)
    views = Views(
        {"picture": Column.of(cells, "image"), "en": Column.of(TEXTS, "text"), "de": Column.of(TEXTS, "text")}
    )
    towers = {"picture": Pretrained(folder), "en": Pretrained(folder), "de": SameAs("en")}
    model = bouba.Learner(towers, bouba.InfoNCE(), dim=4, epochs=1).fit(views)
    assert {name: spec.kind for name, spec in model.specs_.items() if name != "de"} == {
        "picture": "image",
        "en": "text",
    }
    assert not hasattr(model.module_.towers["picture"].encoder.inner.backbone.model, "text_model")


def test_old_weights_without_safetensors_load(tmp_path):
    folder, kind, cells, expected = made(bert, tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    features = built(Pretrained(folder), kind, cells).prepare(cells)["features"]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_checkpoints_become_float32(tmp_path):
    from transformers import AutoModel

    folder, kind, cells, _ = made(bert, tmp_path)
    AutoModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    encoder = built(Pretrained(folder), kind, cells)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_refusals_of_arguments(tmp_path):
    for arguments, said in (
        ({"train": "frozn"}, "no train='frozn'; did you mean 'frozen'"),
        ({"pooling": "median"}, "no pooling='median'"),
        ({"lora": 8}, "needs train='finetune', got 8, 'frozen'"),
        ({"config": {}}, "which only train='scratch' can"),
        ({"seconds": 0}, "must be above 0"),
        ({"pooling": "pooler", "layer": 1}, "the pooler works on the last layer"),
        ({"augment": bouba.towers.image.Augment()}, "a frozen network sees each picture once"),
    ):
        with pytest.raises(UsageError, match=said):
            Pretrained("somewhere", **arguments)


def test_refusals_of_checkpoints(tmp_path):
    folder, _, cells, _ = made(vit_classifier, tmp_path)
    with pytest.raises(UsageError, match=r"view 'thing' is text, Pretrained\('.*'\) reads image"):
        learner(Pretrained(folder)).fit(views_of("text", TEXTS))
    with pytest.raises(DataError, match="holds no weights of its pooler; take pooling="):
        Pretrained(folder, pooling="pooler").on("image").learn(cells)
    with pytest.raises(DataError, match=r"cannot read the first cell \(.*224"):
        Pretrained(folder, size=224).on("image").learn(cells)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(DataError, match="does not say how pictures are prepared"):
        Pretrained(folder).on("image").learn(cells)
    with pytest.raises(DataError, match=r"no such directory: './nowhere'"):
        Pretrained("./nowhere").on("image")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no config\.json"):
        Pretrained(tmp_path / "empty").on("image")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(UsageError, match="is of type 't5'; there are towers for encoders of"):
        Pretrained(tmp_path / "empty").on("text")


def test_missing_weights_are_not_made_up(tmp_path):
    folder, kind, cells, _ = made(bert, tmp_path)
    rewrite(folder, without="layer.1")
    with pytest.raises(DataError, match=r"lacks 16 weights of its architecture \(encoder\.layer\.1"):
        Pretrained(folder).on(kind).learn(cells)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot load the weights in"):
        Pretrained(folder).on(kind).learn(cells)


def test_a_tokenizer_is_not_made_up(tmp_path):
    folder, kind, cells, _ = made(bert, tmp_path)
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(DataError, match="holds no tokenizer"):
        Pretrained(folder).on(kind).learn(cells)
    spec = Pretrained(folder, train="scratch").on(kind)
    assert spec.learn(cells)["pad"] == 0
    write_tokenizer(folder)
    assert isinstance(built(Pretrained(folder), kind, cells), Frozen)


def test_what_lies_in_the_cache_of_the_hub_needs_no_network(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder, kind, cells, expected = made(bert, tmp_path)
    stored = tmp_path / "hub" / "models--somebody--tiny"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text(commit)
    shutil.move(folder, stored / "snapshots" / commit)
    spec = Pretrained("somebody/tiny").on(kind)
    assert spec.learn(cells)["revision"] == commit
    torch.testing.assert_close(built(spec, kind, cells).prepare(cells)["features"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_only_what_is_needed_is_downloaded(old, tmp_path, monkeypatch):
    """A hub that copies what the patterns ask for: one form of the weights, whichever there is."""
    import huggingface_hub

    remote, kind, cells, expected = made(bert, tmp_path)
    torch.save(load_file(remote / "model.safetensors"), remote / "pytorch_model.bin")
    if old:
        (remote / "model.safetensors").unlink()
    (remote / "tf_model.h5").write_text("large")
    local = tmp_path / "local"

    def download(name, *, local_files_only, revision, allow_patterns, etag_timeout):
        assert (name, revision) == ("somebody/tiny", "v2")
        if local_files_only:
            raise FileNotFoundError
        for file in (file for pattern in allow_patterns for file in remote.glob(pattern)):
            local.mkdir(exist_ok=True)
            shutil.copy(file, local / file.name)
        return str(local)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    encoder = built(Pretrained("somebody/tiny", revision="v2"), kind, cells)
    torch.testing.assert_close(encoder.prepare(cells)["features"], expected, rtol=1e-4, atol=1e-5)
    weights = "pytorch_model.bin" if old else "model.safetensors"
    assert {file.name for file in local.iterdir()} & {*WEIGHT_FILES, "tf_model.h5"} == {weights}


def test_a_hub_name_without_a_network_fails_in_one_line(monkeypatch, tmp_path):
    import time

    def unreachable(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    started = time.monotonic()
    with pytest.raises(DataError, match=r"cannot get 'nobody/nothing-at-all' from the hub .* give the path") as caught:
        Pretrained("nobody/nothing-at-all").on("text")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(("module", "extra", "lora"), [("transformers", "pretrained", None), ("peft", "lora", 2)])
def test_a_missing_extra_names_its_command(module, extra, lora, tmp_path, monkeypatch):
    folder, kind, cells, _ = made(bert, tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{module} is not installed; .* pip install 'bouba\[{extra}\]'"):
        built(Pretrained(folder, train="finetune", lora=lora), kind, cells)


def test_importing_towers_imports_no_transformers():
    import subprocess

    code = "import sys, bouba.towers; print([m for m in ('transformers', 'peft', 'onnxruntime') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
