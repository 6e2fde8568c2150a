"""Everything a person calls a table: what is parsed, what is listed, what is refused."""

import csv
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import bouba
from bouba.data import read
from bouba.data.tables import open_table
from bouba.errors import DataError


def written(folder, name, text, **keywords):
    path = folder / name
    path.write_text(text, **{"encoding": "utf-8", **keywords})
    return path


def cells(table):
    return {name: [column[row] for row in range(len(column))] for name, column in table.columns.items()}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_separator_and_byte_order_mark(tmp_path, separator, encoding):
    text = separator.join(["title", "price", "size"]) + "\n" + separator.join(["红苹果", "1.5", "3"]) + "\n"
    table = open_table(written(tmp_path, "t.csv", text, encoding=encoding))
    assert list(table.columns) == ["title", "price", "size"]
    assert [column[0] for column in table.columns.values()] == ["红苹果", "1.5", "3"]
    assert table.base == tmp_path


def test_csv_rows_with_too_many_cells_are_listed_and_short_ones_filled(tmp_path):
    table = open_table(written(tmp_path, "t.csv", "a,b\nx,y\n\nto,o,many\nshort\nz,w\n"))
    assert cells(table) == {"a": ["x", "short", "z"], "b": ["y", "", "w"]}
    assert table.rows.tolist() == [0, 2, 3]
    [bad] = table.bad_rows
    assert bad == {
        "row": 1,
        "column": None,
        "value": "to,o,many",
        "reason": "3 cells where the header has 2 (line 4)",
    }


def test_csv_cells_keep_quotes_newlines_and_strange_separators(tmp_path):
    text = 'a,b\r\n"one\ntwo, ""three""",x\u2028y\r\nform\x0cfeed,z\r\n'
    table = open_table(written(tmp_path, "t.csv", text, newline=""))
    assert cells(table) == {"a": ['one\ntwo, "three"', "form\x0cfeed"], "b": ["x\u2028y", "z"]}


def test_csv_numbers_blanks_and_codes(tmp_path):
    table = open_table(written(tmp_path, "t.csv", "whole,gap,code,long\n1,2,007,12345678901234567\n-2,,010,1\n"))
    assert table.columns["whole"].typed.tolist() == [1, -2]
    assert table.columns["gap"].typed.tolist() == [2, None]
    np.testing.assert_array_equal(table.columns["gap"].numbers.values, [2, np.nan])
    assert table.columns["code"].typed is None  # 7 and 007 are two articles
    assert table.columns["long"].typed is None  # more digits than a float has


def test_one_column_and_tsv(tmp_path):
    assert cells(open_table(written(tmp_path, "t.csv", "title\na cat\n"))) == {"title": ["a cat"]}
    assert cells(open_table(written(tmp_path, "t.tsv", "title\tprice, net\nx\ty\n")))["price, net"] == ["y"]


def test_jsonl_with_broken_lines(tmp_path):
    lines = ['{"a": "x\u2028y", "v": [1, 2]}', "{broken", "[1]", "", '{"a": "z", "late": true}']
    table = open_table(written(tmp_path, "t.jsonl", "\n".join(lines)))
    assert table.columns == {"a": ["x\u2028y", "z"], "v": [[1, 2], None], "late": [None, True]}
    assert table.rows.tolist() == [0, 3]
    assert [bad["row"] for bad in table.bad_rows] == [1, 2]
    assert table.bad_rows[0]["reason"].startswith("not JSON: Expecting property name")
    assert table.bad_rows[1]["reason"] == "not JSON: not an object"


