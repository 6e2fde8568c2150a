"""Tables that are larger than memory: mapped columns say what columns in memory say, wherever the files lie."""

import io
import json
import os
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bouba.data import disk, read, scratch
from bouba.data.block_shuffle import block_of, block_permutation
from bouba.data.formats.parts import Part
from bouba.data.mapped import MappedArray, OnDisk
from bouba.data.tables import open_table
from bouba.errors import DataError, StorageError

N, WIDTH = 60, 4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / disk.ROOM


@pytest.fixture
def all_large(monkeypatch):
    """Every column counts as large."""
    monkeypatch.setattr(scratch, "LARGE", 1)


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (6, 5), (4 * number, 90, 200 - number)).save(file, "PNG")
    return file.getvalue()


def columns():
    """Pictures, one of them broken; captions; vectors with a row missing, a NaN and integers beyond float32."""
    random = np.random.default_rng(0)
    vectors = [row.tolist() for row in random.normal(size=(N, WIDTH)).astype(np.float32)]
    gaps = list(vectors)
    gaps[3], gaps[5] = None, [0.0, float("nan"), 1.0, 2.0]
    pictures = [picture(i) for i in range(N)]
    pictures[7], pictures[9] = b"no picture", None
    return {
        "photo": pictures,
        "stored": [{"bytes": cell, "path": f"{i}.png"} for i, cell in enumerate([picture(i) for i in range(N)])],
        "caption": [None if i == 2 else f"thing number {i} of many" for i in range(N)],
        "full": vectors,
        "gaps": gaps,
        "ragged": [row[:3] if i == 11 else row for i, row in enumerate(vectors)],
        "long": [[2**24 + 1 + i, 2, 3] for i in range(N)],
        "price": [None if i == 4 else 1.5 * i for i in range(N)],
        "count": [None if i == 6 else 2**53 + 1 + i for i in range(N)],
        "class": ["a" if i % 2 else "b" for i in range(N)],
    }


NAMED = {"image": ["photo", "stored"], "vector": ["full", "gaps", "ragged", "long"], "label": "class", "key": "count"}


def same(one, other):
    assert one.modalities == other.modalities
    assert one.bad_rows == other.bad_rows
    for name in one.columns:
        assert np.array_equal(one.present[name], other.present[name]), name
        for row in np.flatnonzero(one.present[name]).tolist():
            a, b = one[name][row], other[name][row]
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, (name, row)
            assert getattr(a, "dtype", None) == getattr(b, "dtype", None), name
    for name in ("y", "meta"):
        assert repr({k: list(v) for k, v in getattr(one, name).items()}) == repr(
            {k: list(v) for k, v in getattr(other, name).items()}
        )
    assert list(one.key) == list(other.key)


def parquet(folder, table=None, **options):
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns()) if table is None else table, path, **options)
    return path


def test_large_columns_say_what_small_ones_say(tmp_path, monkeypatch, cache):
    path = parquet(tmp_path, row_group_size=17)
    in_memory = read(path, **NAMED)
    assert not cache.exists()
    monkeypatch.setattr(scratch, "LARGE", 1)
    on_disk = read(path, **NAMED)
    assert {file.name for file in cache.rglob("*.*") if file.is_file()} >= {"numbers.npy", "present.npy", "cells.arrow"}
    same(in_memory, on_disk)
    assert {bad["row"]: bad["column"] for bad in on_disk.bad_rows} == {5: "gaps", 7: "photo", 11: "ragged"}
    assert isinstance(on_disk["full"].values, MappedArray)
    assert isinstance(on_disk["photo"].values, OnDisk)
    assert on_disk["long"][0].tolist() == [2**24 + 1, 2, 3]


def test_only_columns_that_are_read_are_copied(tmp_path, all_large, cache):
    path = parquet(tmp_path)
    read(path, vector="full", text="caption", image="photo", ignore=["stored", "gaps", "ragged", "long", "price"])
    arrows = [file for file in cache.rglob("cells.arrow") if pa.ipc.open_file(str(file)).schema.names == ["stored"]]
    assert not arrows


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
def test_feather_is_mapped_where_it_lies_unless_it_is_compressed(tmp_path, all_large, cache, compression):
    table = pa.table({"photo": [picture(i) for i in range(N)], "caption": columns()["caption"]})
    pyarrow.feather.write_feather(table, tmp_path / "t.feather", compression=compression)
    views = read(tmp_path / "t.feather")
    assert views.modalities == {"photo": "image", "caption": "text"}
    assert views["photo"][5] == picture(5)
    assert bool(list(cache.rglob("cells.arrow"))) == (compression != "uncompressed")


def test_streams_of_datasets_are_read(tmp_path, all_large):
    table = pa.table({"caption": columns()["caption"], "full": columns()["full"]})
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as out:
        out.write_table(table, max_chunksize=7)
    views = read(tmp_path / "data.arrow")
    assert views.shape == (N, 2)
    assert views["caption"][5] == "thing number 5 of many"


