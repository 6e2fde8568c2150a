"""Each mistake gets a sentence: what came, what was expected, the next move."""

import re
import subprocess
import sys

import numpy as np
import pytest

from bouba.errors import DataError, MissingExtraError, ModalityError, UsageError
from bouba.search import Index, store


@pytest.fixture
def made(tmp_path) -> Index:
    return Index.create(tmp_path / "i", {"image": np.eye(3), "text": np.eye(3)}, columns={"kind": list("abc")})


@pytest.mark.parametrize(
    ("error", "question", "sentence"),
    [
        (ModalityError, {"view": "imag"}, "no view 'imag'; did you mean 'image'?"),
        (UsageError, {"equals": {"knd": 1}}, "no column 'knd'; did you mean 'kind'?"),
        (UsageError, {"k": 0}, "k must be 1 or more, got 0"),
        (UsageError, {"where": "kind = "}, "where='kind = ' is not a filter over this index"),
        (UsageError, {"where": ""}, "where='' is not a filter"),
        (UsageError, {"where": "knd = 'a'"}, "no column 'knd'; did you mean 'kind'?"),
        (UsageError, {"where": "knd = 'a'"}, "its columns are `kind` (str)"),
        (UsageError, {"where": "kind = 3"}, "text goes in single quotes"),
        (UsageError, {"where": "kind"}, "where='kind' is not a filter"),
        (UsageError, {"where": "kind = 'a' --"}, "is not a filter"),
        (UsageError, {"where": "kind = 'a"}, "is not a filter"),
        (UsageError, {"where": "kind = 'a'; DROP TABLE x"}, "is not a filter"),
    ],
)
def test_search_refuses_a_wrong_question(made, error, question, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        made.search(np.ones(3), **question)


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        (np.ones(4), "needs numbers of shape (3,), got float64 (4,)"),
        (np.ones((1, 3)), "needs numbers of shape (3,), got float64 (1, 3)"),
        (np.array(["a", "b", "c"]), "needs numbers of shape (3,)"),
        (np.array([1, np.nan, 0]), "vector 0 holds NaN or infinity"),
        (np.array([1, np.inf, 0]), "vector 0 holds NaN or infinity"),
        (np.zeros(3), "vector 0 is all zeros and has no direction"),
    ],
)
def test_search_refuses_a_wrong_vector(made, vector, sentence):
    with pytest.raises(UsageError, match=re.escape(sentence)):
        made.search(vector)


def test_search_many_names_the_wrong_vector(made):
    with pytest.raises(UsageError, match=r"needs numbers of shape \(questions, 3\), got float64 \(3,\)"):
        made.search_many(np.ones(3))
    with pytest.raises(UsageError, match="vector 1 holds NaN"):
        made.search_many(np.array([[1, 0, 0], [np.nan, 0, 0]]))


@pytest.mark.parametrize(
    ("error", "pieces", "sentence"),
    [
        (UsageError, {"embeddings": {}}, "needs one view or more, got none"),
        (UsageError, {"embeddings": {"a": np.ones(3)}}, "view 'a' needs numbers of shape (rows, width)"),
        (
            UsageError,
            {"embeddings": {"a": np.ones((3, 2)), "b": np.ones((4, 2))}},
            "'a' is (3, 2), 'b' (4, 2)",
        ),
        (DataError, {"embeddings": {"a": np.array([[1.0], [np.nan]])}}, "1 embeddings with NaN or infinity"),
        (DataError, {"embeddings": {"a": np.array([[1.0], [1e300]])}}, "the first at position 1"),
        (UsageError, {"similarity": "cosin"}, "no similarity 'cosin'; did you mean 'cosine'?"),
        (UsageError, {"columns": {"kind": ["a"]}}, "columns['kind'] has 1 values for 3 rows"),
        (UsageError, {"paths": {"imag": ["a"] * 3}}, "paths names the view 'imag', which has no embeddings"),
        (UsageError, {"present": {"image": np.ones(3)}}, "present['image'] needs bool of shape (3,)"),
        (UsageError, {"present": {"image": np.zeros(3, bool)}}, "every cell is absent"),
        (UsageError, {"rows": np.array([1, 2, 1])}, "row number 1 comes twice"),
        (UsageError, {"rows": np.array([1, 2])}, "rows needs 3 whole numbers, got int64 (2,)"),
        (UsageError, {"rows": np.array([1.5, 2, 3])}, "rows needs 3 whole numbers, got float64 (3,)"),
    ],
)
def test_create_refuses(tmp_path, error, pieces, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        Index.create(tmp_path / "i", **({"embeddings": {"image": np.eye(3)}} | pieces))
    assert not (tmp_path / "i").exists()


def test_nan_in_an_absent_cell_is_no_matter(tmp_path):
    vectors = np.array([[1.0, 0], [np.nan, 0]])
    assert len(Index.create(tmp_path / "i", {"v": vectors}, present={"v": np.array([True, False])})) == 1


def test_open_names_the_path_and_the_command(tmp_path):
    remedy = re.escape("make one with: bouba fit ... -o FOLDER, or Index.create(path, embeddings)")
    with pytest.raises(DataError, match=f"nowhere does not exist; {remedy}"):
        Index.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(DataError, match=f"is not a search index; {remedy}"):
        Index.open(tmp_path)
    for text in ("{", "[]", '{"format": "other"}', '{"format": "bouba search index 1"}', "\x00"):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(DataError, match=f"not the record of a search index; {remedy}"):
            Index.open(tmp_path)


def test_damage_is_said_and_not_blamed_on_the_question(made, tmp_path):
    store.drop_table(tmp_path / "i", made._state.table)
    with pytest.raises(DataError, match="is a damaged index"):
        Index.open(tmp_path / "i")
    with pytest.raises(DataError, match=r"replaced or damaged after it was opened.*open it again"):
        made.search(np.ones(3), where="kind = 'a'")


def test_create_refuses_a_folder_of_other_files_and_a_file(tmp_path):
    (tmp_path / "photo.png").write_text("mine")
    with pytest.raises(DataError, match="holds other files and is not an index"):
        Index.create(tmp_path, {"v": np.eye(2)})
    with pytest.raises(DataError, match=r"photo.png is a file; an index is a folder"):
        Index.create(tmp_path / "photo.png", {"v": np.eye(2)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["photo.png"]


def test_without_lancedb_the_sentence_names_the_command(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    sentence = re.escape("lancedb is not installed; it comes with: pip install 'bouba[search]'")
    with pytest.raises(MissingExtraError, match=sentence):
        Index.create(tmp_path / "new", {"v": np.eye(2)})
    opened = Index.open(tmp_path / "i")
    with pytest.raises(MissingExtraError, match=sentence):
        opened.search(np.ones(3), equals={"kind": "a"})
    with pytest.raises(MissingExtraError, match=sentence):
        opened.add({"image": np.eye(3)})
    assert opened.search(np.eye(3)[1], k=1)[0].columns == {"kind": "b"}  # what needs no filter needs no LanceDB


def test_the_room_imports_without_lancedb_and_torch():
    code = "import sys, bouba.search; assert not {'lancedb', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
