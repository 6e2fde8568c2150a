"""Text of a file becomes numbers, vectors and names where a column is used as such, and not before."""

import gzip
import json
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import bouba
from bouba.data.written import Written, numbers_of, vector_of
from bouba.errors import DataError

THINGS = [f"a thing of sort {'abcdefgh'[i % 8]} and size {i}" for i in range(40)]


def table(folder, header, rows, separator=",", name="t.csv", **encoding):
    path = folder / name
    text = "\n".join([separator.join(header), *(separator.join(row) for row in rows)]) + "\n"
    path.write_text(text, **{"encoding": "utf-8", **encoding})
    return path


@pytest.fixture
def warned(caplog):
    caplog.set_level(logging.WARNING, logger="bouba")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("cells", "separator", "values", "form"),
    [
        (["1.5", "", "-2e-3", "+3"], ",", [1.5, np.nan, -0.002, 3], ""),
        (["1,5", "-0,25", "3"], ";", [1.5, -0.25, 3], "decimal commas"),
        (["1.234,5", "12.345.678,00", "7"], ";", [1234.5, 12345678, 7], "decimal commas"),
        (["1,5", "2,75", "3"], ",", [1.5, 2.75, 3], "decimal commas"),
        (["1,234.5", "12,345,678", "7.25"], ",", [1234.5, 12345678, 7.25], "commas between thousands"),
        (["1 234", "12\u202f345,5", "7"], ";", [1234, 12345.5, 7], "gaps between thousands"),
        (["1'234.5", "7"], ",", [1234.5, 7], "gaps between thousands"),
        (["12%", "3.5 %"], ",", [12, 3.5], "the unit %"),
        (["$3.50", "$1,200.00"], ",", [3.5, 1200], "the unit $"),
        (["3 kg", "2.5 kg", ""], ",", [3, 2.5, np.nan], "the unit kg"),
        (["\u22123", "4"], ",", [-3, 4], ""),
        (["1.5", "NA", "n/a", "NULL", "-", "?", ".", "#N/A", "NaN", "None"], ",", [1.5, *[np.nan] * 9], ""),
    ],
)
def test_numbers_however_they_are_written(cells, separator, values, form):
    numbers = numbers_of(cells, separator)
    np.testing.assert_array_equal(numbers.values, values)
    assert (numbers.form, dict(numbers.odd), numbers.words) == (form, {}, 0)


@pytest.mark.parametrize(
    "cell", ["1_000", "0x10", "١٢٣", "１２", "1e", "--1", "12 abcdefgh", "1.2.3", "one", "1,2,3,4"]
)
def test_what_is_no_number_is_said_and_its_row_listed(tmp_path, warned, cell):
    rows = [[str(i / 4), f'"{cell}"' if i == 7 else str(i / 3), THINGS[i]] for i in range(40)]
    path = table(tmp_path, ["a", "b", "title"], rows)
    guessed = bouba.read(path)
    assert guessed.modalities == {"title": "text", "numbers": "vector"}
    assert len(guessed["numbers"][0]) == 1
    assert warned() == [
        f"column 'b': 39 of 40 cells are numbers, but {cell!r} is no number; taken for text, not for numbers"
    ]
    named = bouba.read(path, vector=["a", "b"], text="title")
    assert [(bad["row"], bad["reason"]) for bad in named.bad_rows] == [(7, f"b: {cell!r} is no number")]
    assert named.present["numbers"].sum() == 39


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e400"])
def test_what_is_not_finite_is_listed_and_missing(tmp_path, cell):
    views = bouba.read(
        table(tmp_path, ["b", "title"], [[cell if i == 7 else str(i / 3), THINGS[i]] for i in range(40)])
    )
    assert [(bad["row"], bad["reason"]) for bad in views.bad_rows] == [(7, f"b: {cell!r} is not finite")]
    assert not views.present["numbers"][7]


def test_which_comma_is_meant_is_said_where_both_would_do(tmp_path, warned):
    rows = [[f'"{i + 1},234"', THINGS[i]] for i in range(40)]
    assert bouba.read(table(tmp_path, ["x", "title"], rows))["numbers"][0].tolist() == [1234]
    assert warned() == ["column 'x' is read with commas between thousands"]
    rows = [[f"{i + 1},234", THINGS[i]] for i in range(40)]
    assert bouba.read(table(tmp_path, ["x", "title"], rows, ";"))["numbers"][0].tolist() == [pytest.approx(1.234)]