def test_parquet(tmp_path, png):
    frame = pd.DataFrame({"photo": [png(), None], "n": [1, None], "name": ["a", "b"], "v": [[1.0, 2.0], [3.0, 4.0]]})
    frame.to_parquet(tmp_path / "t.parquet")
    columns = open_table(tmp_path / "t.parquet").columns
    assert columns["photo"][0] == png()
    assert columns["photo"][1] is None
    assert columns["v"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    np.testing.assert_array_equal(columns["n"], [1, np.nan])


def test_npy_and_arrays(tmp_path):
    np.save(tmp_path / "left.npy", np.eye(3))
    assert open_table(tmp_path / "left.npy").columns["left"].shape == (3, 3)
    assert list(open_table([np.eye(3), ["a", "b", "c"]]).columns) == ["view0", "view1"]
    assert list(open_table(np.eye(3)).columns) == ["view0"]


def test_series_go_by_place_and_tensors_become_arrays():
    series = pd.Series(["a", "b", "c"])[1:]  # its labels are 1 and 2
    table = open_table({"s": series, "t": torch.eye(2)})
    assert table.columns["s"].tolist() == ["b", "c"]
    assert isinstance(table.columns["t"], np.ndarray)


def test_frames_keep_times_as_text():
    times = pd.DataFrame({"when": pd.to_datetime(["2020-01-02"]).astype("datetime64[ns]"), "n": [1]})
    table = open_table(times)
    assert table.columns["when"][0].startswith("2020-01-02")
    assert table.columns["n"].dtype.kind == "i"


def test_folders(tmp_path, pictures):
    (pictures / "more").mkdir()
    (pictures / "a.png").rename(pictures / "more" / "red_thing.PNG")
    table = open_table(pictures)
    place = table.columns["image"].index("more/red_thing.PNG")
    assert (table.columns["name"][place], table.columns["label"][place]) == ("red thing", "more")
    written(pictures, "metadata.csv", "file_name,title\nb.png,bee\n")
    assert cells(open_table(pictures)) == {"file_name": ["b.png"], "title": ["bee"]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "the table .*t.csv is empty: no row could be read; give it a header and a row or more"),
        ("t.csv", "a,b\n", "the table .*t.csv is empty"),
        ("t.csv", "a,b,a\n1,2,3\n", "t.csv has two columns or more named 'a'; rename one"),
        (
            "t.csv",
            'a,b\n"' + "x" * 200_000,
            "t.csv is empty: no row could .*; row 0: a quote opens in line 2 and never",
        ),
        ("t.jsonl", "", "the table .*t.jsonl is empty"),
        ("t.parquet", "", "t.parquet is not a Parquet file"),
        ("t.parquet", "no such thing", "t.parquet is not a Parquet file"),
        ("t.npy", "no such thing", "t.npy is not an array of numbers as numpy.save writes it"),
        ("t.npy", "", "t.npy is not an array of numbers"),
        ("t.xlsx", "", "cannot read t.xlsx: .xlsx ending; there is .csv, .tsv, .*, or a folder"),
    ],
)
def test_refused_files(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        open_table(written(tmp_path, name, text))


def test_refused_encodings_shapes_and_places(tmp_path):
    with pytest.raises(DataError, match=r"is not UTF-8 text .* save it as UTF-8"):
        open_table(written(tmp_path, "t.csv", "a\nä\n", encoding="latin-1"))
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match=r"cube.npy holds an array of shape \(2, 2, 2\); a view is \(rows, numbers\)"):
        open_table(tmp_path / "cube.npy")
    with pytest.raises(DataError, match=r"no such file or folder: .*gone.csv"):
        open_table(tmp_path / "gone.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"no picture, sound or clip and no metadata.csv in .*empty; give a table that names the files"
    ):
        open_table(tmp_path / "empty")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "cannot read a int; give a path, a mapping of columns"),
        ({}, "the table is empty"),
        ({"a": []}, "the table is empty"),
        ({"a": [1, 2], "b": [1]}, "columns have unequal lengths: 'a' 2, 'b' 1; give every column all rows"),
        (["a cat", "a dog"], "column 'view0' is a str; give an array or a list with one cell a row"),
        ([{"a": 1}], "column 'view0' is a dict; .*for a list of records, a DataFrame"),
        ({"a": 3}, "column 'a' is a int"),
    ],
)
def test_refused_objects(source, message):
    with pytest.raises(DataError, match=message):
        open_table(source)