def shards(folder, n=3):
    table = pa.table({name: columns()[name] for name in ("photo", "caption", "full", "class")})
    folder.mkdir()
    (folder / "_SUCCESS").write_text("")
    for number in range(n):
        pq.write_table(table.slice(number * N // n, N // n), folder / f"part-{number}.parquet")
    return folder


@pytest.mark.parametrize("as_source", [str, lambda f: f"{f}/*.parquet", lambda f: sorted(f.glob("*.parquet"))])
def test_parts_of_one_table(tmp_path, all_large, as_source):
    folder = shards(tmp_path / "lake")
    views = read(as_source(folder), label="class")
    whole = pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("*.parquet"))])
    assert len(views) == N
    assert views["photo"][41] == picture(41)
    assert views.y["class"].tolist() == whole["class"].to_pylist()
    assert np.array_equal(views["full"][59], np.float32(whole["full"].to_pylist()[59]))


def test_a_part_with_other_columns_is_named(tmp_path):
    folder = shards(tmp_path / "lake")
    pq.write_table(pa.table({"caption": ["x"]}), folder / "part-9.parquet")
    with pytest.raises(DataError, match=r"part-9.parquet has the columns caption, and part-0.parquet has photo, capt"):
        read(folder)


def test_a_pattern_that_nothing_fits(tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder: .*\*.parquet"):
        read(str(tmp_path / "*.parquet"))


def test_parts_far_away(tmp_path, all_large):
    fsspec = pytest.importorskip("fsspec")
    storage = fsspec.filesystem("memory")
    storage.put(str(shards(tmp_path / "lake")), "/bucket/lake", recursive=True)
    here = read(tmp_path / "lake", label="class")
    for address in ("memory://bucket/lake", "memory://bucket/lake/part-*.parquet"):
        far = read(address, label="class")
        assert far.y["class"].tolist() == here.y["class"].tolist()
        assert far["photo"][41] == here["photo"][41]
    with pytest.raises(DataError, match="no such file or folder: memory://bucket/nothing"):
        read("memory://bucket/nothing")
    with storage.open("/bucket/t.csv", "w") as file:
        file.write("caption,price\na red apple,1\na green pear,2\n")
    assert read("memory://bucket/t.csv")["caption"][1] == "a green pear"


def test_lance_without_pylance(tmp_path, all_large):
    lancedb = pytest.importorskip("lancedb")
    table = pa.table({name: columns()[name] for name in ("photo", "caption", "class")})
    table = table.append_column(
        "full", pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(columns()["full"]), pa.float32()), WIDTH)
    ).rename_columns(["photo", "a caption", "class", "full"])
    lancedb.connect(str(tmp_path)).create_table("things", table)
    views = read(tmp_path / "things.lance", label="class")
    assert views.modalities == {"photo": "image", "a caption": "text", "full": "vector"}
    assert views["photo"][41] == picture(41)
    (tmp_path / "none.lance").mkdir()
    with pytest.raises(DataError, match=r"none.lance is no table of LanceDB"):
        read(tmp_path / "none.lance")


def archive(path, rows):
    with tarfile.open(path, "w") as out:
        for name, content in rows:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))


def web_dataset(folder):
    for shard in range(2):
        rows = []
        for i in range(shard * 10, shard * 10 + 10):
            rows += [(f"s/{i:04d}.png", picture(i)), (f"s/{i:04d}.txt", f"thing {i} of many".encode())]
            rows += [(f"s/{i:04d}.cls", str(i % 2).encode()), (f"s/{i:04d}.json", json.dumps({"price": i}).encode())]
            rows += [(f"s/{i:04d}.odd", b"?")]
        archive(folder / f"{shard:03d}.tar", rows[:-1] if shard else rows[1:])
    return folder


def test_web_dataset(tmp_path, caplog):
    folder = tmp_path / "web"
    folder.mkdir()
    views = read(web_dataset(folder))
    assert views.modalities == {"image": "image", "txt": "text", "numbers": "vector"}
    assert views.present["image"].tolist() == [False] + 19 * [True]
    assert views["image"][13]["bytes"] == picture(13)
    assert views["image"][13]["path"].endswith("001.tar/s/0013.png")
    assert views["txt"][13] == "thing 13 of many"
    assert views.y["cls"].tolist() == [i % 2 for i in range(20)]
    assert "members of these endings are left out: 19 .odd" in caplog.text
    again = pickle.loads(pickle.dumps(views["image"]))
    assert again[13]["bytes"] == picture(13)