@pytest.mark.parametrize("use", ["label", "domain", "key", "group", "meta"])
@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["007", "7"], ["007", "7"]),
        (["1234567890123456781", "1234567890123456782"], ["1234567890123456781", "1234567890123456782"]),
        (["1234567890123456781", ""], ["1234567890123456781", None]),
        (["NA", "US"], ["NA", "US"]),
        (["None", "nan"], ["None", "nan"]),
        (["True", "no"], ["True", "no"]),
        (["2021-03-01", "2021-03-02"], ["2021-03-01", "2021-03-02"]),
        (["1", "2"], [1, 2]),
        (["1", ""], [1, None]),
    ],
)
def test_what_is_about_rows_keeps_what_was_written(tmp_path, use, cells, kept):
    named = {} if use == "meta" else {use: "c"}
    path = table(tmp_path, ["c", "x", "title"], [[cell, "1.5", "a cat"] for cell in cells])
    views = bouba.read(path, vector="x", text="title", **named)
    got = {"label": views.y.get("c"), "meta": views.meta.get("c")}.get(use, getattr(views, use, None))
    assert got.tolist() == kept


def test_numbers_that_name_and_numbers_that_measure(tmp_path):
    path = table(tmp_path, ["v", "x"], [["1.10", "1"], ["1.1", "2"], ["1.2", "3"]])
    assert bouba.read(path, key="v", vector="x").things.tolist() == ["1.10", "1.1", "1.2"]
    assert bouba.read(path, label="v", vector="x").y["v"].tolist() == ["1.10", "1.1", "1.2"]  # 1.10 is another class
    assert bouba.read(path, vector="x").meta["v"].tolist() == [1.1, 1.1, 1.2]  # a filter says v < 1.15
    prices = table(tmp_path, ["v", "x"], [["1.50", "1"], ["2.00", "2"]])
    assert bouba.read(prices, label="v", vector="x").y["v"].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("name", "numbers", "speaks"),
    [
        ("", range(40), False),
        ("", range(1, 41), False),
        ("Unnamed: 0", range(40), False),
        ("index", range(40), False),
        ("rownames", range(7, 47), False),
        ("user_id", [i % 5 for i in range(40)], False),
        ("personId", [i % 5 for i in range(40)], False),
        ("ean", range(4006381333931, 4006381333971), False),
        ("zip", range(10115, 10155), False),
        ("t", range(40), True),
        ("phone number", range(4915112345000, 4915112345040), True),
    ],
)
def test_identifiers_are_no_features_unless_named(tmp_path, warned, name, numbers, speaks):
    rows = [[str(number), str(i / 7), THINGS[i]] for i, number in enumerate(numbers)]
    path = table(tmp_path, [name, "x", "title"], rows)
    assert bouba.read(path)["numbers"][3].tolist() == [pytest.approx(3 / 7)]
    assert bool(warned()) == speaks
    frame = pd.DataFrame({name: list(numbers), "x": np.arange(40) / 7, "title": THINGS})
    if name:
        assert bouba.read(frame)["numbers"][3].tolist() == [pytest.approx(3 / 7)]
        assert bouba.read(path, vector=[name, "x"])["numbers"][3].tolist() == [list(numbers)[3], pytest.approx(3 / 7)]


def test_numbers_that_look_like_counting_stay_features(tmp_path):
    rows = [[str(i / 7), str(1990 + i), str((7 * i) % 40), THINGS[i]] for i in range(40)]
    assert len(bouba.read(table(tmp_path, ["x", "year", "age", "title"], rows))["numbers"][0]) == 3


def test_row_names_of_r(tmp_path):
    path = table(tmp_path, ["a", "b"], [[f"s{i}", str(i / 7), str(i / 9)] for i in range(30)])  # no name of row names
    views = bouba.read(path)
    assert views["numbers"][3].tolist() == [pytest.approx(3 / 7), pytest.approx(3 / 9)]
    assert views.meta["row_names"][:2].tolist() == ["s0", "s1"]


