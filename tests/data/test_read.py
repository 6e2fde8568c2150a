"""From tables to Views: guesses overruled, paths resolved, unreadable cells listed while the run goes on."""

import json

import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bouba import CCA
from bouba.data import Views, decode, read
from bouba.data.read import as_views
from bouba.errors import DataError


@pytest.fixture
def manifest(tmp_path, pictures):
    """A table beside its folder: three pictures that open, four that do not, one row with nothing."""
    names = ["a", "gone", "empty", "b", "letter", "cut", "c"]
    lines = [f"photos/{name}.png,a drawing of {name},{'xy'[i % 2]}" for i, name in enumerate(names)]
    path = tmp_path / "table.csv"
    path.write_text("photo,caption,label\n" + "\n".join([*lines, ",,x", "photos/gone.png,,y"]))
    return path


def test_relative_paths_and_bad_rows(manifest, pictures):
    views = read(manifest)
    assert views.modalities == {"photo": "image", "caption": "text"}
    assert list(views.y) == ["label"]
    assert views["photo"][0] == str(pictures / "a.png")
    assert views.present["photo"].tolist() == [True, False, False, True, False, False, True]
    assert views.rows.tolist() == list(range(7))  # the two rows with no cell left are gone ...
    bad = {entry["row"]: (entry["column"], entry["reason"]) for entry in views.bad_rows}
    assert sorted(bad) == [1, 2, 4, 5, 7, 8]  # ... and listed
    assert bad[1] == ("photo", f"not a picture: {str(pictures / 'gone.png')!r} (no such file)")
    assert bad[2][1].endswith("(the file is empty)")
    assert bad[4][1].endswith("(these bytes are no known image format)")
    assert bad[5][1].startswith("not a picture")
    assert bad[7] == (None, "every cell is empty")
    assert json.dumps(views.bad_rows)


def test_strict_raises_on_the_first(manifest):
    with pytest.raises(
        DataError, match="6 cells or rows cannot be read, the first is row 1, column 'photo': not a pic"
    ):
        read(manifest, strict=True)


