"""One text in several spellings is one label, key, domain, group, file, column, value of a filter and input."""

import json
import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import bouba
from bouba.data.characters import composed, file_text, is_blank_text, on_disk, one_form, printable, same_name, written
from bouba.data.loader import Codes, encode
from bouba.errors import DataError
from bouba.towers import LSTM, NGrams, Transformer

SPELLINGS = {
    "composed": ("caf\u00e9", "cafe\u0301"),
    "full width": ("AB 12", "ＡＢ　１２"),
    "half width": ("ガイド", "ｶﾞｲﾄﾞ"),
    "marks": ("a(b)", "a（b）"),
    "zero width": ("redapple", "red\u200bapp\u2060le\ufeff"),
    "soft hyphen": ("Donaudampf", "Donau\u00addampf"),
    "spaces": ("10 kg net", "10\u00a0kg\u202fnet"),
    "line ends": ("a\nb", "a\r\nb"),
    "emoji": ("❤ 1⃣", "❤\ufe0f 1\ufe0f⃣"),
    "direction": ("abc", "\u202aabc\u202c\u200e"),
    "stray joiner": ("ab", "a\u200cb"),
    "between letter and accent": ("\u00e9", "e\u200b\u0301"),
    "Hangul": ("한국", unicodedata.normalize("NFD", "한국")),
    "halves of one emoji": ("\U0001f600", "\ud83d\ude00"),
}


@pytest.mark.parametrize(("one", "other"), SPELLINGS.values(), ids=list(SPELLINGS))
def test_two_spellings_are_one_text(one, other):
    assert one_form(other) == one_form(one) == one
    rows = bouba.Views(
        {"x": np.eye(2)}, y={"l": [one, other]}, domain=[one, other], key=[one, other], group=[one, other]
    )
    for values in (rows.y["l"], rows.domain, rows.key, rows.group):
        assert values.tolist() == [one, one]
    assert encode(np.array([other], object), [one]).tolist() == [0]
    assert same_name(other, [one, "b"]) == one
    for spec in (NGrams(), LSTM(vocabulary=60), Transformer(vocabulary=60)):
        encoder = spec.build(spec.learn([one, other, "more words"]))
        for part in encoder.prepare([one, other]).values():
            assert part[0].tolist() == part[1].tolist()


@pytest.mark.parametrize(
    "text",
    ["m²", "x₂", "ﬁ", "Ⅳ", "½", "①", "㎏", "ſ", "葛\U000e0100", "می\u200cخواهم", "क्\u200dष", "👩\u200d🔬", "❤\u200d🔥",
     "a\rb", "a\x00b", "\u200b", "  a ", "🏴\U000e0067\U000e0062\U000e007f"],
)  # fmt: skip
def test_what_differs_in_meaning_stays(text):
    assert one_form(text) == text


@given(text=st.text(alphabet=st.characters(exclude_categories=[])))
def test_law_the_form_is_its_own_form_and_can_be_stored(text):
    form = one_form(text)
    assert one_form(form) == form
    assert form.encode().decode() == form
    assert one_form(unicodedata.normalize("NFD", written(text))) == form
    assert bool(form) == bool(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in printable(text).replace("\n", "").replace("\t", ""))


@given(text=st.text(alphabet=st.characters(max_codepoint=0xFF, exclude_categories=["Cc", "Cf", "Zs"]) | st.just(" ")))
def test_law_ordinary_composed_text_is_left_alone(text):
    assert one_form(text) == composed(text) == text


def test_text_that_shows_nothing_is_missing():
    assert all(map(is_blank_text, ("", " ", "\u200b", "\ufeff \u00a0", "\u2060\u00ad")))
    assert not any(map(is_blank_text, ("a", "\u200ba", "❤")))
    assert not bouba.Views({"t": ["\u200b", "a"]}, kinds={"t": "text"}).present["t"][0]