@pytest.mark.parametrize("form", ["[{}, {}, {}]", "({} {} {})", "[ {}  {}\n {}]", "[{};{};{}]"])
def test_vectors_as_text(tmp_path, form):
    vectors = np.arange(120).reshape(40, 3) / 8
    path = table(
        tmp_path, ["emb", "title"], [[f'"{form.format(*v)}"', t] for v, t in zip(vectors, THINGS, strict=True)]
    )
    for views in (bouba.read(path), bouba.read(path, vector="emb", text="title")):
        assert views.modalities == {"emb": "vector", "title": "text"}
        np.testing.assert_array_equal(np.stack(list(views["emb"])), vectors)
    bare = table(tmp_path, ["emb", "title"], [[" ".join(map(str, v)), t] for v, t in zip(vectors, THINGS, strict=True)])
    np.testing.assert_array_equal(np.stack(list(bouba.read(bare, vector="emb")["emb"])), vectors)
    assert vector_of("[1, x]") is None


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ([1.0, None], "a number of it is missing or not finite"),
        ([1.0, float("nan")], "a number of it is missing or not finite"),
        ([1.0, 10**400], "a number of it is missing or not finite"),
        ([1.0], "1 numbers where the others have 2"),
        ([], "0 numbers where the others have 2"),
        ([1.0, "x"], "no list of numbers"),
        ("x", "no list of numbers"),
        ([[1.0, 2.0]], "no list of numbers but an array of shape (1, 2)"),
    ],
)
def test_one_bad_vector_is_listed_and_the_others_are_used(tmp_path, cell, reason):
    lines = [json.dumps({"v": cell if i == 7 else [float(i), 2.0], "title": THINGS[i]}) for i in range(40)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    views = bouba.read(tmp_path / "t.jsonl", vector="v")
    assert [(bad["row"], bad["column"], bad["reason"]) for bad in views.bad_rows] == [(7, "v", reason)]
    assert np.flatnonzero(~views.present["v"]).tolist() == [7]
    assert views["v"][8].tolist() == [8, 2]


def test_vectors_of_no_common_width_are_refused():
    with pytest.raises(DataError, match=r"vectors of view 'v' have \[1, 2\] widths; they must share one"):
        bouba.read({"v": [[1.0], [1.0, 2.0]]})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON: nested too deeply"),
        ('{"a": "x", "a": "y"}', "not JSON: two values of 'a'"),
        ('{"a": "x"', "not JSON: Expecting ',' delimiter"),
        ('["x"]', "not JSON: not an object"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
    ],
)
def test_lines_that_are_no_records_are_listed(tmp_path, line, reason):
    good = [json.dumps({"a": title}) for title in THINGS]
    (tmp_path / "t.jsonl").write_text("\n".join([*good[:3], line, *good[3:]]))
    views = bouba.read(tmp_path / "t.jsonl", text="a")
    assert len(views) == 40
    assert [bad["row"] for bad in views.bad_rows] == [3]
    assert views.bad_rows[0]["reason"].startswith(reason)


def test_an_array_of_records(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps([{"a": "a cat", "n": 1}, 3, {"a": "a dog", "n": 2}]))
    views = bouba.read(tmp_path / "t.json", text="a")
    assert list(views["a"]) == ["a cat", "a dog"]
    assert views.bad_rows == [{"row": 1, "column": None, "value": "3", "reason": "not JSON: not an object"}]
    (tmp_path / "t.json").write_text("3")
    with pytest.raises(DataError, match=r"t\.json holds no array of records"):
        bouba.read(tmp_path / "t.json")


def test_whole_numbers_of_parquet_keep_their_digits(tmp_path):
    ids = [1234567890123456781, None, 1234567890123456782]
    pq.write_table(pa.table({"n": pa.array(ids, pa.int64()), "t": ["a", "b", "c"]}), tmp_path / "t.parquet")
    assert bouba.read(tmp_path / "t.parquet", key="n", text="t").things.tolist() == [str(ids[0]), "row 1", str(ids[2])]
    views = bouba.read(tmp_path / "t.parquet", vector="n", text="t")
    assert views.present["numbers"].tolist() == [True, False, True]


def test_ids_that_lost_their_digits_are_said(warned):
    bouba.read(pd.DataFrame({"id": [1234567890123456781.0, None], "t": ["a", "b"]}), key="id", text="t")
    assert warned() == ["column 'id' holds whole numbers beyond 2^53 as floats, which lose digits; give them as text"]


