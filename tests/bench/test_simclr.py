"""The bench gives every method the same rows, and the network none of the labels."""

from dataclasses import replace

import numpy as np
import pytest

from bouba import CRNN, ConvNet, Views, samples
from bouba.align.simclr import SimCLR
from bouba.bench import simclr
from bouba.errors import DataError
from bouba.evaluation.fingerprint import fingerprint
from bouba.metrics import accuracy, knn


@pytest.fixture(scope="module")
def small():
    """The task on one style of 200 drawings, with a small tower."""
    views = samples.emoji(styles="noto")[:1600:8]
    task = simclr.drawings()
    tower = replace(task.tower, size=8, channels=2)
    cut = lambda seed: (views[seed : seed + 150], views[150:])  # noqa: E731
    return replace(task, tower=tower, cut=cut, plain=lambda known, asked: {})


def spoken(folder, rows=60):
    """Digits 0 and 1, a low and a high tone, in the file's own form."""
    random = np.random.default_rng(0)
    lengths = random.integers(900, 1600, rows)
    label = np.arange(rows) % 2
    waves = [np.sin(np.arange(n) * (0.3 + 0.9 * y)) * 9000 for n, y in zip(lengths, label)]
    np.savez(
        folder / "fsdd_8khz.npz",
        wave=np.concatenate(waves).astype(np.int16),
        offset=np.concatenate([[0], np.cumsum(lengths)]),
        label=label.astype(np.uint8),
        speaker=np.array(["ann"] * rows),
        index=(np.arange(rows) // 2).astype(np.uint8),
    )
    return folder / "fsdd_8khz.npz"


def test_drawings_are_cut_by_concept_and_all_judged():
    train, test = simclr.drawings().cut(3)
    assert not set(train.key) & set(test.key)
    assert len(train) + len(test) == 6376
    assert set(map(str, train.domain)) == set(map(str, test.domain)) == set(samples.STYLES)


def test_the_network_sees_cells_of_the_training_rows_and_nothing_else(small, monkeypatch):
    fitted = []
    fit = SimCLR.fit
    monkeypatch.setattr(SimCLR, "fit", lambda self, X: fitted.append(X) or fit(self, X))
    result = simclr.judge(small, 0, epochs=1)
    train, test = small.cut(0)
    for views in fitted:
        assert views.modalities == {"image": "image"}
        assert not views.y
        assert views.key is None
        assert views.domain is None
        assert [bytes(a) for a in views["image"]] == [bytes(a) for a in train["image"]]
    assert {record.n for record in result} == {len(test)}
    assert {record.metric for record in result} == {
        f"{label}, {judge}" for label in ("subgroup", "group") for judge in ("linear probe", "kNN")
    }


def test_definition_of_the_untrained_network_and_its_record(small):
    """Initial weights of the same seed, with BatchNorm statistics of three passes; kNN by hand."""
    record = simclr.judge(small, 0, epochs=1).value(method="untrained", metric="group, kNN")
    train, test = small.cut(0)
    seen, asked = (Views({"image": views["image"]}) for views in (train, test))
    model = SimCLR({"image": small.tower}, epochs=3, lr=0.0, random_state=0).fit(seen)
    fresh = SimCLR({"image": small.tower}, epochs=1, lr=0.0, random_state=0).fit(seen)
    for name, weight in model.module_.named_parameters():
        assert weight.equal(dict(fresh.module_.named_parameters())[name]), name
    y, truth = train.y["group"].astype(str), test.y["group"].astype(str)
    found = knn(model.features(seen)["image"], y, model.features(asked)["image"])
    assert record.value == accuracy(truth, found)
    assert record.chance == pytest.approx(np.mean(truth == max(set(y), key=list(y).count)))


def test_pixels_are_reduced_by_training_rows_only():
    views = samples.emoji(styles="noto")["image"].take(np.arange(300))
    known, asked = views.take(np.arange(280)), views.take(np.arange(280, 300))
    found = simclr._pixels(known, asked)
    assert [z.shape for z in found["16 x 16"]] == [(280, 768), (20, 768)]
    assert [z.shape for z in found["32 x 32 PCA"]] == [(280, 256), (20, 256)]
    others = simclr._pixels(known, known.take(np.arange(5)))
    np.testing.assert_allclose(others["32 x 32 PCA"][0], found["32 x 32 PCA"][0], atol=1e-5)


def test_digits_from_a_file_through_the_command(tmp_path, monkeypatch, kept_by):
    path = spoken(tmp_path)
    train, test = simclr.digits(path).cut(0)
    assert (len(train), len(test)) == (50, 10)
    monkeypatch.setattr(simclr, "CRNN", lambda **given: CRNN(rate=8000, seconds=0.2, mels=16, channels=2, width=4))
    kept = kept_by(simclr, "--data", tmp_path, "--seeds", 2, "--epochs", 1)
    assert kept.environment["data"] == fingerprint(path)
    result = kept.measured
    assert {r.method for r in result} == {"simclr", "projected", "untrained", "log-mel"}
    assert {r.seed for r in result} == {0, 1}
    assert min(r.value for r in result.where(method="log-mel")) == 1.0, "a low and a high tone, told by their spectrum"
    table = simclr.tables(result)["accuracy"]
    assert table.header[-1] == "simclr less best rival"
    assert [line[0] for line in table.lines] == ["digit, linear probe", "digit, kNN"]
    gains = [r.value - 1 for r in result.where(method="simclr", metric="digit, kNN")]
    assert table.lines[1][-1].strip("*").startswith(f"{100 * np.mean(gains):.1f} [")


def test_refusal_of_another_file(tmp_path):
    np.savez(tmp_path / "other.npz", wave=np.zeros(3))
    for path in (tmp_path / "other.npz", tmp_path / "none.npz"):
        with pytest.raises(DataError, match="holds no spoken digits"):
            simclr.digits(path)


@pytest.mark.slow
def test_learnt_features_beat_the_untrained_network_and_pixels():
    """A small tower, few epochs, one seed: the order, not the size (`bouba bench simclr` measures that)."""
    task = simclr.drawings()
    task = replace(task, tower=ConvNet(size=32, channels=16, crop=True, augment=task.tower.augment))
    result = simclr.judge(task, 0, epochs=20)
    found = {r.method: r.value for r in result.where(metric="subgroup, linear probe")}
    assert found["simclr"] > max(found[name] for name in ("untrained", "16 x 16", "32 x 32 PCA")) + 0.02