def test_keywords_overrule_guesses(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sku,title,note,kind,price,size\n" + "\n".join(f"A{i},it {i},so,k{i % 2},{i},2" for i in range(4)))
    guessed = read(path)
    assert guessed.modalities == {"title": "text", "note": "text", "numbers": "vector"}
    assert list(guessed.y) == ["kind"]
    views = read(path, text="sku", vector="price", key="title", label="note", domain="kind")
    assert views.modalities == {"sku": "text", "numbers": "vector"}
    assert views["numbers"][3].tolist() == [3.0]
    assert (views.key[1], views.domains, list(views.y)) == ("it 1", ["k0", "k1"], ["note"])
    assert list(views.meta) == ["size"]
    assert read(path, ignore=["note", "price", "size", "sku"]).shape == (4, 1)
    assert "sku" not in read(path, ignore="sku").meta


def test_numbers_side_by_side_from_any_source(tmp_path):
    for source in (
        {"a": [1, 2, 3], "b": [0.5, None, 1.5]},
        pd.DataFrame({"a": [1, 2, 3], "b": pd.array([0.5, None, 1.5], "Float64")}),
        datasets.Dataset.from_dict({"a": [1, 2, 3], "b": [0.5, None, 1.5]}),
    ):
        views = read(source, vector=["a", "b"])
        assert views["numbers"][1].tolist() == [3.0, 1.5]
        assert views.bad_rows == [{"row": 1, "column": "numbers", "value": None, "reason": "blank: b"}]
    both = read({"numbers": ["one", "two"], "n": [1, 2]})
    assert both.modalities == {"numbers": "text", "all numbers": "vector"}


def test_labels_with_gaps_stay_whole(tmp_path):
    (tmp_path / "t.csv").write_text("title,label\na b,1\nc d,\ne f,2\n")
    assert read(tmp_path / "t.csv").y["label"].tolist() == [1, None, 2]
    assert read({"title": ["a", "b"], "label": [1.5, 2.0]}).y["label"].tolist() == [1.5, 2.0]


def test_datasets_with_image_and_class_label(png):
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "said": datasets.Value("string"),
            "sort": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    data = {
        "img": [{"bytes": png((9, 9, 9)), "path": None}, {"bytes": b"no picture", "path": None}],
        "said": ["a", "b"],
        "sort": [1, 0],
    }
    views = read(datasets.Dataset.from_dict(data, features=features))
    assert views.modalities == {"img": "image", "said": "text"}
    assert views.y["sort"].tolist() == ["dog", "cat"]
    assert decode.image(views["img"][0]).getpixel((0, 0)) == (9, 9, 9)
    assert [bad["row"] for bad in views.bad_rows] == [1]


def test_parquet_bytes_frames_and_arrays(tmp_path, png):
    pd.DataFrame({"photo": [png(), b"broken"], "title": ["one", "two"]}).to_parquet(tmp_path / "t.parquet")
    views = read(tmp_path / "t.parquet")
    assert views.modalities == {"photo": "image", "title": "text"}
    assert views.bad_rows[0]["reason"] == "not a picture: 6 bytes (these bytes are no known image format)"
    frame = read(pd.DataFrame({"pic": [Image.new("RGB", (3, 3))] * 2, "title": ["a", np.nan]}))
    assert frame.present["title"].tolist() == [True, False]
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    assert read([np.eye(2), ["a", "b"], pixels]).modalities == {"view0": "vector", "view1": "text", "view2": "image"}


def test_folder_with_labels(tmp_path, pictures):
    for name in ("red", "blue"):
        (pictures / name).mkdir()
    (pictures / "a.png").rename(pictures / "red" / "one.png")
    (pictures / "b.png").rename(pictures / "blue" / "two.png")
    views = read(pictures)
    assert views.shape == (6, 2)
    assert sorted(set(views.y["label"])) == [".", "blue", "red"]
    assert len(views.bad_rows) == 3  # their names are still there
    (pictures / "metadata.csv").write_text("file_name,title\nred/one.png,the one\n")
    views = read(pictures)
    assert (views["file_name"][0], views["title"][0]) == (str(pictures / "red/one.png"), "the one")


def test_pictures_of_every_mode_become_rgb_on_white(tmp_path):
    deep = Image.fromarray(np.full((2, 2), 0x8000, np.uint16))
    deep.save(tmp_path / "deep.png")
    assert decode.image(tmp_path / "deep.png").getpixel((0, 0)) == (128, 128, 128)
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert decode.image(clear).getpixel((0, 0)) == (255, 255, 255)
    for mode in ("1", "L", "P", "LA", "CMYK"):
        assert decode.image(Image.new(mode, (2, 2))).mode == "RGB"
    assert decode.image(np.ones((2, 2, 3))).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(DataError, match="not a picture: float"):
        decode.image(3.5)
    assert decode.text("half \ud83d pair") == "half \ufffd pair"


def test_views_pass_through():
    views = Views({"x": np.eye(2)})
    assert as_views(views) is views
    assert as_views({"x": np.eye(2)}).shape == (2, 1)


@pytest.mark.parametrize(
    ("source", "keywords", "message"),
    [
        ({"title": ["a"]}, {"text": "titel"}, "no column 'titel'; did you mean 'title'"),
        ({"title": ["a"]}, {"text": "zzz"}, "no column 'zzz'; there is 'title'"),
        ({"t": ["a"], "k": ["b"]}, {"key": "k", "group": "k"}, "column 'k' is named as key and as group"),
        ({"t": ["a"]}, {"ignore": "t"}, "no column of a modality among"),
        ({"t": ["", None]}, {"text": "t"}, "no row has a cell that can be read; first: every cell is empty"),
        ({"v": np.array([[0.0, np.nan]])}, {}, "column 'v' holds no vector: a number of it is missing or not finite"),
        (
            {"v": [["x"], ["y"]]},
            {"vector": "v"},
            "column 'v' holds no vector: no list of numbers; give a list of numbers a row",
        ),
    ],
)
def test_refusals(source, keywords, message):
    with pytest.raises(DataError, match=message):
        read(source, **keywords)


def test_a_caption_may_be_its_own_key():
    views = read({"v": np.eye(3), "caption": ["a cat", "a cat", "a dog"]}, text="caption", key="caption")
    assert views.modalities == {"v": "vector", "caption": "text"}
    assert views.key.tolist() == ["a cat", "a cat", "a dog"]


def test_patterns_make_views_of_columns_side_by_side(tmp_path):
    table = tmp_path / "sides.csv"
    table.write_text("l_1,r_1,l_2,name,r_2\n1,10,2,one,20\n3,30,4,two,40\n5,,6,three,60\n")
    views = read(table, vector=["l_*", "r_*"], ignore="name")
    assert views.modalities == {"l": "vector", "r": "vector"}
    assert np.stack(list(views["l"])).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert views["r"][1].tolist() == [30, 40]
    assert views.present["r"].tolist() == [True, True, False]
    assert views.bad_rows == [{"row": 2, "column": "r", "value": None, "reason": "blank: r_1"}]
    with pytest.raises(DataError, match=r"no column like 'm_\*'"):
        read(table, vector="m_*")


def test_a_table_of_numbers_alone_has_no_header(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("1.5,-2\n3,4e1\n")
    views = read(table)
    assert np.stack(list(views["numbers"])).tolist() == [[1.5, -2], [3, 40]]


def test_rising_numbers_are_names_and_the_index_of_pandas_is_no_feature(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 4)))
    for index in (False, True):
        frame.to_csv(tmp_path / "x.csv", index=index)
        np.testing.assert_allclose(np.stack(list(read(tmp_path / "x.csv")["numbers"])), frame.to_numpy(), rtol=1e-6)