@pytest.mark.parametrize(
    ("descr", "shape", "message"),
    [
        ("<f8", (10**12, 10), "is not an array of numbers"),
        ("|O", (1, 1), "is not an array of numbers"),
        ("<c16", (1, 1), "holds values of type complex128"),
    ],
)
def test_arrays_that_are_not_what_they_promise(tmp_path, descr, shape, message):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + b"\n" + bytes(16))
    with pytest.raises(DataError, match=message):
        bouba.read(tmp_path / "x.npy")


def test_encodings_and_separators_of_spreadsheets(tmp_path):
    rows = [["1,5", "ein rötliches Ding"], ["2,5", "ein bläuliches Ding"]]
    for name, encoding, first in (("a.csv", "utf-16", []), ("b.csv", "utf-8-sig", []), ("c.csv", "utf-8", [["sep=;"]])):
        path = table(
            tmp_path,
            *(first or [["x", "titel"]]),
            [["x", "titel"], *rows] if first else rows,
            ";",
            name,
            encoding=encoding,
        )
        views = bouba.read(path, text="titel")
        assert [v.tolist() for v in views["numbers"]] == [[1.5], [2.5]]
        assert views["titel"][0] == "ein rötliches Ding"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x,title\n"))
    with pytest.raises(DataError, match=r"cannot read t\.csv\.gz: \.gz ending"):
        bouba.read(tmp_path / "t.csv.gz")


def test_columns_without_a_name(tmp_path):
    path = table(tmp_path, ["x", "title", "", ""], [["1.5", "a cat", "", "more"], ["2.5", "a dog", "", "words"]])
    views = bouba.read(path)
    assert {**views.meta, **views.columns}.keys() == {"title", "column3", "numbers"}


def test_a_folder_says_what_it_leaves_out(tmp_path, warned):
    for name in ("a.png", "b.PNG", ".hidden.png", "Thumbs.db", "notes.pdf", "c.xyz", "__MACOSX/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
        if name.lower().endswith(".png"):
            Image.new("RGB", (4, 4), "red").save(tmp_path / name, "PNG")
    (tmp_path / "a.txt").write_text("a red square")
    views = bouba.read(tmp_path)
    assert len(views) == 2
    assert warned() == [f"2 files in {tmp_path} are no pictures, sounds or clips and left out: 1 .pdf, 1 .xyz"]


def test_a_folder_says_what_its_table_does_not_name(tmp_path, warned):
    for name in ("a.png", "b.png", "more.png"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    table(
        tmp_path,
        ["file", "title"],
        [["a.png", "a red thing"], ["b.png", "too"], ["gone.png", "?"]],
        name="metadata.csv",
    )
    views = bouba.read(tmp_path, image="file", text="title")
    assert [bad["row"] for bad in views.bad_rows] == [2]
    assert warned() == [
        f"1 of 3 pictures, sounds and clips in {tmp_path} are not named in metadata.csv and left out, first more.png"
    ]


CELLS = st.text(st.sampled_from("ab,;\t\"'0.-\n é"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=12), separator=st.sampled_from(",;"))
def test_rows_in_are_rows_read_or_listed(tmp_path_factory, rows, separator):
    """Whatever a spreadsheet holds, written as spreadsheets write it."""
    import csv

    path = tmp_path_factory.mktemp("rows") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([["left", "caption"], *[[a, f"c {b}"] for a, b in rows]])
    views = bouba.read(path, text=["left", "caption"])
    assert len(views) + len({bad["row"] for bad in views.bad_rows}) == len(rows)
    assert [cell.strip() for cell in views["caption"]] == [f"c {b}".strip() for _, b in rows]


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(-1e12, 1e12).map(lambda x: round(x, 3)), min_size=1, max_size=20))
def test_numbers_survive_both_ways_of_writing(values):
    for text in ("{:.3f}", "{:,.3f}"):
        written = [text.format(value) for value in values]
        np.testing.assert_allclose(numbers_of(written, ",").values, values, rtol=1e-12)
        swapped = [cell.translate(str.maketrans(",.", ".,")) for cell in written]
        np.testing.assert_allclose(numbers_of(swapped, ";").values, values, rtol=1e-12)
    assert np.array_equal(Written([repr(value) for value in values]).numbers.values, values)
