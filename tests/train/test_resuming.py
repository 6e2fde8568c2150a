"""What a checkpoint is continued by: the run that it belongs to, at any step, after any death, for longer too."""

import json
import logging
import os
import shutil
import signal
import threading

import numpy as np
import pytest
import torch
from made import twin_vectors

from bouba import (
    CLIP,
    MLP,
    AdaptedCLIP,
    ConcatFusion,
    ConditionalGAN,
    FlowTranslator,
    FusionClassifier,
    GatedFusion,
    MultimodalAutoencoder,
    MultimodalVAE,
    Views,
)
from bouba.errors import DataError, Stopped, StorageError, UsageError
from bouba.train import checkpoint as checkpoints
from bouba.train import loop

FAST = {"dim": 4, "batch_size": 20}


class Cut(BaseException):
    """The power went."""


def weights(model):
    return {name: value.clone() for name, value in model.module_.state_dict().items()}


def history(model):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in model.history_]


def assert_same(one, two):
    theirs = weights(two)
    assert [name for name, value in weights(one).items() if not torch.equal(value, theirs[name])] == []
    assert history(one) == history(two)


def cut_after_steps(monkeypatch, steps, error=Cut):
    """The process dies after so many steps in all."""
    real, left = torch.optim.AdamW.step, [steps]

    def step(self, *args, **named):
        if not left[0]:
            raise error
        left[0] -= 1
        return real(self, *args, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)


def labelled(n=100):
    random = np.random.default_rng(0)
    views = twin_vectors(n)
    labels = np.array(["x", "y", "z"], object)[random.integers(0, 3, n)]
    domain = np.array(["p", "q"], object)[np.arange(n) % 2]
    return views.replace(y={"kind": labels}, domain=domain)


METHODS = {
    "CLIP": lambda: (CLIP(epochs=3, **FAST), twin_vectors(100), {}),
    "validation and patience": lambda: (
        CLIP(epochs=6, lr=0.02, patience=2, **FAST),
        Views({"a": np.random.default_rng(0).normal(size=(90, 4)), "b": np.random.default_rng(1).normal(size=(90, 4))}),
        {"validation": 0.3},
    ),
    "GAN": lambda: (ConditionalGAN(epochs=3, **FAST), twin_vectors(100), {}),
    "flow": lambda: (FlowTranslator(epochs=3, **FAST), twin_vectors(100), {}),
    "dropped views": lambda: (
        FusionClassifier(fusion=ConcatFusion(drop=0.4), epochs=3, **FAST),
        labelled().replace(domain=None),
        {"validation": 0.2},
    ),
    "target": lambda: (AdaptedCLIP(epochs=3, **FAST), labelled(), {"target": "q"}),
    "autoencoder": lambda: (
        MultimodalAutoencoder(epochs=3, fusion=GatedFusion(drop=0.3), **FAST),
        twin_vectors(100),
        {},
    ),
    "vae": lambda: (MultimodalVAE(experts="mopoe", epochs=3, **FAST), twin_vectors(100), {}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [4, 7])
def test_a_run_cut_within_an_epoch_goes_on_to_the_bit(method, steps, tmp_path, monkeypatch):
    model, views, options = METHODS[method]()
    unbroken = METHODS[method]()[0].fit(views, **options)
    with monkeypatch.context() as patched:
        cut_after_steps(patched, steps)
        with pytest.raises(Cut):
            model.fit(views, folder=tmp_path, checkpoint_steps=1, **options)
    facts = json.loads((tmp_path / "checkpoint" / "facts.json").read_text())
    assert facts["step"] > 0 or steps == 4, "it died within an epoch"
    torch.rand(7)  # whatever happened in between
    resumed = METHODS[method]()[0].fit(views, folder=tmp_path, resume=True, **options)
    assert_same(resumed, unbroken)


OPERATIONS = (
    (os, "replace"),
    (os, "fsync"),
    (os, "open"),
    (os, "mkdir"),
    (shutil, "rmtree"),
    (checkpoints, "save_file"),
)


@pytest.mark.parametrize("exchanges", [True, False], ids=["in one step", "in two"])
def test_a_death_between_any_two_file_operations_loses_no_finished_checkpoint(exchanges, tmp_path, monkeypatch):
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters())

    def save(number):
        torch.nn.init.constant_(network.weight, number)
        history = [{"epoch": 1 + i} for i in range(number)]
        best = {"weight": network.weight.detach() + 100}
        facts = {"epoch": number, "best_epoch": number, "history": history}
        checkpoints.save_checkpoint(tmp_path / "c", network=network, optimizer=optimizer, best=best, facts=facts)

    def saved():
        if not checkpoints.has_checkpoint(tmp_path / "c"):
            return 0
        facts, best = checkpoints.load_checkpoint(tmp_path / "c", network=network, optimizer=optimizer, same={})
        assert (network.weight == facts["epoch"]).all()
        assert (best["weight"] == facts["epoch"] + 100).all()
        return facts["epoch"]

    if not exchanges:
        monkeypatch.setattr("bouba.durable._exchanged", lambda one, two: False)
    kept, deaths, number = 0, 0, 1
    while number < 3:
        with monkeypatch.context() as patched:
            left = [deaths]
            for module, name in OPERATIONS:
                patched.setattr(module, name, dying(getattr(module, name), left))
            try:
                save(number)
                finished = True
            except Cut:
                finished = False
        assert saved() in ((number,) if finished else (number - 1, number))
        assert saved() >= kept, "a later death lost more"
        kept, deaths = saved(), deaths + 1
        if finished:
            assert deaths > 15
            number, deaths = number + 1, 0


