"""Features on disk: keyed by content, written batch by batch, shared by processes, and never in the way."""

import io
import multiprocessing
import sqlite3

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bouba.data import decode
from bouba.errors import DataError
from bouba.towers import cell_features
from bouba.towers.cell_features import BATCH
from bouba.towers.content import content_key, digest
from bouba.towers.feature_cache import FeatureCache, cache_folder
from bouba.towers.frozen import Frozen
from bouba.towers.tower import Encoder


class Lengths(Encoder):
    """A network of one matrix that counts how many texts went through it."""

    width = 2

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.norm, self.dropout = nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)
        self.seen, self.fails_after = [], None

    def prepare(self, cells):
        self.seen += list(cells)
        return {"lengths": torch.tensor([[float(len(cell))] for cell in cells])}

    def forward(self, lengths):
        if self.fails_after is not None and len(self.seen) > self.fails_after:
            raise KeyboardInterrupt
        return self.dropout(self.norm(self.layer(lengths)))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def frozen(seed=0, cache=True, **facts):
    return Frozen(Lengths(seed), "text", facts, cache=cache).eval()


TEXTS = [f"text {'x' * (number % 7)}{number}" for number in range(100)]


def test_definition_each_row_is_the_network_on_its_cell():
    encoder = frozen()
    features = encoder.train().prepare([*TEXTS, *TEXTS[:3]])["features"]
    for text, row in zip([*TEXTS, *TEXTS[:3]], features):
        weight, bias = encoder.inner.layer.weight, encoder.inner.layer.bias
        expected = (len(text) * weight[:, 0] + bias).detach() / (1 + 1e-5) ** 0.5  # BatchNorm at rest, no dropout
        torch.testing.assert_close(row, expected)
    assert not features.requires_grad
    assert torch.equal(encoder(features), features)  # nothing was measured


def test_law_measured_features_have_mean_0_and_variance_1():
    encoder = frozen()
    moments = encoder.measured(TEXTS, 0)
    encoder = Frozen(Lengths(), "text", {}, moments=moments)
    features = encoder(**encoder.prepare(TEXTS))
    torch.testing.assert_close(features.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(0, correction=0), torch.ones(2), atol=1e-4, rtol=0)
    assert torch.equal(encoder.raw(encoder.prepare(TEXTS)), features)
    assert frozen().measured(["same"] * 3, 0)["scale"] == [1.0, 1.0]
    assert encoder.inner.seen == []  # measured before, kept since


def test_equal_cells_pass_once_and_another_run_computes_nothing():
    first = frozen()
    expected = first.prepare(TEXTS * 3)["features"]
    assert sorted(first.inner.seen) == sorted(TEXTS)
    second = frozen()
    assert torch.equal(second.prepare(TEXTS * 3)["features"], expected)
    assert second.inner.seen == []


def test_other_weights_or_facts_are_another_network():
    frozen().prepare(TEXTS)
    for other in (frozen(seed=1), frozen(pooling="max")):
        other.prepare(TEXTS)
        assert len(other.inner.seen) == len(TEXTS)
    changed = frozen()
    changed.prepare(TEXTS)
    before = changed.fingerprint()
    with torch.no_grad():
        changed.inner.layer.weight.mul_(2)
    assert changed.fingerprint() != before


def test_a_run_that_is_killed_loses_one_batch_at_most():
    first = frozen()
    first.inner.fails_after = 2 * BATCH
    with pytest.raises(KeyboardInterrupt):
        first.prepare(TEXTS)
    second = frozen()
    second.prepare(TEXTS)
    assert len(second.inner.seen) == len(TEXTS) - 2 * BATCH
    assert torch.equal(second.prepare(TEXTS)["features"], frozen(cache=False).prepare(TEXTS)["features"])


def test_without_cache_nothing_is_written(folder):
    frozen(cache=False).prepare(TEXTS)
    assert not folder.exists()


def _write(seed):
    random = np.random.default_rng(seed)
    cache = FeatureCache("shared", 3)
    for _ in range(20):
        numbers = random.choice(200, 10, replace=False)
        cache.write({bytes([n] * 16): np.full(3, n, np.float32) for n in numbers})


