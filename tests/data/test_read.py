"""From tables to Views: guesses overruled, paths resolved, unreadable cells listed while the run goes on."""

import json

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

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
    for row in (2, 4):
        assert bad[row][1].endswith("(these bytes are no known image format)")
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
    assert decode.text("half \ud83d pair") == "half ? pair"


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
        ({"v": np.array([[0.0, np.nan]])}, {}, "view 'v' holds NaN or infinity in 1 of 1 rows, first in row 0"),
        ({"v": [["x"], ["y"]]}, {"vector": "v"}, "view 'v' holds no vector in row 0"),
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
