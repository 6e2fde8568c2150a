"""The matrices beside the table: they grow with it, are made again where they are not whole, and need no LanceDB."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bouba.search import Index, matrices, store


@pytest.fixture
def made(tmp_path, rng) -> Index:
    z = rng.normal(size=(40, 6))
    return Index.create(
        tmp_path / "i",
        {"image": z, "text": z + 0.1},
        present={"image": rng.random(40) < 0.8},
        columns={"kind": [f"k{i % 3}" for i in range(40)], "share": [None, 0.5] * 20},
        paths={"image": [f"{i}.png" for i in range(40)]},
        offsets={"text": rng.normal(size=(40, 2))},
    )


def folder_of(index: Index):
    return store.matrix_folder(index._path, index._state.table)


def answers(index: Index) -> list:
    rng = np.random.default_rng(7)
    questions = rng.normal(size=(3, index.dim))
    plain = index.search_many(questions, k=1000)
    filtered = [index.search(question, k=7, view="text", where="kind <> 'k1'") for question in questions]
    weighed = [index.search(question, k=5, weights=np.array([0.3, -2.0])) for question in questions]
    return [*plain, *filtered, *weighed, [(r, v.tolist(), o.tolist()) for r, (v, o) in held(index).items()]]


def held(index: Index) -> dict:
    return index.vectors(range(100), view="text")


def made_again(index: Index) -> Index:
    """The same with matrices from the table alone."""
    shutil.rmtree(folder_of(index))
    return Index.open(index._path)


CHANGES = {
    "nothing": lambda index: None,
    "rows": lambda index: index.add({"image": np.ones((3, 6))}, columns={"kind": ["k1", "new", None]}),
    "replaced": lambda index: index.add({"text": np.ones((2, 6))}, rows=np.array([3, 30])),
    "replaced twice": lambda index: [index.add({"text": i * np.ones((1, 6))}, rows=np.array([3])) for i in (1, 2)],
    "out of order": lambda index: index.add({"text": np.eye(6)[:3]}, rows=np.array([90, 50, 70])),
    "removed": lambda index: index.add(
        {"text": np.ones((2, 6))}, rows=np.array([0, 1]), present={"text": np.zeros(2, bool)}
    ),
    "view": lambda index: index.add({"audio": np.eye(6)}),
    "offsets": lambda index: index.add({"text": np.eye(6)}, offsets={"text": np.full((6, 2), 0.25)}),
    "many": lambda index: [index.add({"image": np.eye(6)[:1]}) for _ in range(5)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_grew_is_what_the_table_holds(made, change):
    CHANGES[change](made)
    assert (folder_of(made) / f"{made._state.version}.json").exists()
    grown = answers(Index.open(made._path))
    assert answers(made) == grown
    assert answers(made_again(made)) == grown


def test_where_much_was_removed_they_are_made_again(made, monkeypatch):
    monkeypatch.setattr(matrices, "AT_ONCE", 0)
    made.add({"text": np.ones((30, 6))}, rows=np.arange(30))
    assert not (folder_of(made) / f"{made._state.version}.json").exists()
    found = answers(made)
    assert sum(map(len, made._source.matrices.values())) == len(made)
    assert {file.name.partition("-")[0] for file in folder_of(made).iterdir()} >= {f"{made._state.version}.json"}
    assert answers(made_again(made)) == found


def harm(file, change):
    data = file.read_bytes()
    file.unlink() if change is None else file.write_bytes(change(data))


@pytest.mark.parametrize("ending", ["vectors", "rows", "codes", "scales", "offsets", "shown", "json"])
@pytest.mark.parametrize("change", [None, lambda data: data[:-1], lambda data: b""], ids=["gone", "short", "empty"])
def test_files_that_are_not_whole_are_made_again(made, ending, change):
    found = answers(made)
    for file in list(folder_of(made).glob(f"*.{ending}")):
        harm(file, change)
    assert answers(Index.open(made._path)) == found


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"format": 99, "views": {}}', '{"format": 1, "views": {"image": 3}}', "\udcff"]
)
def test_a_record_that_is_none_is_made_again(made, text):
    found = answers(made)
    (folder_of(made) / f"{made._state.version}.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert answers(Index.open(made._path)) == found


def test_a_record_of_another_number_of_cells_is_made_again(made):
    found = answers(made)
    file = folder_of(made) / f"{made._state.version}.json"
    record = json.loads(file.read_text())
    record["views"]["text"]["cells"] -= 1
    file.write_text(json.dumps(record))
    assert answers(Index.open(made._path)) == found


def test_what_a_dead_writer_left_behind_the_end_does_not_count(made):
    found = answers(made)
    for file in folder_of(made).iterdir():
        if file.suffix != ".json":
            file.write_bytes(file.read_bytes() + b"\x01" * 1000)
    assert answers(Index.open(made._path)) == found
    made.add({"text": np.eye(6)})
    assert answers(made_again(made)) == answers(Index.open(made._path))


def test_an_add_that_dies_after_the_matrices_changes_nothing(made, monkeypatch):
    found = answers(made)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "commit", die)
    with pytest.raises(KeyboardInterrupt):
        made.add({"text": np.ones((3, 6))}, rows=np.array([1, 2, 99]))
    monkeypatch.undo()
    assert answers(Index.open(made._path)) == found
    made.add({"text": np.ones((1, 6))}, rows=np.array([5]))
    assert answers(made_again(made)) == answers(Index.open(made._path))


def test_an_index_of_before_gets_them_with_the_first_search(made):
    found = answers(made)
    shutil.rmtree(folder_of(made))
    opened = Index.open(made._path)
    assert not folder_of(made).exists()
    assert answers(opened) == found
    assert (folder_of(made) / f"{made._state.version}.json").exists()
    shutil.rmtree(folder_of(made))
    Index.open(made._path).add({"text": np.eye(6)})
    assert len(Index.open(made._path).search(np.ones(6), k=1000)) == len(made) + 6


def test_where_they_cannot_be_written_search_works(made):
    found = answers(made)
    shutil.rmtree(folder_of(made))
    folder_of(made).write_text("no folder")
    assert answers(Index.open(made._path)) == found
    assert folder_of(made).read_text() == "no folder"


def test_a_reader_keeps_what_it_opened(made):
    found = answers(made)
    reader = Index.open(made._path)
    first = reader.search_many(np.eye(6), k=50)
    Index.create(made._path, {"other": np.eye(3)})
    assert reader.search_many(np.eye(6), k=50) == first
    assert found


class Counted:
    """Rows on a disk: they can be cut out, never had at once."""

    def __init__(self, numbers):
        self.numbers, self.shape, self.dtype, self.largest = numbers, numbers.shape, numbers.dtype, 0
        self.ndim = numbers.ndim

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, part):
        cut = self.numbers[part]
        self.largest = max(self.largest, len(cut))
        return cut


def test_embeddings_are_read_in_blocks(tmp_path, rng, monkeypatch):
    z = rng.normal(size=(500, 4))
    whole = Index.create(tmp_path / "whole", {"v": z}, columns={"n": list(range(500))}, offsets={"v": z[:, :1]})
    monkeypatch.setattr("bouba.search.cells.AT_ONCE", 64)
    counted, offsets = Counted(z), Counted(z[:, :1])
    parts = Index.create(tmp_path / "parts", {"v": counted}, columns={"n": list(range(500))}, offsets={"v": offsets})
    assert counted.largest == offsets.largest == 64
    for question in z[:5]:
        assert parts.search(question, k=20) == whole.search(question, k=20)
        assert parts.search(question, where="n > 300") == whole.search(question, where="n > 300")
    assert parts._table.to_arrow().equals(whole._table.to_arrow())


def test_a_plain_search_imports_nothing_slow(made):
    code = f"""
import sys
import numpy as np
from bouba.search import Certainty, Hits, Index, Known
from bouba.search.letters import Letters
index = Index.open({str(made._path)!r})
hits = index.search(np.ones(6), k=3)
assert [hit.columns["kind"] for hit in hits] and index.vectors([1], view="text")
print([name for name in ("lancedb", "torch", "sklearn", "scipy", "pandas") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