def test_a_third_of_all_cells_empty(tmp_path, pictures):
    """Picture, caption, sound and numbers, every third cell blank in turn: each column is what it is."""
    soundfile.write(tmp_path / "s.wav", np.zeros(80), 8000)
    columns = {
        "photo": "photos/a.png",
        "caption": "a drawing of a red thing",
        "sound": "s.wav",
        "price": "12.5",
        "weight": "3",
    }
    there = np.array([[(row + place) % 3 > 0 for place in range(5)] for row in range(30)])
    lines = [",".join(cell if t else "" for cell, t in zip(columns.values(), row)) for row in there]
    (tmp_path / "t.csv").write_text("\n".join([",".join(columns), *lines]))
    views = read(tmp_path / "t.csv")
    assert views.modalities == {"photo": "image", "caption": "text", "sound": "audio", "numbers": "table"}
    assert views.bad_rows == []
    assert views.rows.tolist() == list(range(30))
    for place, name in enumerate(("photo", "caption", "sound")):
        assert views.present[name].tolist() == there[:, place].tolist()
    assert views.present["numbers"].tolist() == (there[:, 3] | there[:, 4]).tolist()
    for row in range(30):
        price, weight = there[row, 3:]
        assert views["numbers"][row] == {"price": 12.5 if price else None, "weight": 3.0 if weight else None}
    assert read(tmp_path / "t.csv", vector=["price", "weight"]).modalities["numbers"] == "vector"


def test_tables_are_views_of_numbers_and_categories(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("title,age,city,shop_a,shop_b,size\n" + "one,31,Bonn,1,x,5\ntwo,,,2,,6\nthree,7,Ulm,,,7\n")
    views = read(path, table=["age", "city", "shop_*"])
    assert views.modalities == {"title": "text", "table": "table", "shop": "table", "numbers": "vector"}
    assert views["table"][0] == {"age": 31.0, "city": "Bonn"}
    assert views["shop"][1] == {"shop_a": 2.0, "shop_b": None}
    assert views.present["table"].tolist() == [True, False, True]  # nothing there, nothing to see
    assert views.present["shop"].tolist() == [True, True, False]
    assert np.stack(list(views["numbers"])).tolist() == [[5], [6], [7]]
    with pytest.raises(DataError, match="column 'age' is named as vector and as table; give it one of them"):
        read(path, vector="age", table="age")
    with pytest.raises(DataError, match=r"no column like 'shp_\*'; did you mean 'shop_"):
        read(path, table="shp_*")
    with pytest.raises(DataError, match="view 'table' is table; only vectors make an array"):
        np.asarray(views.select("table"))


def test_cells_that_are_mappings_are_a_view_of_their_own(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"said": "a b", "person": {"age": 3}}\n{"said": "c d", "person": null}\n')
    views = read(tmp_path / "t.jsonl", table="person")
    assert views.modalities == {"said": "text", "person": "table"}
    assert views.present["person"].tolist() == [True, False]
    assert views["person"][0] == {"age": 3}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([{"a": 1}, 3.5], "view 't' holds no row of a table in row 1, but 3.5; give a mapping"),
        ([{"a": [1]}], r"view 't' holds \[1\] as 'a' in row 0; give a number or text"),
        ([{"a": 1}, {"a": np.inf}], "view 't' holds infinity as 'a' in row 1; give a finite number or None"),
    ],
)
def test_refused_rows_of_tables(cells, message):
    with pytest.raises(DataError, match=message):
        Views({"t": cells}, kinds={"t": "table"})


@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), st.one_of(st.none(), st.floats(-9, 9), st.just(""))), min_size=1)
)
def test_law_a_row_of_a_table_is_there_when_any_of_it_is(cells):
    views = Views({"t": cells, "x": np.eye(len(cells))}, kinds={"t": "table"})
    assert views.present["t"].tolist() == [any(isinstance(v, float) for v in cell.values()) for cell in cells]
    assert views[::-1].present["t"].tolist() == views.present["t"][::-1].tolist()


def test_closed_forms_refuse_tables():
    rows = [{"a": float(i), "b": None if i % 2 else 1.0} for i in range(12)]
    views = Views({"t": rows, "x": np.random.default_rng(0).normal(size=(12, 2))}, kinds={"t": "table"})
    with pytest.raises(DataError, match="view 't': rows of a table may lack numbers; read them with vector="):
        CCA(1).fit(views)
