import numpy as np
import pytest

import bouba
from bouba.errors import DataError
from bouba.runs.texts import cut_texts, words_met
from bouba.search.words import Words, words_of
from bouba.towers import LSTM, NGrams, Transformer


def captions(n=40):
    colours, shapes = ("red", "green", "blue"), ("circle", "square", "bar")
    texts = [f"a {colours[i % 3]} {shapes[i // 3 % 3]}" for i in range(n)]
    texts[7] = "a red circle " + "that goes on " * 30
    numbers = np.array([[i % 3, i // 3 % 3, i % 2] for i in range(n)], float)
    return bouba.Views({"caption": texts, "numbers": numbers}, kinds={"caption": "text"})


@pytest.mark.parametrize(("tower", "cut"), [(LSTM(longest=16), 1), (Transformer(longest=16), 1), (NGrams(), 0)])
def test_captions_are_cut_by_encoders_that_read_so_much(tower, cut):
    views = captions()
    model = bouba.CLIP({"caption": tower, "numbers": bouba.MLP()}, dim=4, epochs=1).fit(views)
    sentences = cut_texts(model, views)
    assert len(sentences) == cut
    if cut:
        assert "1 of 40 texts of 'caption' are longer than its encoder reads" in sentences[0]
    encoder = model.module_.towers["caption"].encoder
    assert encoder.is_cut(["a red circle", "a bar " * 100]) == [False, bool(cut)]


def test_simple_features_cut_nothing():
    views = captions()
    assert cut_texts(bouba.CCA(ridge=0.1).fit(views), views) == []


def test_words_are_met_that_stand_in_two_texts():
    words = Words.of({"en": ["a red circle", "a red bar bar", "苹果", "苹"]})
    assert words.views == {"en": frozenset({"a", "red", "苹"})}
    assert words.strange("en", "A RED circle, bar 苹果 7") == ["circle", "bar", "果"]
    assert words.strange("other", "anything") == []
    assert words_of("x_y\u00adz") == ["x", "yz"]


def test_a_search_says_which_words_training_hardly_met_and_where_texts_were_cut(tmp_path, capsys):
    said = []
    towers = {"caption": LSTM(longest=16), "numbers": bouba.MLP()}
    run = bouba.Run.fit(
        captions(60), out=tmp_path / "run", method=bouba.CLIP(towers, dim=4, epochs=1), say=said.append, holdout=0
    )
    assert any("1 of 60 texts of 'caption' are longer" in line for line in said)
    assert "are longer than its encoder reads" in (run.path / "report.html").read_text(encoding="utf-8")
    again = bouba.Run.open(run.path)
    assert again.search("a red zyzzyva").remarks == ("training hardly met 'zyzzyva'; say it in other words",)
    assert again.search("a red circle").remarks == ()
    assert again.words == words_met(run.model, captions(60))


def test_a_damaged_list_of_words_is_one_error(tmp_path):
    file = tmp_path / "words.json"
    words = Words.of({"en": ["red", "red"]})
    words.save(file)
    assert Words.load(file) == words
    for broken in ("[]", '{"format": 2}', '{"format": 1, "views": 3}', "x"):
        file.write_text(broken)
        with pytest.raises(DataError):
            Words.load(file)
