"""What became of a file of a run folder is one sentence; what does not need the file still works."""

import shutil

import numpy as np
import pytest
from made import to_folder, to_pipe

from bouba import Run
from bouba.errors import DataError, RecipeError, UsageError

random = np.random.default_rng(0)
A = random.normal(size=(40, 3))
TABLE = {"a": A, "b": A[:, :2] + random.normal(size=(40, 2))}
ASKED = {
    "run.json": lambda run: run.read(TABLE),
    "recipe.toml": lambda run: run.recipe,
    "metrics.json": lambda run: run.numbers(),
    "metrics_meta.json": lambda run: run.result,
    "history.jsonl": lambda run: run.history,
    "bad_rows.jsonl": lambda run: run.bad_rows,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    Run.fit(TABLE, out=folder, method="cca", ridge=0.1, holdout=0.3)
    (folder / "history.jsonl").write_text('{"epoch": 1}\n')
    return folder


def put(content):
    return lambda file: file.write_bytes(content)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (put(b"\xff\xfe\x80"), "is no UTF-8"),
        (put(b'{"format": 2, "rows'), "damaged|is not TOML|no list of records"),
        (put(b"[" * 100_000), "damaged|is not TOML|no list of records"),
        (put(b"null"), "damaged|is not TOML|no list of records"),
        (to_folder, "is a folder, not a file"),
        (to_pipe, "is a pipe or device, not a file"),
    ],
)
def test_a_damaged_file_is_named(name, harm, sentence, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    harm(folder / name)
    with pytest.raises(DataError, match=sentence) as caught:
        ASKED[name](Run.open(folder))
    assert name in str(caught.value)
    assert Run.open(folder).model.embed(TABLE).keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", '{"format": 99}', "of format 99, this bouba reads up to 2; upgrade bouba"),
        ("run.json", '{"format": "2"}', "format is '2', not a whole number"),
        ("run.json", '{"format": 2, "schema": {"kinds": 3}}', "the schema of the run is damaged"),
        ("run.json", '{"format": 2, "schema": 5}', "the schema of the run is damaged"),
        ("recipe.toml", "metod = 'cca'", "unknown key 'metod' in recipe; did you mean 'method'"),
        ("metrics.json", '[{"value": "high"}]', "no list of records"),
    ],
)
def test_content_of_another_shape_is_named(name, content, sentence, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / name).write_text(content)
    with pytest.raises((DataError, RecipeError), match=sentence):
        ASKED[name](Run.open(folder))


def test_an_index_without_its_store_is_named(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(folder / "index", ignore_errors=True)
    with pytest.raises(UsageError):
        Run.open(folder).search(np.zeros(3))
