"""The rows of a run for other programs: Parquet, arrays, embedding-atlas."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import write_things

import bouba
from bouba import Run
from bouba.errors import StorageError, UsageError
from bouba.runs import exporting

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Shapes with captions and columns that are called as others of the file; one picture is none."""
    folder = tmp_path_factory.mktemp("exported")
    views = bouba.read(write_things(folder))
    meta = {"photo_id": [f"P{n:03d}" for n in range(60)], "x": [n / 2 for n in range(60)]}
    meta["formula"] = [f"=1+{n}" for n in range(60)]
    views = views.replace(meta={**views.meta, **{name: np.array(of, object) for name, of in meta.items()}})
    return Run.fit(views, out=folder / "a run", method="cca", n_components=4, holdout=0, baseline=False)


@pytest.fixture
def typed(monkeypatch, capsys):
    """Runs a command: its exit code, and what it printed to both streams."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bouba", *map(str, words)])
        code = 0
        try:
            bouba.cli.main()
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    import bouba.cli

    return call


def test_a_parquet_file_holds_what_the_index_and_the_map_hold(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "AT_ONCE", 7)
    done = run.export_embeddings(tmp_path / "new" / "out.parquet")
    table = pq.read_table(done.path)
    assert table.num_rows == done.rows == 60
    assert table.schema.field("vector_photo").type == pa.list_(pa.float32(), run.index.dim)
    assert table["id"].to_pylist() == [f"P{n:03d}" for n in range(60)]
    assert table["column_x"].to_pylist() == [n / 2 for n in range(60)]
    assert table["path_photo"][3].as_py().endswith("thing03.png")
    assert table["formula"][0].as_py() == "=1+0"
    placed = run.map()
    assert np.array_equal(table["x"].to_numpy(), placed.x)
    assert np.array_equal(table["y"].to_numpy(), placed.y)
    for view in run.index.views:
        stored = run.index.vectors(range(60), view=view)
        for row, vector in enumerate(table[f"vector_{view}"].to_pylist()):
            assert vector == (stored[row][0].tolist() if row in stored else None)
    assert table["vector_photo"][7].as_py() is None  # which is no picture
    assert done.cells["photo"] == 59
    about = json.loads(table.schema.metadata[b"bouba"])
    assert (about["dim"], about["compared_by"]) == (run.index.dim, run.index.similarity)


@pytest.mark.parametrize(("missing", "number"), [("nan", np.nan), ("zeros", 0.0)])
def test_arrays_hold_the_same_rows(run, tmp_path, monkeypatch, missing, number):
    monkeypatch.setattr(exporting, "AT_ONCE", 7)
    table = pq.read_table(run.export_embeddings(tmp_path / "out.parquet").path)
    done = run.export_numpy(tmp_path / "arrays", missing=missing)
    assert set(done.vectors) == set(run.index.views)
    for view, name in done.vectors.items():
        array = np.load(done.path / name)
        assert array.dtype == np.float32
        expected = [[number] * run.index.dim if v is None else v for v in table[f"vector_{view}"].to_pylist()]
        assert np.array_equal(array, np.array(expected, np.float32), equal_nan=True)
    with (done.path / "rows.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == list(range(60))
    assert [line["id"] for line in lines] == table["id"].to_pylist()
    assert [float(line["y"]) for line in lines] == table["y"].to_pylist()
    assert lines[5]["formula"] == "'=1+5"  # a spreadsheet would run it
    assert json.loads((done.path / "about.json").read_text())["missing"] == missing


def test_memory_does_not_grow_with_rows(run, tmp_path, monkeypatch):
    sizes = []
    lists = exporting._lists

    def seen(run, places, view):
        sizes.append(len(places))
        return lists(run, places, view)

    monkeypatch.setattr(exporting, "AT_ONCE", 16)
    monkeypatch.setattr(exporting, "_lists", seen)
    run.export_embeddings(tmp_path / "out.parquet")
    assert max(sizes) == 16
    assert sum(sizes) == 60 * len(run.index.views)
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 4


def test_what_exists_stays_unless_it_is_to_be_replaced(run, tmp_path):
    file, folder = tmp_path / "out.parquet", tmp_path / "arrays"
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(UsageError, match=r"out.parquet exists; choose another name, or say --overwrite"):
        run.export_embeddings(file)
    with pytest.raises(UsageError, match="arrays exists"):
        run.export_numpy(folder)
    assert file.read_text() == (folder / "mine").read_text() == "mine"
    with pytest.raises(UsageError, match=r"name it so: out.parquet"):
        run.export_embeddings(tmp_path / "out.csv")
    with pytest.raises(UsageError, match="missing='none' is none of nan, zeros"):
        run.export_numpy(tmp_path / "other", missing="none")
    assert run.export_embeddings(file, overwrite=True).rows == 60
    run.export_numpy(folder, overwrite=True)
    assert not (folder / "mine").exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["arrays", "out.parquet"]


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """A program of that name that keeps its words and the file that it was given, and ends with $ATLAS_ENDS."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "embedding-atlas"
    kept = tmp_path / "kept"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {kept}.words\ncp "$1" {kept}.parquet\nexit ${{ATLAS_ENDS:-0}}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return kept