def dying(operation, left):
    """The operation, until the power goes."""

    def died(*args, **named):
        if not left[0]:
            raise Cut
        left[0] -= 1
        return operation(*args, **named)

    return died


JUDGES = twin_vectors(30, seed=1)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """The folder of a run that was cut off after two of four epochs, with validation."""
    folder = tmp_path_factory.mktemp("half")

    def stop(row):
        if row["epoch"] == 2:
            raise Cut

    with pytest.raises(Cut):
        CLIP(epochs=4, **FAST).fit(twin_vectors(100), validation=JUDGES, folder=folder, on_epoch=stop)
    return folder


FILES = ("facts.json", "network.safetensors", "optimizer.safetensors", "best.safetensors", "seal.json")
DAMAGES = {
    "cut": lambda content: content[:-50],
    "emptied": lambda content: b"",
    "garbage": lambda content: b"\xff\x00" * 200,
    "another shape": lambda content: b'{"epoch": [1]}',
    "a list": lambda content: b"[]",
    "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "missing": None,
}


@pytest.mark.parametrize("sealed", [True, False], ids=["", "of an earlier bouba"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_one_sentence(name, damage, sealed, half, tmp_path):
    shutil.copytree(half, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint"
    if not sealed:
        if name == "seal.json" or damage == "one bit" or (name, damage) == ("best.safetensors", "missing"):
            return  # without a seal these are not seen
        facts = json.loads((checkpoint / "facts.json").read_text())
        (checkpoint / "facts.json").write_text(json.dumps({**facts, "format": 1}))
        (checkpoint / "seal.json").unlink()
    file = checkpoint / name
    content = file.read_bytes()
    file.unlink() if damage == "missing" else file.write_bytes(DAMAGES[damage](content))
    with pytest.raises(DataError, match=r"is damaged: .*; start again without resume, or remove ") as raised:
        CLIP(epochs=4, **FAST).fit(twin_vectors(100), validation=JUDGES, folder=tmp_path / "run", resume=True)
    assert "\n" not in str(raised.value)


def test_weights_that_are_no_numbers_are_refused(half, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(half, tmp_path / "run")
    file = tmp_path / "run" / "checkpoint" / "network.safetensors"
    tensors = load_file(file)
    tensors[next(name for name in tensors if name.startswith("towers.") and "projection" in name)][:] = torch.nan
    save_file(tensors, file)
    seal = tmp_path / "run" / "checkpoint" / "seal.json"
    seal.write_text(json.dumps({**json.loads(seal.read_text()), file.name: checkpoints._checksum(file)}))
    with pytest.raises(DataError, match=r"projection.* holds numbers that are not finite"):
        CLIP(epochs=4, **FAST).fit(twin_vectors(100), validation=JUDGES, folder=tmp_path / "run", resume=True)


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(tmp_path, monkeypatch):
    views = twin_vectors(100)
    unbroken = CLIP(epochs=4, **FAST).fit(views)
    real, saves = checkpoints.save_file, []

    def full(tensors, file):
        saves.append(file)
        if len(saves) == 6:  # the optimiser's of the third checkpoint
            raise OSError(28, "No space left on device", str(file))
        real(tensors, file)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", full)
        with pytest.raises(StorageError, match=r"checkpoint: No space left on device; make room, then: the one before"):
            CLIP(epochs=4, **FAST).fit(views, folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []
    epochs = []
    resumed = CLIP(epochs=4, **FAST).fit(views, folder=tmp_path, resume=True, on_epoch=lambda row: epochs.append(row))
    assert [row["epoch"] for row in epochs] == [3, 4]
    assert_same(resumed, unbroken)


def changed(name, at, value):
    """The twins with one cell changed."""
    views = twin_vectors(100)
    values = np.array(views[name].values)
    values[at] = value
    return views.replace(columns={**views.columns, name: Views({name: values})[name]})


OTHERS = {
    "lr = 0.002, not 0.01": {"model": {"lr": 0.01}},
    "schedule patience = None, not 3": {"model": {"patience": 3}},
    "batch_size = 20, not 25": {"model": {"batch_size": 25}},
    "random_state = 0, not 1": {"model": {"random_state": 1}},
    "tower of 'left' = MLP.*, not MLP.*noise=0.1": {"model": {"towers": {"left": MLP(noise=0.1), "right": MLP()}}},
    "objective = InfoNCE.*, not InfoNCE.*similarity='dot'": {"model": {"similarity": "dot"}},
    "shapes .*= .4, 256., not .5, 256.": {"model": {"dim": 5}},
    "chunk_size = None, not 5": {"model": {"chunk_size": 5}},
    "rows = 100, not 90": {"views": lambda: twin_vectors(100)[:90]},
    "other cells of 'left'": {"views": lambda: changed("left", (3, 2), 0.5)},
    "other cells of 'right'": {"views": lambda: changed("right", 7, 0.0)},
    "other cells of .left.": {"views": lambda: twin_vectors(100)[::-1]},
    "keys = None, not some": {"views": lambda: twin_vectors(100).replace(key=np.arange(100) // 2)},
    "label 'kind' = None, not some": {"views": lambda: twin_vectors(100).replace(y={"kind": ["a", "b"] * 50})},
    "rows = 100, not 70": {"fit": {"validation": 0.3}},
    "held-out rows = some, not None": {"fit": {"validation": None}},
    "other held-out rows": {"fit": {"validation": JUDGES[::-1]}},
}


@pytest.mark.parametrize("difference", OTHERS)
def test_only_the_run_that_it_belongs_to_goes_on(difference, half, tmp_path):
    other = OTHERS[difference]
    shutil.copytree(half, tmp_path / "run")
    options = {"validation": JUDGES, **other.get("fit", {})}
    model = CLIP(**{"epochs": 4, **FAST, **other.get("model", {})})
    with pytest.raises(DataError, match=f"was made with .*{difference}.*; resume with the same, or start again"):
        model.fit(other.get("views", lambda: twin_vectors(100))(), **options, folder=tmp_path / "run", resume=True)


def test_cells_are_known_by_their_content_wherever_they_lie(tmp_path):
    from PIL import Image

    def pictures(name, changed=None):
        (tmp_path / name).mkdir()
        paths = [tmp_path / name / f"{i}.png" for i in range(8)]
        draw = np.random.default_rng(0)
        for i, path in enumerate(paths):
            pixels = draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(255 - pixels if i == changed else pixels).save(path)
        return [str(path) for path in paths]

    texts = [f"word{i}" for i in range(8)]
    records = [{"age": float(i), "sex": "m" if i % 2 else None} for i in range(8)]

    def views(paths, texts=texts, records=records):
        columns = {"image": paths, "text": texts, "record": records}
        return Views(columns, kinds={"image": "image", "text": "text", "record": "table"})

    first = pictures("a")
    make = lambda: CLIP(epochs=1, dim=4)  # noqa: E731
    make().fit(views(first), folder=tmp_path / "run")
    go_on = lambda *given: make().fit(views(*given), folder=tmp_path / "run", resume=True)  # noqa: E731
    go_on(pictures("moved"))
    with pytest.raises(DataError, match="other cells of 'image'"):
        go_on(pictures("b", changed=3))
    with pytest.raises(DataError, match="other cells of 'text'"):
        go_on(first, ["word", *texts[1:]])
    with pytest.raises(DataError, match="other cells of 'record'"):
        go_on(first, texts, [{"age": 0.5, "sex": None}, *records[1:]])


def test_more_epochs_extend_a_run_to_the_same_bits_each_time(tmp_path, caplog):
    caplog.set_level(logging.INFO, "bouba")
    views = twin_vectors(100)
    short = CLIP(epochs=2, **FAST).fit(views, folder=tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    once = CLIP(epochs=4, **FAST).fit(views, folder=tmp_path / "a", resume=True)
    assert "made for 2 epochs, goes on to 4: the learning rate is that of 4 epochs from here on" in caplog.text
    assert history(once)[:2] == history(short)
    assert [row["epoch"] for row in once.history_] == [1, 2, 3, 4]
    with pytest.raises(Cut):
        CLIP(epochs=4, **FAST).fit(views, folder=tmp_path / "b", resume=True, on_epoch=dying(print, [0]))
    assert_same(CLIP(epochs=4, **FAST).fit(views, folder=tmp_path / "b", resume=True), once)
    assert_same(CLIP(epochs=4, **FAST).fit(views, folder=tmp_path / "b", resume=True), once)
    with pytest.raises(DataError, match="has trained for 4 epochs, more than epochs=3; resume with 4 or more"):
        CLIP(epochs=3, **FAST).fit(views, folder=tmp_path / "b", resume=True)


def test_the_rate_of_an_extended_run_falls_to_zero_at_the_new_end(tmp_path, monkeypatch):
    views, rates = twin_vectors(100), []
    CLIP(epochs=2, lr=1.0, **FAST).fit(views, folder=tmp_path)
    real = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *a, **n: (rates.append(self.param_groups[0]["lr"]), real(self, *a, **n))[1],
    )
    CLIP(epochs=8, lr=1.0, **FAST).fit(views, folder=tmp_path, resume=True)
    schedule = loop.Schedule(8, 1.0)
    assert rates == pytest.approx([schedule.rate((step + 0.5) / 40) for step in range(10, 40)])


def test_a_checkpoint_of_an_earlier_bouba_goes_on_with_a_warning(half, tmp_path, caplog):
    shutil.copytree(half, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint"
    facts = json.loads((checkpoint / "facts.json").read_text())
    names = ("epoch", "best", "best_epoch", "history", "schedule", "shapes", "groups", "random")
    (checkpoint / "facts.json").write_text(json.dumps({name: facts[name] for name in names} | {"data": "80 rows"}))
    (checkpoint / "seal.json").unlink()
    resumed = CLIP(epochs=4, **FAST).fit(twin_vectors(100), validation=JUDGES, folder=tmp_path / "run", resume=True)
    assert "is of an earlier bouba and does not note its rows" in caplog.text
    assert_same(resumed, CLIP(epochs=4, **FAST).fit(twin_vectors(100), validation=JUDGES))


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("steps", [2, 5, 7, 15], ids="after {} steps".format)
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(number, steps, tmp_path, monkeypatch):
    number, views = getattr(signal, number), twin_vectors(100)
    validated = {"validation": 0.2} if steps == 15 else {}
    unbroken = CLIP(epochs=4, **FAST).fit(views, **validated)
    handlers = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGTERM, signal.SIGHUP)}
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, *handlers)}
    real, done = torch.optim.AdamW.step, []

    def step(self, *args, **named):
        done.append(self)
        if len(done) == steps:
            signal.raise_signal(number)
        return real(self, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(
            Stopped, match=r"in epoch \d; what was trained is kept; go on with fit\(.*resume=True"
        ) as stop:
            CLIP(epochs=4, **FAST).fit(views, folder=tmp_path, **validated)
    assert len(done) == steps
    assert stop.value.signal == number
    assert str(stop.value).startswith("interrupted" if number == signal.SIGINT else f"stopped by {number.name}")
    assert {each: signal.getsignal(each) for each in before} == before
    for each, handler in handlers.items():
        signal.signal(each, handler)
    assert_same(CLIP(epochs=4, **FAST).fit(views, folder=tmp_path, resume=True, **validated), unbroken)


def test_a_second_ctrl_c_stops_at_once_and_without_a_folder_the_first(tmp_path, monkeypatch):
    def twice(self, *args, **named):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr(torch.optim.AdamW, "step", twice)
    for folder in (tmp_path, None):
        with pytest.raises(KeyboardInterrupt) as raised:
            CLIP(epochs=4, **FAST).fit(twin_vectors(40), folder=folder)
        assert not isinstance(raised.value, Stopped)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_leave_signals_alone(tmp_path):
    fitted = []
    fit = lambda: fitted.append(CLIP(epochs=1, **FAST).fit(twin_vectors(40), folder=tmp_path))  # noqa: E731
    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert fitted


def test_minutes_and_steps_of_checkpoints(tmp_path, monkeypatch):
    saved = []
    real = loop.save_checkpoint
    monkeypatch.setattr(
        loop,
        "save_checkpoint",
        lambda *a, **n: (saved.append((n["facts"]["epoch"], n["facts"]["step"])), real(*a, **n)),
    )
    fit = lambda **named: CLIP(epochs=2, **FAST).fit(twin_vectors(100), folder=tmp_path, **named)  # noqa: E731
    fit()
    assert saved == [(1, 0), (2, 0)]
    saved.clear()
    fit(checkpoint_steps=2)
    assert saved == [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4), (2, 0)]
    saved.clear()
    fit(checkpoint_minutes=1e-9)
    assert len(saved) == 10
    saved.clear()
    fit(checkpoint_minutes=None)
    assert len(saved) == 2
    with pytest.raises(UsageError, match="minutes above 0, or steps of 1 or more, got checkpoint_minutes=0"):
        fit(checkpoint_minutes=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bits(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        make = lambda: CLIP(epochs=2, dim=8, batch_size=150).fit(twin_vectors(600))  # noqa: E731
        assert_same(make(), make())
    finally:
        torch.set_num_threads(before)