def test_json_lines_survive_a_round_trip(tmp_path):
    records = [{"a": "红", "v": [1.0]}, {"a": "x", "v": [2.0]}]
    path = written(tmp_path, "t.ndjson", "\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    assert open_table(path).columns == {"a": ["红", "x"], "v": [[1.0], [2.0]]}


def test_numbered_files_have_no_names(tmp_path):
    for number in range(12):
        Image.new("RGB", (4, 4)).save(tmp_path / f"img_{number:03d}.png")
    views = bouba.read(tmp_path)
    assert views.modalities == {"image": "image"}
    assert views.meta["name"][3] == "img 003"


def test_a_cell_may_be_as_long_as_it_likes(tmp_path):
    long = "word " * 60_000
    (tmp_path / "t.csv").write_text(f"caption,x\n{long},1\nshort,2\n")
    views = read(tmp_path / "t.csv", text="caption")
    assert [len(caption) for caption in views["caption"]] == [len(long), 5]


def test_numbers_among_words_are_words_and_decimals_are_numbers(tmp_path):
    mixed = [7 if i % 10 == 3 else f"size {i}a" for i in range(40)]
    for cells in (mixed, mixed[3:]):  # whichever comes first
        views = read({"title": [f"a thing number {i}" for i in range(len(cells))], "size": cells})
        assert views.modalities["title"] == "text"
        assert views.modalities.get("size", "text") == "text"
    prices = [Decimal("1.10"), Decimal("2.25"), None]
    views = read({"price": prices, "title": ["a cat", "a dog", "a cow"]}, vector="price", text="title")
    assert [views["numbers"][i].tolist() for i in range(2)] == [[pytest.approx(1.1)], [pytest.approx(2.25)]]
    assert views.present["numbers"].tolist() == [True, True, False]
    assert read({"price": prices, "title": ["a cat", "a dog", "a cow"]}).modalities["title"] == "text"


@pytest.mark.parametrize("quoted", [(5, 20), (5,), (28, 29), (0, 1, 2)])
@pytest.mark.parametrize(("separator", "name"), [("\t", "t.tsv"), (",", "t.csv"), (";", "t.csv")])
def test_a_lone_quote_swallows_no_row(tmp_path, quoted, separator, name):
    lines = [f"n{i}{separator}{chr(34) if i in quoted else ''}a round thing number {i}" for i in range(30)]
    path = written(tmp_path, name, "\n".join([f"name{separator}caption", *lines]) + "\n")
    table = open_table(path)
    assert list(table.columns["name"]) == [f"n{i}" for i in range(30)]
    assert table.columns["caption"][quoted[0]] == f'"a round thing number {quoted[0]}'
    assert not table.bad_rows


def test_a_quote_that_never_closes_costs_one_row_which_is_listed(tmp_path):
    text = 'id,caption\n1,one\n2,two\n3,"three, and more\n4,four\n5,five\n'
    table = open_table(written(tmp_path, "t.csv", text))
    assert cells(table)["id"] == ["1", "2", "4", "5"]
    assert [(bad["row"], bad["reason"]) for bad in table.bad_rows] == [(2, "a quote opens in line 4 and never closes")]
    assert table.rows.tolist() == [0, 1, 3, 4]


def test_cells_of_several_lines_stay_whole(tmp_path):
    for separator, name in (("\t", "t.tsv"), (",", "t.csv")):
        text = f'id{separator}caption\n1{separator}"two lines\nin one, cell"\n2{separator}"x\n\ny, z"\n'
        table = open_table(written(tmp_path, name, text))
        assert list(table.columns["caption"]) == ["two lines\nin one, cell", "x\n\ny, z"]
    rows = [["1", "a, b\nc, d", "x"], ["2", 'say "so",\nthen', "y"]]
    with (tmp_path / "w.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "caption", "z"], *rows])
    assert list(open_table(tmp_path / "w.csv").columns["caption"]) == [row[1] for row in rows]