def test_embedding_atlas_opens_a_file_that_goes_with_it(run, atlas, typed):
    code, out, err = typed("export", run.path, "--atlas")
    assert (code, out) == (0, "")
    assert "60 rows are opened by" in err
    file, *words = atlas.with_suffix(".words").read_text().split("\n")[:-1]
    assert words == ["--x", "x", "--y", "y", "--text", "caption"]
    assert not os.path.exists(file)
    assert pq.read_table(atlas.with_suffix(".parquet")).num_rows == 60


def test_embedding_atlas_opens_a_file_that_stays(run, atlas, typed, tmp_path, monkeypatch):
    assert typed("export", run.path, "--atlas", "--embeddings", tmp_path / "mine.parquet")[0] == 0
    assert pq.read_table(tmp_path / "mine.parquet").num_rows == 60
    monkeypatch.setenv("ATLAS_ENDS", "3")
    with pytest.raises(StorageError, match="embedding-atlas ended with 3"):
        run.open_atlas()


def test_without_embedding_atlas_nothing_is_written(run, tmp_path, typed, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, out, err = typed("export", run.path, "--atlas", "--numpy", tmp_path / "mine")
    assert (code, out) == (2, "")
    assert "embedding-atlas is not installed" in err
    assert "pip install embedding-atlas" in err
    assert not (tmp_path / "mine").exists()


def test_the_command_writes_all_at_once_and_says_so(run, tmp_path, typed):
    words = ["--embeddings", tmp_path / "e.parquet", "--numpy", tmp_path / "np"]
    code, out, _ = typed("export", run.path, *words)
    assert code == 0
    assert f"60 rows, {run.index.dim} numbers a view, missing cells are nan: {tmp_path / 'np'}" in out
    facts = json.loads(typed("export", run.path, *words, "--overwrite", "--json")[1])
    assert facts["embeddings"]["rows"] == facts["numpy"]["rows"] == 60
    assert facts["numpy"]["vectors"]["caption"] == "caption.npy"
    code, _, err = typed("export", run.path)
    assert code == 2
    assert "say what to write: --embeddings FILE.parquet" in err


def test_the_command_writes_towers(run, tmp_path, typed):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    code, out, _ = typed("export", run.path, "--onnx", tmp_path / "onnx")
    assert code == 0
    assert f": {tmp_path / 'onnx'}" in out
    assert (tmp_path / "onnx" / "export.json").exists()


def test_no_torch_is_loaded_for_vectors(run, tmp_path):
    program = (
        "import sys; sys.argv = ['bouba', 'export', sys.argv[1], '--embeddings', sys.argv[2]]\n"
        "from bouba.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    run.map()
    words = [sys.executable, "-c", program, str(run.path), str(tmp_path / "e.parquet")]
    subprocess.run(words, check=True, capture_output=True)