def test_web_dataset_far_away_and_damaged(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    folder = tmp_path / "web"
    folder.mkdir()
    fsspec.filesystem("memory").put(str(web_dataset(folder)), "/bucket/web", recursive=True)
    views = read("memory://bucket/web/*.tar")
    assert views["image"][13]["bytes"] == picture(13)
    (folder / "002.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match=r"002.tar is not a plain tar archive"):
        read(folder)


def test_a_record_that_is_none_is_listed(tmp_path):
    archive(
        tmp_path / "t.tar", [("1.png", picture(1)), ("1.json", b"{"), ("2.png", picture(2)), ("2.json", b'{"n": 1}')]
    )
    views = read(tmp_path / "t.tar", image="image")
    assert [(bad["row"], bad["column"]) for bad in views.bad_rows] == [(0, "json")]


def test_columns_are_pickled_by_name(tmp_path, all_large):
    views = read(parquet(tmp_path), **NAMED)
    for name in ("photo", "full", "stored"):
        pickled = pickle.dumps(views[name])
        assert len(pickled) < 20_000
        column = pickle.loads(pickled)
        assert np.array_equal(column[20], views[name][20])
    part = pickle.loads(pickle.dumps(views["full"].values[3:5]))
    assert np.array_equal(part, views["full"].values[3:5])


def test_a_changed_file_is_copied_anew(tmp_path, all_large, cache):
    path = parquet(tmp_path, pa.table({"v": [[1.0, 2.0]] * 4, "caption": ["a b c"] * 4}))
    assert read(path)["v"][0].tolist() == [1.0, 2.0]
    parquet(tmp_path, pa.table({"v": [[3.0, 4.0]] * 4, "caption": ["a b c"] * 4}))
    os.utime(path, ns=(1, 1))
    assert read(path)["v"][0].tolist() == [3.0, 4.0]


def test_what_nobody_used_goes_before_the_disk_is_full(tmp_path, monkeypatch, cache):
    def filled(key, size):
        return disk.kept(key, lambda folder: (folder / "x").write_bytes(bytes(size)), size=size, what=key)

    usage = lambda path: type("Usage", (), {"free": 1000})  # noqa: E731
    monkeypatch.setattr(disk.shutil, "disk_usage", usage)
    old, new = filled("old", 300), filled("new", 300)
    os.utime(old, (1, 1))
    filled("third", 800)
    assert [old.exists(), new.exists()] == [False, True]
    with pytest.raises(
        StorageError, match=r"fourth takes 0.0 GB on disk, .* set BOUBA_CACHE to a folder on a larger disk"
    ):
        filled("fourth", 1200)
    assert new.exists(), "it was used today"


def test_nothing_half_stays_and_dead_writers_are_swept(tmp_path, cache):
    def broken(folder):
        (folder / "x").write_text("half")
        raise DataError("the source broke")

    with pytest.raises(DataError, match="the source broke"):
        disk.kept("key", broken, size=1, what="x")
    assert [entry for entry in cache.iterdir() if entry.is_dir()] == []
    (cache / ".part-999999999-x").mkdir()
    disk.make_room(1, "x")
    assert not (cache / ".part-999999999-x").exists()


def test_scratch_is_an_array_of_zeros_without_a_name(tmp_path, all_large, cache):
    array = scratch.zeros((50, 3), np.float32)
    assert isinstance(array, np.memmap)
    assert not array.any()
    array[7] = 1
    assert scratch.taken(array, np.array([7, 8])).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert scratch.placed(array[7:8], np.array([2]), 4).tolist() == [[0] * 3, [0] * 3, [1] * 3, [0] * 3]
    assert [file for file in cache.iterdir() if not file.name.endswith(".lock")] == []


def test_bytes_that_nobody_reads_are_left_in_the_file(tmp_path, all_large):
    columns_of = open_table(parquet(tmp_path)).columns
    assert columns_of["photo"].cells is None
    assert len(columns_of["photo"]) == N


def test_rows_far_away_are_fetched_by_blocks(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    archive(
        tmp_path / "t.tar",
        [part for i in range(300) for part in ((f"{i:03d}.png", picture(i % 50)), (f"{i:03d}.txt", b"a b"))],
    )
    fsspec.filesystem("memory").put(str(tmp_path / "t.tar"), "/bucket/t.tar")
    views = pickle.loads(pickle.dumps(read("memory://bucket/t.tar")))  # without what reading headers fetched
    fetches = []
    contents = Part.contents
    monkeypatch.setattr(Part, "contents", lambda self, places: fetches.append(places) or contents(self, places))
    block = block_of(views)
    order = block_permutation(np.arange(300), np.random.default_rng(0), block, at_once=2)
    assert sorted(order.tolist()) == list(range(300))
    assert all(views["image"][row]["bytes"] == picture(row % 50) for row in order.tolist())
    assert len(fetches) == -(-300 // block)
    assert block_of(read(tmp_path / "t.tar")) is None


@pytest.mark.parametrize("block", [None, 7, 50])
def test_block_permutation_is_one(block):
    rows = np.arange(700, 1050)
    one, other = (block_permutation(rows, np.random.default_rng(seed), block, at_once=2) for seed in (0, 1))
    assert sorted(one.tolist()) == sorted(other.tolist()) == rows.tolist()
    assert one.tolist() != other.tolist()
    if block is None:
        assert one.tolist() == np.random.default_rng(0).permutation(rows).tolist()
    else:
        first = one[: 2 * block] // block
        assert len(set(first.tolist())) == 2, "the first rows are of the first two blocks"
