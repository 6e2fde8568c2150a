"""A small package of word vectors, as pip would install it."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest

from bouba.towers.packages import PACKAGES


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def words(own_cache, tmp_path, monkeypatch):
    """A small package of word vectors in the form of GloVe's, under that name."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    names = ["red", "green", "apple", "market", "kiwi"]
    vectors = np.random.default_rng(0).normal(size=(len(names), 50)).astype(np.float32)
    (tmp_path / "few_words" / "data").mkdir(parents=True)
    (tmp_path / "few_words" / "__init__.py").write_text("")
    files = {}
    for name in PACKAGES["glove"].files:
        file = tmp_path / "few_words" / name
        np.save(file, vectors) if file.suffix == ".npy" else pq.write_table(pa.table({"index": names}), file)
        files[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(PACKAGES, "glove", replace(PACKAGES["glove"], module="few_words", files=files))
    yield dict(zip(names, vectors))
    sys.modules.pop("few_words", None)
