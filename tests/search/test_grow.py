"""Rows added later, and writers that die half-way."""

import json

import numpy as np
import pytest

from bouba.errors import DataError, UsageError
from bouba.search import Index, grow, store


def rows_of(made: Index, **question) -> list[tuple[int, str]]:
    return sorted((hit.row, hit.view) for hit in made.search(np.ones(made.dim), k=10_000, **question))


def tables(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_added_in_parts_answers_like_written_at_once(tmp_path, rng):
    vectors, kinds = rng.normal(size=(90, 5)), [f"k{i % 4}" for i in range(90)]
    whole = Index.create(tmp_path / "whole", {"image": vectors}, columns={"kind": kinds})
    parts = Index.create(tmp_path / "parts", {"image": vectors[:30]}, columns={"kind": kinds[:30]})
    parts.add({"image": vectors[30:31]}, columns={"kind": kinds[30:31]})
    parts.add({"image": vectors[31:]}, columns={"kind": kinds[31:]})
    for made in (parts, Index.open(tmp_path / "parts")):
        assert len(made) == 90
        for vector in rng.normal(size=(5, 5)):
            assert made.search(vector, equals={"kind": "k1"}) == whole.search(vector, equals={"kind": "k1"})


def test_a_row_that_exists_is_replaced_with_all_its_views(tmp_path):
    made = Index.create(tmp_path / "i", {"image": np.eye(3), "text": np.eye(3)}, columns={"kind": list("abc")})
    made.add({"image": np.ones((2, 3))}, rows=np.array([1, 9]), columns={"kind": ["new", "new"]})
    assert rows_of(made) == [
        (0, "image"), (0, "text"), (1, "image"), (2, "image"), (2, "text"), (9, "image"),
    ]  # fmt: skip
    assert rows_of(made, equals={"kind": "new"}) == [(1, "image"), (9, "image")]
    made.add({"image": np.ones((1, 3))})
    assert rows_of(made, where="kind IS NULL") == [(10, "image")]
    made.add({"image": np.ones((1, 3))}, present={"image": np.array([False])}, rows=np.array([10]))
    assert len(made) == 6


def test_many_rows_are_replaced_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(grow, "_DELETE_AT_ONCE", 7)
    made = Index.create(tmp_path / "i", {"v": np.ones((50, 2))})
    made.add({"v": -np.ones((50, 2))}, rows=np.arange(50))
    assert len(made) == 50
    assert all(hit.score == pytest.approx(-1) for hit in made.search(np.ones(2), k=50))


def test_a_new_view_joins(tmp_path):
    made = Index.create(tmp_path / "i", {"image": np.eye(2)})
    made.add({"audio": np.eye(2)})
    assert made.views == ("image", "audio")
    assert rows_of(made, view="audio") == [(2, "audio"), (3, "audio")]


def test_a_second_writer_keeps_what_the_first_wrote(tmp_path):
    first = Index.create(tmp_path / "i", {"v": np.eye(2)})
    second = Index.open(tmp_path / "i")
    first.add({"v": np.eye(2)})
    second.add({"v": np.eye(2)})
    assert [row for row, _ in rows_of(second)] == [0, 1, 2, 3, 4, 5]
    assert len(first) == 4  # a reader keeps the version it opened


def test_small_files_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(grow, "_FRAGMENTS", 4)
    made = Index.create(tmp_path / "i", {"v": np.ones((1, 2))})
    for _ in range(9):
        made.add({"v": np.ones((1, 2))})
    assert made._table.stats()["fragment_stats"]["num_fragments"] <= 4
    assert [row for row, _ in rows_of(Index.open(tmp_path / "i"))] == list(range(10))


def test_create_replaces_and_leaves_one_table(tmp_path):
    Index.create(tmp_path / "i", {"v": np.eye(2)})
    made = Index.create(tmp_path / "i", {"w": np.eye(3)}, similarity="dot")
    assert (made.views, made.dim, made.similarity) == (("w",), 3, "dot")
    name = made._state.table
    assert tables(tmp_path / "i") == [f"{name}.lance", f"{name}.matrix", "index.json"]


class Died(BaseException):
    """Not an Exception, as Ctrl-C is not."""


def die(*_, **__):
    raise Died


@pytest.mark.parametrize("step", ["commit", "write_table"])
def test_create_that_dies_leaves_the_old_index(tmp_path, monkeypatch, step):
    Index.create(tmp_path / "i", {"v": np.eye(2)})
    before = tables(tmp_path / "i")
    monkeypatch.setattr(store, step, die)
    with pytest.raises(Died):
        Index.create(tmp_path / "i", {"w": np.eye(3)})
    assert tables(tmp_path / "i") == before
    assert rows_of(Index.open(tmp_path / "i")) == [(0, "v"), (1, "v")]


def test_first_create_that_dies_leaves_no_index(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "commit", die)
    with pytest.raises(Died):
        Index.create(tmp_path / "i", {"v": np.eye(2)})
    with pytest.raises(DataError, match="does not exist"):
        Index.open(tmp_path / "i")
    monkeypatch.undo()
    assert len(Index.create(tmp_path / "i", {"v": np.eye(2)})) == 2


def test_a_killed_create_is_swept_by_the_next(tmp_path):
    """What a power cut leaves: a table nobody names and half a pointer."""
    Index.create(tmp_path / "i", {"v": np.eye(2)})
    (tmp_path / "i" / "cells-dead.lance").mkdir()
    (tmp_path / "i" / "cells-dead.matrix").mkdir()
    (tmp_path / "i" / "cells-gone.matrix").mkdir()
    (tmp_path / "i" / "index.json.dead.part").write_text('{"form')
    assert len(Index.open(tmp_path / "i")) == 2
    name = Index.create(tmp_path / "i", {"v": np.eye(2)})._state.table
    assert tables(tmp_path / "i") == [f"{name}.lance", f"{name}.matrix", "index.json"]


def test_add_that_dies_changes_nothing(tmp_path, monkeypatch):
    made = Index.create(tmp_path / "i", {"v": np.eye(2)})
    monkeypatch.setattr(store, "commit", die)
    with pytest.raises(Died):
        made.add({"v": np.ones((2, 2))}, rows=np.array([1, 5]))
    monkeypatch.undo()
    for reader in (made, Index.open(tmp_path / "i")):
        assert rows_of(reader) == [(0, "v"), (1, "v")]
    made.add({"v": np.ones((1, 2))})
    assert rows_of(Index.open(tmp_path / "i")) == [(0, "v"), (1, "v"), (2, "v")]


def test_a_killed_add_is_not_seen(tmp_path):
    """The process ends between LanceDB's write and the commit: the table is ahead of the pointer."""
    made = Index.create(tmp_path / "i", {"v": np.eye(2)})
    made._table.delete("_row = 0")
    assert rows_of(Index.open(tmp_path / "i")) == [(0, "v"), (1, "v")]
    again = Index.open(tmp_path / "i")
    again.add({"v": np.ones((1, 2))})
    assert rows_of(Index.open(tmp_path / "i")) == [(0, "v"), (1, "v"), (2, "v")]


def test_add_refuses(tmp_path):
    made = Index.create(tmp_path / "i", {"v": np.eye(2)}, columns={"kind": ["a", "b"], "year": [1, 2]})
    with pytest.raises(UsageError, match="no column 'kinds'; did you mean 'kind'"):
        made.add({"v": np.eye(2)}, columns={"kinds": ["a", "b"]})
    with pytest.raises(UsageError, match="index is 2 wide, got embeddings 3 wide"):
        made.add({"v": np.eye(3)})
    with pytest.raises(UsageError, match="column 'year' holds int, got 'x'"):
        made.add({"v": np.eye(2)}, columns={"year": ["x", 3]})
    assert len(Index.open(tmp_path / "i")) == 2


def test_build_ann_refuses(tmp_path):
    made = Index.create(tmp_path / "i", {"v": np.ones((10, 2))})
    with pytest.raises(UsageError, match="256 cells or more, got 10; search exactly"):
        made.build_ann(within=0)
    with pytest.raises(UsageError, match=r"call index.build_ann\(\) first"):
        made.search(np.ones(2), exact=False)
    made.add({"v": np.ones((300, 2))})
    with pytest.raises(UsageError, match="got probes=9, partitions=3"):
        made.build_ann(within=0, partitions=3, probes=9)
    with pytest.raises(UsageError, match=r"in \(0, 1\], got 95"):
        made.build_ann(within=0, recall=95)
    assert made.build_ann() is None  # an exact search is quick
    assert (made.recall, made._table.list_indices()) == (None, [])


def test_the_pointer_is_plain_json(tmp_path):
    made = Index.create(tmp_path / "i", {"v": np.eye(2)}, columns={"a.b": [1, 2]})
    record = json.loads((tmp_path / "i" / "index.json").read_text())
    assert record["format"] == "bouba search index 1"
    assert record["columns"] == [{"name": "a.b", "stored": "a_b", "kind": "int"}]
    assert record["cells"] == len(made) == 2
