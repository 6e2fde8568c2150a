"""Rows of later tables in the index of a run: only what is new is encoded, and is found like what was there."""

import csv
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import twin_vectors, write_things

from bouba import Run
from bouba.errors import DataError, ModalityError, Stopped, UsageError
from bouba.runs import blocks
from bouba.runs.adding import difference
from bouba.runs.blocks import Embedder
from bouba.runs.indexed_rows import indexed_rows
from bouba.runs.indexing import write_search
from bouba.runs.migrating import migrate
from bouba.search import Index

pytest.importorskip("lancedb")
pytest.importorskip("plotly")
READ = {"text": "caption", "image": "photo", "label": "label"}


def rows_of(table):
    with open(table, newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        out.writeheader()
        out.writerows(rows)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of the first forty of sixty pictures with captions and numbers `id`, and a table of all of them."""
    folder = tmp_path_factory.mktemp("adding")
    every = [row | {"id": str(100 + n)} for n, row in enumerate(rows_of(write_things(folder)))]
    table = write(folder / "all.csv", every)
    first = write(folder / "first.csv", every[:40])
    Run.fit(first, method="cca", out=folder / "run", read=READ, baseline=False, ridge=0.1)
    return folder, first, table, every


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run, to be changed."""
    shutil.copytree(made[0] / "run", tmp_path / "run")
    return Run.open(tmp_path / "run")


@pytest.fixture
def encoded(monkeypatch):
    """The rows that reach a model, block by block."""
    counts, embed = [], blocks._vectors
    monkeypatch.setattr(blocks, "_vectors", lambda model, part: counts.append(len(part)) or embed(model, part))
    return counts


def counts(done):
    return done.added, done.replaced, done.unchanged, done.removed


def cells(index):
    """All that an index holds but for the numbers of its rows."""
    stored = index._table.to_arrow().sort_by([("id", "ascending"), ("_view", "ascending")])
    return stored.drop_columns(["_row", "_vector"]).to_pylist(), np.array(stored["_vector"].to_pylist())


def test_the_table_of_the_fit_is_there_already(run, made, encoded):
    done = run.add(made[1])
    assert (counts(done), encoded, done.version, done.rows) == ((0, 0, 40, 0), [], 1, 40)
    assert [entry["row"] for entry in done.bad_rows] == [7]


def test_what_is_added_is_as_if_it_had_been_there_at_fit(run, made, encoded, tmp_path):
    before = Run.open(run.path)
    before.search("a red circle")
    done = run.add(made[2])
    assert (counts(done), encoded, done.version, done.rows) == ((20, 0, 40, 0), [20], 2, 60)
    assert "rows are told apart by 'id'" in done.remarks
    write_search(run.model, run.read(made[2]), tmp_path / "whole", known=run.read(made[1]))
    shutil.copytree(run.path / "known", tmp_path / "whole" / "known", dirs_exist_ok=True)
    whole = Index.open(tmp_path / "whole" / "index")
    (records, vectors), (expected, wide) = cells(run.index), cells(whole)
    assert records == expected
    np.testing.assert_allclose(vectors, wide, atol=1e-6)
    found = run.search("a blue bar", k=60)
    assert [hit.row for hit in found] == [hit.row for hit in Run.open(run.path).search("a blue bar", k=60)]
    assert {hit.columns["id"] for hit in found} == {100 + n for n in range(60)}
    assert len(before.search("a red circle", k=60)) == 40  # who had it open reads on
    assert counts(run.add(made[2])) == (0, 0, 60, 0)
    assert not (run.path / "index.part").exists()


def test_a_row_of_a_known_id_is_replaced_and_keeps_its_number(run, made, encoded, tmp_path):
    every = [dict(row) for row in made[3][:40]]
    every[3]["caption"], every[5]["label"] = "a purple hexagon", "other"
    changed = write(made[0] / "changed.csv", every[::-1])
    done = run.add(changed)
    assert (counts(done), encoded) == ((0, 2, 38, 0), [2])
    ids = dict(zip(run.index.listing.rows.tolist(), run.index.listing.texts("id")))
    assert ids == {n: 100 + n for n in range(40)}
    assert run.index.listing.texts("caption")[3] == "a purple hexagon"
    assert [each.change for each in run.index.versions()] == ["made", "2 replaced"]


def test_without_ids_equal_rows_pair_off(made, tmp_path, encoded):
    rows = [{name: row[name] for name in ("photo", "caption", "label")} for row in made[3]]
    first = write(made[0] / "plain.csv", [*rows[:30], rows[0]])
    run = Run.fit(first, method="cca", out=tmp_path / "run", read=READ, baseline=False, ridge=0.1)
    encoded.clear()
    assert counts(run.add(write(made[0] / "more.csv", [rows[0], rows[0], rows[0], rows[40]]))) == (2, 0, 2, 0)
    assert counts(run.add(write(made[0] / "same.csv", [rows[0], rows[1]]))) == (0, 0, 2, 0)
    assert counts(run.add(remove=write(made[0] / "gone.csv", [rows[0], rows[59]]))) == (0, 0, 0, 1)
    assert counts(run.add(made[0] / "plain.csv", sync=True)) == (0, 0, 31, 1)
    assert (encoded, run.index.rows) == ([2], 31)
    with pytest.raises(UsageError, match="no column 'id'"):
        run.add(first, id="id")
    with pytest.raises(UsageError, match="column 'caption' has one value, or none, in several rows of the index"):
        run.add(first, id="caption")


def test_a_picture_that_changed_under_its_name_is_another(run, made, encoded):
    folder = made[0]
    (folder / "kept.png").write_bytes((folder / "thing00.png").read_bytes())
    shutil.copy(folder / "thing01.png", folder / "thing00.png")
    try:
        assert (counts(run.add(made[1])), encoded) == ((0, 1, 39, 0), [1])
    finally:
        shutil.move(folder / "kept.png", folder / "thing00.png")


def test_rows_leave_by_id_by_content_and_by_sync(run, made, tmp_path):
    ids = tmp_path / "gone.csv"
    ids.write_text("id\n100\n139\n999\n")
    done = run.add(remove=ids)
    assert (counts(done), done.rows) == ((0, 0, 0, 2), 38)
    later = write(made[0] / "later.csv", made[3][30:50])
    assert counts(run.add(later, remove=write(made[0] / "old.csv", made[3][1:6]))) == (11, 0, 9, 5)
    assert counts(run.add(later, sync=True)) == (0, 0, 20, 24)
    assert set(run.index.listing.texts("id")) == set(range(130, 150))
    with pytest.raises(UsageError, match="nothing would be left"):
        run.add(remove=later)
    assert run.index.rows == Run.open(run.path).index.rows == 20


def test_a_table_that_lacks_views_has_others_columns_or_bad_values(run, made, tmp_path):
    table = tmp_path / "odd.csv"
    table.write_text("id,caption,label,price\n501,a red circle,circle,3\nsix,a blue bar,bar,4\n503,,bar,4\n")
    done = run.add(table)
    assert counts(done) == (2, 0, 0, 0)
    empty, bad = done.bad_rows
    assert (empty["row"], bad["row"], bad["column"], bad["value"]) == (2, 1, "id", "six")
    assert "no whole number, as the index has in this column" in bad["reason"]
    assert done.remarks[:2] == [
        "left out, because the index has no such column: price; bouba fit makes one that has",
        "the table has no 'photo'; its rows are found by caption",
    ]
    assert run.search("a red circle", k=99, equals={"id": 501})[0].columns["caption"] == "a red circle"
    assert counts(run.add(table)) == (0, 0, 2, 0)
    table.write_text("id,caption\n501,a red circle\nsix,a blue bar\n")
    with pytest.raises(DataError, match="row 1, column 'id': 'six' is no whole number"):
        run.add(table, strict=True)
    (tmp_path / "strange.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ModalityError):
        run.add(tmp_path / "strange.csv")
    (tmp_path / "twice.csv").write_text("id,caption\n501,a red circle\n501,a blue bar\n")
    with pytest.raises(DataError, match="column 'id' names several rows alike; --id names a column"):
        run.add(tmp_path / "twice.csv", id="id")
    assert "column 'id' names several rows alike, so rows are told apart" in run.add(tmp_path / "twice.csv").remarks[-1]
    with pytest.raises(UsageError, match="name a table of rows"):
        run.add(sync=True)


def test_rows_without_a_cell_that_can_be_read_are_passed_over(run, made, tmp_path):
    broken = bytearray((made[0] / "thing01.png").read_bytes())
    broken[45:60] = bytes(15)  # its header and its end are in order
    (tmp_path / "broken.png").write_bytes(broken)
    (tmp_path / "more.csv").write_text("id,photo,caption\n600,broken.png,\n601,broken.png,a red bar\n")
    done = run.add(tmp_path / "more.csv")
    assert counts(done) == (1, 0, 0, 0)
    assert [(entry["row"], entry["column"]) for entry in done.bad_rows] == [(0, "photo"), (1, "photo")]
    assert "1 rows have no cell that can be read, and were passed over" in done.remarks
    assert 600 not in run.index.listing.texts("id")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A run of two views of numbers over 20,000 rows, and these and 100 later ones as Parquet files."""
    folder = tmp_path_factory.mktemp("numbers")
    views = twin_vectors(20_100, d=3)
    columns = {name: pa.array(list(np.stack(list(views[name])).astype(np.float32))) for name in views.columns}
    whole = pa.table(columns | {"id": pa.array([f"n{i}" for i in range(20_100)])})
    for name, part in (("old", whole[:20_000]), ("new", whole[20_000:]), ("all", whole)):
        pq.write_table(part, folder / f"{name}.parquet")
    Run.fit(folder / "old.parquet", method="cca", out=folder / "run", baseline=False, holdout=0.01)
    return folder


def test_a_hundred_rows_more_of_twenty_thousand_encode_a_hundred(numbers, tmp_path, encoded):
    shutil.copytree(numbers / "run", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert (counts(run.add(numbers / "all.parquet")), encoded) == ((100, 0, 20_000, 0), [100])
    assert (counts(run.add([numbers / "old.parquet", numbers / "new.parquet"])), encoded) == ((0, 0, 20_100, 0), [100])


def test_what_was_cut_off_goes_on_and_is_not_encoded_twice(numbers, tmp_path, monkeypatch, encoded):
    shutil.copytree(numbers / "run", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    monkeypatch.setattr(blocks, "AT_ONCE", 16)
    embed = Embedder.__call__

    def until_the_third(self, block):
        if len(encoded) == 3:
            raise KeyboardInterrupt
        return embed(self, block)

    with monkeypatch.context() as dying:
        dying.setattr(Embedder, "__call__", until_the_third)
        with pytest.raises(Stopped, match="the blocks that are done are kept; the same command goes on"):
            run.add(numbers / "new.parquet")
    assert Run.open(run.path).index.version == 1
    lines = []
    assert counts(run.add(numbers / "new.parquet", say=lines.append)) == (100, 0, 0, 0)
    assert "embed: goes on, 3 of 7 blocks were done before" in lines
    assert sum(encoded) == 100


def test_a_run_has_restored_and_compacted_versions(run, made):
    run.add(made[2])
    run.restore(1)
    assert counts(Run.open(run.path).add(made[1])) == (0, 0, 40, 0)
    assert run.index.rows == 40
    assert run.compact() > 0
    assert [each.change for each in run.index.versions()] == ["version 1 restored"]


def test_an_index_that_changed_is_not_migrated_by_its_first_table(run, made, tmp_path):
    few = write(made[0] / "few.csv", made[3][:6])
    for change, counted in (
        ({"table": made[2]}, r"added 20 rows .* removed 0"),
        ({"remove": few}, r"added 0 .* removed 6"),
    ):
        run.add(change.get("table"), remove=change.get("remove"))
        with pytest.raises(UsageError, match=f"{counted}.*--restore 1"):
            migrate(Run.open(run.path), tmp_path / "new", towers="packaged", say=print)
        run.restore(1)


def test_differences_are_what_a_loop_says():
    random = np.random.default_rng(0)
    for _ in range(200):
        held = dict(enumerate(random.choice([b"a", b"b", b"c"], random.integers(0, 8)).tolist()))
        wanted = random.choice([b"a", b"b", b"c", b"d"], random.integers(0, 8)).tolist()
        left, fresh, same = list(held), [], []
        for place, content in enumerate(wanted):
            equal = [row for row in left if held[row] == content]
            (same.append(equal[0]), left.remove(equal[0])) if equal else fresh.append(place)
        found = difference(wanted, held)
        assert (found.fresh.tolist(), found.same, set(found.numbers.tolist()) <= {-1}) == (fresh, same, True)
        assert found.matched == set(same)


def test_what_looks_for_twins_sees_rows_that_were_added(made, run, tmp_path):
    """The index is read where it is not the table any more; numbers are those of the index."""
    folder, _, _, every = made
    assert len(indexed_rows(run)) == 40
    before = {frozenset(group.rows) for group in run.duplicates()}
    twin = {**every[3], "id": "999"}
    run.add(write(folder / "twin.csv", [twin]))
    run = Run.open(run.path)
    views = indexed_rows(run)
    assert views.rows.tolist() == list(range(41))
    assert views["caption"][40] == every[3]["caption"]
    assert int(views.meta["id"][40]) == 999
    groups = {frozenset(group.rows) for group in run.duplicates()}
    assert groups != before
    assert any({3, 40} <= group for group in groups)
    z = run.model.embed(views)
    np.testing.assert_allclose(z["photo"][40], z["photo"][3], atol=1e-6)