def test_half_surrogates_are_mended_at_every_door():
    views = bouba.Views(
        {"t \ud83d": ["cut \ud83d", "b"], "x": np.eye(2)},
        kinds={"t \ud83d": "text"},
        y={"l\udc00": ["\udc00", "b"]},
        meta={"m": ["\ud800", {"a": 1}]},
    )
    assert views["t \ufffd"][0] == "cut \ufffd"
    assert views.y["l\ufffd"].tolist() == ["\ufffd", "b"]
    assert views.meta["m"].tolist() == ["\ufffd", {"a": 1}]
    with pytest.raises(DataError, match="rename one"):
        bouba.Views(dict.fromkeys(map(chr, (0xD800, 0xD801)), np.eye(2)))


def test_a_class_of_an_older_model_is_known_in_either_spelling():
    codes = Codes(("ｗｅｂ",), {"l": ("苹果（红）", 3)})
    assert (codes.domains, codes.classes) == (("web",), {"l": ("苹果(红)", 3)})
    assert Codes(("a", "ａ")).domains == ("a", "ａ"), "two codes stay two"


def picture(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


@pytest.mark.parametrize(("named", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_cell_names_a_file_in_either_spelling(tmp_path, named, stored):
    folder, file = "Bilder für Käse", "Schäfchen.png"
    true = tmp_path / unicodedata.normalize(stored, folder) / unicodedata.normalize(stored, file)
    picture(true)
    cell = unicodedata.normalize(named, f"{folder}/{file}")
    (tmp_path / "t.jsonl").write_text(json.dumps({"image": cell, "text": "a sheep"}), encoding="utf-8")
    for views in (bouba.read(tmp_path / "t.jsonl"), bouba.read({"image": [str(tmp_path / cell)], "text": ["a sheep"]})):
        assert (views.bad_rows, views["image"][0]) == ([], str(true))


def test_the_very_name_wins_and_two_alike_are_no_choice(tmp_path):
    for name in ("caf\u00e9.png", "cafe\u0301.png"):
        picture(tmp_path / name)
        assert on_disk(str(tmp_path / name)) == str(tmp_path / name)
    wide = str(tmp_path / "ｃａｆé.png")
    assert on_disk(wide) == wide


def test_folders_whose_names_are_no_utf8_are_two_classes_with_their_letters(tmp_path):
    for name in (b"caf\xe9", b"caf\xe8"):
        picture(os.path.join(os.fsencode(tmp_path), name, b"1.png").decode("utf-8", "surrogateescape"))
    views = bouba.read(tmp_path)
    assert views.y["label"].tolist() == ["caf\u00e8", "caf\u00e9"]
    assert views.bad_rows == []
    assert all(os.path.exists(path) for path in views["image"])
    assert file_text(os.fsdecode(b"/a\xe9/\xc3\xa9.png")) == "/a\u00e9/\u00e9.png"


def test_columns_are_named_in_either_spelling(tmp_path):
    table = {"de\u0301but": ["a red one", "a blue one"], "ＩＤ": [1, 2], "x": [[0.0, 1], [1.0, 0]]}
    views = bouba.read(table, text="d\u00e9but", key="ID")
    assert views.modalities == {"de\u0301but": "text", "x": "vector"}
    assert views.key.tolist() == [1, 2]


def test_a_model_reads_a_table_whose_columns_are_spelt_otherwise(tmp_path):
    rng = np.random.default_rng(0)
    words = ["caf\u00e9", "th\u00e9"] * 6
    model = bouba.CLIP(epochs=1, dim=4).fit(
        bouba.Views({"d\u00e9but": words, "x": rng.normal(size=(12, 2))}, kinds={"d\u00e9but": "text"})
    )
    from bouba.data.read import read_like
    from bouba.data.schema import Schema

    schema = Schema(dict(model.kinds_), labels=(), roles={})
    views = read_like({"de\u0301but": ["cafe\u0301"]}, schema)
    assert model.embed(views)["d\u00e9but"].shape == (1, 4)


def test_an_older_model_reads_its_texts_as_before():
    older = NGrams().build({"form": "composed"})
    newer = NGrams().build({"form": "one"})
    for text in ("a café", "红，苹果"):
        grams = older.prepare([text])["grams"].tolist()
        assert (newer.prepare([text])["grams"].tolist() == grams) == ("，" not in text)
