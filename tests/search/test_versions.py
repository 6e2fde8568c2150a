"""Each change of an index is a version, which stays until it is compacted away."""

import json

import numpy as np
import pytest

from bouba.errors import DataError, UsageError
from bouba.search import Index, grow

pytest.importorskip("lancedb")


def answers(index, vectors, **more):
    """What an index finds, to the bit."""
    return [index.search(vector, k=1000, **more) for vector in vectors]


@pytest.fixture
def grown(tmp_path, rng):
    """An index of four versions, and what each of them answered when it was the last."""
    vectors = rng.normal(size=(60, 5))
    index = Index.create(tmp_path / "i", {"image": vectors[:30]}, columns={"n": list(range(30))})
    seen = [answers(index, vectors[:4])]
    index.add({"image": vectors[30:50], "text": vectors[30:50]}, columns={"n": list(range(30, 50))})
    seen.append(answers(index, vectors[:4]))
    index.add({"image": vectors[50:]}, rows=np.arange(5, 15), columns={"n": [7] * 10}, remove=[0, 6, 77])
    seen.append(answers(index, vectors[:4]))
    index.remove([40, 41, 99])
    seen.append(answers(index, vectors[:4]))
    return index, vectors[:4], seen


def test_a_version_says_what_was_done(grown):
    index, _, _ = grown
    assert index.version == 4
    assert [(each.number, each.rows, each.cells, each.change) for each in index.versions()] == [
        (1, 30, 30, "made"),
        (2, 50, 70, "20 added"),
        (3, 49, 69, "10 replaced, 1 removed"),
        (4, 47, 65, "2 removed"),
    ]
    assert all(each.written.endswith("+00:00") for each in index.versions())
    assert (index.rows, len(index)) == (47, 65)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_restored_version_answers_to_the_bit(grown, number):
    index, vectors, seen = grown
    reader = Index.open(index._path)
    index.restore(number)
    for made in (index, Index.open(index._path)):
        assert made.version == 5
        assert answers(made, vectors) == seen[number - 1]
        assert answers(made, vectors, where="n = 7") == [
            [h for h in hits if h.columns["n"] == 7] for hits in seen[number - 1]
        ]
    assert answers(reader, vectors) == seen[3]
    assert answers(reader, vectors, where="n = 7") == [[h for h in hits if h.columns["n"] == 7] for hits in seen[3]]
    index.add({"image": vectors}, columns={"n": [8] * 4})  # goes on from there, and touches no other version
    assert min(set(index.listing.rows) - set(Index.open(index._path, version=5).listing.rows)) == 50
    assert answers(reader, vectors) == seen[3]
    for earlier, expected in enumerate(seen, start=1):
        assert answers(Index.open(index._path, version=earlier), vectors) == expected


def test_earlier_versions_are_read_and_restored_again(grown):
    index, vectors, seen = grown
    index.restore(2)
    index.restore(4)
    assert answers(Index.open(index._path), vectors) == seen[3]
    assert [each.change for each in index.versions()[-2:]] == ["version 2 restored", "version 4 restored"]
    with pytest.raises(UsageError, match="no version 9; there is 1, 2, 3, 4, 5, 6"):
        index.restore(9)
    with pytest.raises(UsageError, match="no version 0"):
        Index.open(index._path, version=0)


def test_compacting_lets_earlier_versions_go(grown, monkeypatch):
    index, vectors, seen = grown
    reader = Index.open(index._path)
    for _ in range(3):
        index.add({"image": np.ones((50, 5))}, rows=np.arange(100, 150))
    index.restore(4)
    assert index.compact() > 10_000
    for made in (index, reader, Index.open(index._path)):
        assert answers(made, vectors) == seen[3]
    assert [each.number for each in index.versions()] == [8]
    assert answers(Index.open(index._path), vectors, where="n = 7") != [[]] * 4
    with pytest.raises(UsageError, match="no version 2; there is 8"):
        index.restore(2)
    with pytest.raises(DataError, match="open it again"):
        reader.search(vectors[0], where="n = 7")
    assert index.compact() == 0
    index.add({"image": vectors})
    assert [each.number for each in Index.open(index._path).versions()] == [8, 9]


def test_merging_small_files_keeps_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(grow, "_FRAGMENTS", 3)
    index = Index.create(tmp_path / "i", {"v": np.eye(3)})
    for _ in range(7):
        index.add({"v": np.eye(3)})
    assert [each.number for each in index.versions()] == list(range(1, 9))
    assert [len(Index.open(tmp_path / "i", version=number)) for number in range(1, 9)] == list(range(3, 25, 3))
    index.restore(3)
    assert sorted(hit.row for hit in Index.open(tmp_path / "i").search(np.ones(3), k=99)) == list(range(9))


def test_an_index_that_takes_the_place_of_another_counts_on(tmp_path):
    Index.create(tmp_path / "i", {"v": np.eye(2)}).add({"v": np.eye(2)})
    again = Index.create(tmp_path / "i", {"v": np.eye(2)})
    assert (again.version, len(again.versions())) == (3, 1)


def test_nothing_is_left_is_refused(tmp_path):
    index = Index.create(tmp_path / "i", {"v": np.eye(2)})
    with pytest.raises(UsageError, match="nothing would be left in the index"):
        index.remove([0, 1])
    assert (Index.open(tmp_path / "i").version, len(Index.open(tmp_path / "i"))) == (1, 2)


def test_contents_are_read_by_row(tmp_path):
    index = Index.create(tmp_path / "i", {"v": np.eye(2), "w": np.eye(2)}, contents=[b"1", b"2"], rows=[4, 9])
    index.add({"v": np.eye(2)})
    assert index.contents() == {4: b"1", 9: b"2", 10: None, 11: None}


def test_an_index_of_before_is_read_and_grows(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("bouba.search.index.EXTRA", {})
        made = Index.create(tmp_path / "i", {"v": np.eye(2)})
    record = (tmp_path / "i" / "index.json").read_text()
    facts = json.loads(record)
    kept = ("format", "table", "version", "similarity", "dim", "views", "columns", "cells", "next_row", "offsets")
    (tmp_path / "i" / "index.json").write_text(json.dumps({name: facts[name] for name in kept}))
    old = Index.open(tmp_path / "i")
    assert (old.version, old.rows, old.contents(), old.shown(0, "v"), len(made)) == (1, 2, {}, None, 2)
    old.add({"v": np.eye(2)}, contents=[b"1", b"2"], shown={"v": [b"1", b"2"]})
    assert [(each.number, each.rows) for each in Index.open(tmp_path / "i").versions()] == [(1, None), (2, 4)]
    assert old.shown(3, "v") is None
