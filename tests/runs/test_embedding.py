"""Rows become vectors in a file, block by block, and a file is there whole or not at all."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import twin_vectors, write_things

from bouba import Run
from bouba.errors import DataError, Stopped, UsageError
from bouba.runs import blocks
from bouba.runs.blocks import Block, Embedder

lancedb = pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A run of pictures and captions with keys, and its table; picture 7 is no picture."""
    folder = tmp_path_factory.mktemp("embedding")
    table = write_things(folder)
    read = {"key": "caption", "text": "caption", "image": "photo"}
    return Run.fit(table, method="cca", out=folder / "run", read=read, baseline=False), table


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A run of two views of numbers, and a lake of three Parquet files of them, 30 rows each."""
    folder = tmp_path_factory.mktemp("lake")
    views = twin_vectors(90, d=3)
    run = Run.fit(views, method="cca", out=folder / "run", baseline=False)
    return run, write_lake(views, folder / "lake", 3), views


def write_lake(views, folder, files):
    """The vectors of views in so many Parquet files."""
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(views)), files)):
        columns = {name: pa.array([list(map(float, views[name][int(row)])) for row in rows]) for name in views.columns}
        pq.write_table(pa.table(columns), folder / f"part{number}.parquet")
    return folder


def vectors_of(table, name):
    return np.array(table[name].to_pylist(), np.float32)


def test_each_row_has_its_vectors_and_holes_stay(things, tmp_path):
    run, table = things
    done = run.embed(table, out=tmp_path / "all.parquet")
    written = pq.read_table(done.path)
    views = run.read(table)
    assert written["row"].to_pylist() == views.rows.tolist()
    assert done.rows == len(views) == 60
    assert written["key"].to_pylist() == [str(key) for key in views.key]
    assert [entry["row"] for entry in done.bad_rows] == [7]
    for name, z in run.model.embed(views).items():
        cells = written[name].to_pylist()
        present = views.present[name]
        assert [cell is not None for cell in cells] == present.tolist()
        np.testing.assert_array_equal(np.array([c for c in cells if c is not None], np.float32), z[present])
    assert written["photo"][7].as_py() is None
    about = json.loads(written.schema.metadata[b"bouba"])
    assert about["views"] == {"photo": "image", "caption": "text"}
    assert about["compared_by"] == "cosine"


def test_lance_holds_what_parquet_holds(things, tmp_path):
    run, table = things
    run.embed(table, out=tmp_path / "all.parquet")
    run.embed(table, out=tmp_path / "all.lance")
    stored = lancedb.connect(tmp_path).open_table("all")
    assert stored.to_arrow().to_pylist() == pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert {file.name for file in tmp_path.iterdir()} == {"all.parquet", "all.lance"}


@pytest.mark.parametrize("give", [lambda lake: lake, lambda lake: sorted(lake.iterdir())], ids=["folder", "files"])
def test_a_lake_is_embedded_file_by_file(numbers, tmp_path, monkeypatch, give):
    run, lake, views = numbers
    monkeypatch.setattr(blocks, "AT_ONCE", 16)
    done = run.embed(give(lake), out=tmp_path / "all.parquet")
    written = pq.read_table(done.path)
    files = sorted(map(str, lake.iterdir()))
    assert written["table"].to_pylist() == [file for file in files for _ in range(30)]
    assert written["row"].to_pylist() == [*range(30)] * 3
    for name, z in run.model.embed(views).items():
        np.testing.assert_allclose(vectors_of(written, name), z, atol=1e-6)


def test_views_are_embedded_in_their_order(numbers, tmp_path, monkeypatch):
    run, _, views = numbers
    monkeypatch.setattr(blocks, "AT_ONCE", 16)
    shuffled = views[np.random.default_rng(0).permutation(len(views))]
    written = pq.read_table(run.embed(shuffled, out=tmp_path / "all.parquet").path)
    assert written["row"].to_pylist() == shuffled.rows.tolist()


def test_what_was_cut_off_goes_on_and_is_not_done_twice(numbers, tmp_path, monkeypatch):
    run, lake, _ = numbers
    monkeypatch.setattr(blocks, "AT_ONCE", 16)
    run.embed(lake, out=tmp_path / "whole.parquet")
    embed, done = Embedder.__call__, []

    def until_the_third(self, block):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(block)
        return embed(self, block)

    monkeypatch.setattr(Embedder, "__call__", until_the_third)
    with pytest.raises(Stopped, match="the blocks that are done are kept; the same command goes on"):
        run.embed(lake, out=tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()
    first = list(done)
    monkeypatch.setattr(Embedder, "__call__", lambda self, block: done.append(block) or embed(self, block))
    lines = []
    run.embed(lake, out=tmp_path / "all.parquet", say=lines.append)
    assert lines[0] == "embed: goes on, 3 of 6 blocks were done before"
    assert len(done) == len(set(done)) == 6
    assert done[:3] == first
    assert pq.read_table(tmp_path / "all.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert not (tmp_path / "all.parquet.part").exists()


def test_blocks_of_another_table_are_not_mixed_in(numbers, tmp_path, monkeypatch):
    run, lake, _ = numbers
    part = tmp_path / "all.parquet.part"
    part.mkdir()
    (part / "plan.json").write_text('{"format": 1}')
    pq.write_table(pa.table({"row": [99]}), part / Block(0, 0, 16).name)
    run.embed(lake, out=tmp_path / "all.parquet")
    assert 99 not in pq.read_table(tmp_path / "all.parquet")["row"].to_pylist()


def test_a_view_that_no_table_has_is_no_column(things, tmp_path):
    run, _ = things
    words = tmp_path / "words.csv"
    words.write_text("caption\na red circle\na blue bar\n")
    written = pq.read_table(run.embed(words, out=tmp_path / "words.parquet").path)
    assert written.column_names == ["row", "key", "caption"]


def test_what_cannot_be_written_is_refused_before_anything_is(numbers, tmp_path):
    run, lake, _ = numbers
    with pytest.raises(UsageError, match=r"vectors\.csv ends in no \.parquet or \.lance"):
        run.embed(lake, out=tmp_path / "vectors.csv")
    (tmp_path / "there.parquet").touch()
    with pytest.raises(UsageError, match="exists; choose another -o, or say --overwrite"):
        run.embed(lake, out=tmp_path / "there.parquet")
    run.embed(lake, out=tmp_path / "there.parquet", overwrite=True)
    assert pq.read_metadata(tmp_path / "there.parquet").num_rows == 90
    with pytest.raises(UsageError, match="no engine 'rays'; did you mean 'ray'"):
        run.embed(lake, out=tmp_path / "other.parquet", engine="rays")
    with pytest.raises(UsageError, match="--workers is for --engine ray"):
        run.embed(lake, out=tmp_path / "other.parquet", workers=2)
    (lake / "broken.parquet").write_text("no Parquet")
    try:
        with pytest.raises(DataError, match=r"broken\.parquet is not a Parquet file"):
            run.embed(lake, out=tmp_path / "other.parquet")
    finally:
        (lake / "broken.parquet").unlink()
    assert not list(tmp_path.glob("other*"))