def test_processes_that_write_at_once_do_not_disturb_each_other():
    workers = [multiprocessing.get_context("fork").Process(target=_write, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    keys = [bytes([n] * 16) for n in range(200)]
    found = FeatureCache("shared", 3).read(keys)
    wanted = {
        n
        for seed in range(4)
        for r in [np.random.default_rng(seed)]
        for _ in range(20)
        for n in r.choice(200, 10, replace=False)
    }
    assert set(found) == {keys[n] for n in wanted}
    assert all(np.array_equal(found[keys[n]], np.full(3, n)) for n in wanted)


def test_a_damaged_file_is_said_once_and_not_in_the_way(caplog):
    encoder = frozen()
    expected = encoder.prepare(TEXTS)["features"]
    file = FeatureCache(encoder.fingerprint(), 2).file
    file.write_bytes(b"no database" * 999)
    again = frozen()
    assert torch.equal(again.prepare(TEXTS)["features"], expected)
    assert caplog.text.count("features are not kept in") == 1
    assert str(file) in caplog.text


def test_rows_of_another_width_are_not_taken():
    FeatureCache("n", 3).write({b"a": np.zeros(3)})
    assert FeatureCache("n", 4).read([b"a"]) == {}
    with sqlite3.connect(FeatureCache("n", 3).file) as db:
        assert db.execute("SELECT count(*) FROM cells").fetchone() == (1,)


def test_nan_features_are_refused():
    encoder = frozen()
    with torch.no_grad():
        encoder.inner.layer.weight.fill_(torch.nan)
    with pytest.raises(DataError, match="the frozen network gives NaN or infinity for the cell 'text"):
        encoder.prepare(TEXTS[:2])


def test_long_encodings_say_how_far_they_are(caplog, monkeypatch):
    monkeypatch.setattr(cell_features, "REPORT_EVERY", -1.0)
    with caplog.at_level("INFO", logger="bouba"):
        encoder = frozen()
        encoder.prepare(TEXTS[:50])
        encoder.prepare(TEXTS)
    said = [message for message in caplog.messages if "so far" in message]
    assert said == [f"encoded {count} cells (text) so far" for count in (32, 50, 82, 100)]


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BOUBA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "bouba"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "bouba"


def test_law_equal_contents_have_equal_keys_and_others_not(tmp_path):
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    file = io.BytesIO()
    picture.save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    (tmp_path / "b.png").write_bytes(file.getvalue())
    stored = [str(tmp_path / "a.png"), tmp_path / "b.png", file.getvalue(), {"bytes": file.getvalue(), "path": None}]
    assert len({content_key("image", cell) for cell in stored}) == 1
    decoded = [picture, np.asarray(picture), decode.image(file.getvalue())]
    assert len({content_key("image", cell) for cell in decoded}) == 1
    waves = np.arange(5, dtype=np.float32)
    different = [
        *[("text", cell) for cell in ("ox", "Ox", "", str(tmp_path / "a.png"))],
        *[("image", cell) for cell in (stored[0], picture, picture.rotate(90))],
        *[("audio", cell) for cell in (waves, (waves, 8000), (waves, 16000), waves.astype(np.float64))],
        *[("vector", cell) for cell in (waves + 1, waves[:4], waves.reshape(1, 5))],
    ]
    assert len({content_key(kind, cell) for kind, cell in different}) == len(different)
    assert content_key("audio", {"array": waves, "sampling_rate": 8000}) == content_key("audio", (waves, 8000))
    assert content_key("vector", waves) == content_key("vector", waves.tolist())
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])
    with pytest.raises(DataError, match=r"cannot read '.*nowhere\.png' \(no such file"):
        content_key("image", str(tmp_path / "nowhere.png"))


def test_rows_of_a_table_are_told_apart_by_what_they_hold():
    key = lambda row: content_key("table", row)  # noqa: E731
    assert key({"a": 1, "b": "x", "c": None}) == key({"b": "x", "a": 1.0})
    assert len({key({"a": 1}), key({"a": 2}), key({"b": 1}), key({"a": "1"}), key({})}) == 5
