"""Where numbers are computed: one function decides, estimators and loading follow, no file keeps it."""

import json
import threading

import numpy as np
import pytest
import torch
from made import twin_vectors
from sklearn.base import clone

import bouba
from bouba import CCA, CLIP, Run
from bouba import device as devices
from bouba.device import device_named, random_state_kept, running_on
from bouba.errors import RecipeError, UsageError
from bouba.runs.describing import recipe_of
from bouba.train.processes import accelerator

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of CUDA")
BARE = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
FAST = {"epochs": 1, "dim": 4, "batch_size": 20}


def with_gpus(monkeypatch, count, built=True):
    """As on a machine with so many GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    with_gpus(monkeypatch, 0)
    assert device_named() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_named() == device_named("mps") == torch.device("mps")
    with_gpus(monkeypatch, 2)
    assert device_named() == device_named("cuda") == torch.device("cuda", 0)
    assert device_named("cuda:1") == torch.device("cuda", 1)
    assert device_named("cpu") == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device_named() == torch.device("cuda", 1), "each process of a launcher has its own"
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert device_named() == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("name", "gpus", "built", "message"),
    [
        ("gpu", 1, True, "a device is auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        (None, 1, True, "a device is .*, got None"),
        ("cuda", 0, True, "no device 'cuda': torch finds no GPU here; take --device cpu or auto"),
        ("cuda", 0, False, r"no device 'cuda': torch [\d.+a-z]* is built without CUDA here"),
        ("cuda:3", 2, True, "no device 'cuda:3': torch finds 2 here, cuda:0 to cuda:1"),
        ("mps", 1, True, "no device 'mps': torch finds no GPU of Apple's"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(name, gpus, built, message, monkeypatch):
    with_gpus(monkeypatch, gpus, built)
    with pytest.raises(UsageError, match=message) as raised:
        device_named(name)
    assert "\n" not in str(raised.value)


@BARE
@pytest.mark.parametrize(
    "use",
    [
        lambda path: CLIP(device="cuda", **FAST).fit(twin_vectors(40)),
        lambda path: bouba.load(path, device="cuda"),
        lambda path: Run.open(path, device="cuda").model,
        lambda path: CLIP(device=0, **FAST).fit(twin_vectors(40)),
    ],
    ids=["fit", "load", "open", "no name"],
)
def test_estimators_and_loading_refuse_it_too(use, tmp_path):
    CLIP(**FAST).fit(twin_vectors(40)).save(tmp_path / "model")
    with pytest.raises(UsageError, match=r"no device 'cuda'|device=0 is not text"):
        use(tmp_path / "model")


def test_a_parameter_that_clone_keeps_and_no_file(tmp_path):
    model = CLIP(device="cpu", **FAST)
    assert clone(model).device == "cpu"
    model.fit(twin_vectors(40)).save(tmp_path / "model")
    assert "device" not in json.loads((tmp_path / "model" / "model.json").read_text())["arguments"]
    assert bouba.load(tmp_path / "model").device == "auto"
    assert bouba.load(tmp_path / "model", device="cpu").device == "cpu"
    views = twin_vectors(40)
    CCA(2, device="cpu").fit(views).save(tmp_path / "cca")
    np.testing.assert_array_equal(
        bouba.load(tmp_path / "cca", device="cpu").embed(views)["left"], CCA(2).fit(views).embed(views)["left"]
    )


def test_auto_inside_running_on_is_that_device(monkeypatch):
    with_gpus(monkeypatch, 1)
    with running_on("cpu"):
        assert device_named() == torch.device("cpu")
        with running_on("auto"):
            assert device_named() == torch.device("cpu")
        assert device_named("cuda") == torch.device("cuda", 0)
    assert device_named() == torch.device("cuda", 0)


def test_a_loaded_model_is_moved_to_its_device(tmp_path, monkeypatch):
    CLIP(**FAST).fit(twin_vectors(40)).save(tmp_path / "model")
    nowhere = torch.device("meta")
    monkeypatch.setattr("bouba.learner.saving.device_named", lambda name: nowhere)
    loaded = bouba.load(tmp_path / "model")
    assert {tensor.device for tensor in loaded.module_.state_dict().values()} == {nowhere}
    batches = []
    monkeypatch.setattr(
        type(loaded.module_),
        "embed_view",
        lambda self, name, batch: batches.append(batch) or torch.zeros(len(batch), 4),
    )
    loaded.embed(twin_vectors(40))
    [batch, _] = batches
    assert {t.device for of in batch.inputs.values() for t in of.values()} == {nowhere}
    assert batch.known.present["left"].device == torch.device("cpu")


def test_one_process_trains_on_one_device_after_another():
    for name in ("cpu", "auto", "cpu"):
        assert accelerator(name).device == device_named(name)


def test_the_random_state_outside_is_kept():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with random_state_kept(torch.device("cpu")):
        torch.rand(7)
    assert torch.equal(torch.rand(3), expected)


def test_no_recipe_keeps_a_device(tmp_path):
    assert recipe_of(CLIP(device="cpu", dim=4)) == {"method": "clip", "arguments": {"dim": 4}}
    with pytest.raises(RecipeError, match=r"device stands in \[arguments\]; no run keeps it: say --device"):
        Run.fit(twin_vectors(60), out=tmp_path / "other", recipe={"method": "clip", "arguments": {"device": "cpu"}})


def test_frozen_encoders_run_where_it_is_said(monkeypatch):
    from bouba.towers import frozen

    network = torch.nn.Linear(2, 2)
    monkeypatch.setattr(frozen, "device_named", lambda: torch.device("meta"))
    moves = []
    monkeypatch.setattr(network, "to", lambda device: moves.append(torch.device(device)))
    with frozen._on_accelerator(network):
        assert moves == [torch.device("meta")]
    assert moves == [torch.device("meta"), torch.device("cpu")]


def test_threads_of_others_have_their_own_device(monkeypatch):
    with_gpus(monkeypatch, 1)
    seen = []
    with running_on("cpu"):
        thread = threading.Thread(target=lambda: seen.append(devices.device_named()))
        thread.start()
        thread.join()
    assert seen == [torch.device("cuda", 0)]


@GPU
def test_saved_on_one_device_equal_on_the_other():
    from scripts.device_round_trip import LARGEST, round_trip

    assert max(round_trip("cuda").values()) < LARGEST
