"""Prepared cells on disk: the same as in memory, found again by content and preparation alone, and shared."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bouba.data import Views, prepared
from bouba.data.disk import ROOM
from bouba.data.loader import Codes, Rows
from bouba.data.views import Column
from bouba.towers import ConvNet, NGrams

N = 530  # more than one chunk
TEXTS = [None if i == 3 else "word " * (1 + i * 7 % (2 + i // 100)) + str(i) for i in range(N)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / ROOM


@pytest.fixture
def encoder():
    return NGrams(buckets=50, width=4).build({})


def texts(cells=TEXTS):
    return Views({"t": Column.of(list(cells), "text")})


def rows_of(views, encoder, memory):
    (name,) = views.columns
    return Rows(views, {name: encoder}, Codes(), memory=memory)


def test_sequences_on_disk_are_those_in_memory(encoder, cache, caplog):
    caplog.set_level("INFO")
    in_memory, on_disk = (rows_of(texts(), encoder, memory) for memory in (2 << 30, 1))
    assert list(cache.rglob("0.npy"))
    assert "what is prepared of 't' is kept in" in caplog.text
    for part, tensor in in_memory.cached["t"].items():
        assert torch.equal(on_disk.cached["t"][part], tensor)
        assert on_disk.cached["t"][part].dtype == tensor.dtype
    chosen = torch.tensor([520, 3, 0])
    one, other = in_memory.batch(chosen), on_disk.batch(chosen)
    assert torch.equal(one.inputs["t"]["grams"], other.inputs["t"]["grams"])
    assert one.present["t"].tolist() == other.present["t"].tolist() == [True, False, True]


def test_what_is_kept_is_not_prepared_again(encoder, monkeypatch):
    first = rows_of(texts(), encoder, 1)
    monkeypatch.setattr(type(encoder), "prepare", _refuse_many(type(encoder).prepare))
    again = rows_of(texts(), NGrams(buckets=50, width=4).build({}), 1)
    assert torch.equal(first.cached["t"]["grams"], again.cached["t"]["grams"])


def _refuse_many(prepare):
    calls = []

    def counted(self, cells):
        calls.append(len(cells))
        assert len(calls) < 2, "only the first chunk, to see how large rows are"
        return prepare(self, cells)

    return counted


@pytest.mark.parametrize("change", ["cells", "order", "preparation", "presence"])
def test_other_cells_and_other_preparations_are_others(encoder, cache, change):
    rows_of(texts(), encoder, 1)
    views = texts(["another", *TEXTS[1:]]) if change == "cells" else texts()
    views = views[::-1] if change == "order" else views
    if change == "presence":
        views = Views({"t": views["t"].without(np.arange(N) == 1)})
    rows_of(views, NGrams(buckets=51, width=4).build({}) if change == "preparation" else encoder, 1)
    assert len(list(cache.rglob("shapes.json"))) == 2


def test_cells_that_broke_are_missing_when_they_are_found_again(cache):
    def picture(number):
        file = io.BytesIO()
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(file, "PNG")
        return file.getvalue()

    cells = [picture(i % 200) for i in range(30)]
    cells[4] = cells[4][:-25]  # its header is in order
    encoder = ConvNet(size=8).build({})
    rows = []
    for _ in range(2):
        views = Views({"p": Column.of(list(cells), "image")})
        rows.append(rows_of(views, encoder, 1))
        assert views.present["p"].tolist() == [i != 4 for i in range(30)]
        assert [bad["row"] for bad in views.bad_rows] == [4]
        assert not rows[-1].present["p"][4]
    assert len(list(cache.rglob("lost.json"))) == 1
    assert torch.equal(rows[0].cached["p"]["pixels"], rows[1].cached["p"]["pixels"])


def test_a_network_that_prepares_keeps_nothing_here(encoder, cache):
    encoder.runs_network = True
    assert rows_of(texts(), encoder, 1).cached == {}
    assert not cache.exists()


def test_settings_that_cannot_be_told_keep_nothing(encoder, cache):
    encoder.form = lambda text: text
    assert prepared._settings_of(encoder) is None
