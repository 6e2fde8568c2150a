import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bouba.errors import DataError
from bouba.search.letters import COLUMNS, Letters, column_of, ngrams

TEXTS = ["A frog.", "an antelope", "the fog over a lake", "青蛙", "苹果：水果", ""]


def test_similarity_is_the_cosine_of_weighted_counts():
    def weighed(text):
        grams = list(ngrams(text))
        seen = {g: 1 + math.log((1 + len(TEXTS)) / (1 + sum(g in ngrams(t) for t in TEXTS))) for g in grams}
        return {g: (1 + math.log(grams.count(g))) * seen[g] for g in grams}

    def cosine(a, b):
        lengths = [math.sqrt(sum(w * w for w in v.values())) for v in (a, b)]
        return sum(a[g] * b[g] for g in a.keys() & b.keys()) / math.prod(lengths) if all(lengths) else 0

    letters = Letters.of(TEXTS)
    for words in ("frog", "Frogs and fogs", "苹", "xyz"):
        expected = [cosine(weighed(words), weighed(text)) for text in TEXTS]
        assert letters.similarities(words) == pytest.approx(expected, abs=1e-5)


def test_a_word_finds_the_text_that_has_it_in_any_case_and_script():
    letters = Letters.of(TEXTS)
    for words, place in (
        ("frog", 0),
        ("FROG", 0),
        ("antelopes", 1),
        ("苹果", 4),
        ("蛙", 3),
        ("ｆｒｏｇ", 0),
        ("frog青", 0),
    ):
        assert letters.similarities(words).argmax() == place, words
    assert not letters.similarities("zzz").any()
    assert not letters.similarities("").any()


@given(st.text(max_size=30))
def test_a_text_is_most_like_itself(text):
    own = Letters.of([text, *TEXTS]).similarities(text)
    assert own[0] == pytest.approx(1 if list(ngrams(text)) else 0, abs=1e-5)
    assert (own <= own[0] + 1e-5).all()


def test_saved_and_loaded_to_the_bit(tmp_path):
    letters = Letters.of(TEXTS)
    letters.save(tmp_path / "letters.npz")
    again = Letters.load(tmp_path / "letters.npz")
    assert np.array_equal(again.similarities("frog"), letters.similarities("frog"))
    (tmp_path / "letters.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"letters\.npz is damaged"):
        Letters.load(tmp_path / "letters.npz")


@given(st.text(max_size=12))
def test_law_columns_are_those_of_scikit_learn(text):
    from sklearn.feature_extraction.text import HashingVectorizer

    counter = HashingVectorizer(analyzer=lambda one: [one], n_features=COLUMNS, alternate_sign=False, norm=None)
    text = text.encode(errors="ignore").decode()
    assert counter.transform([text]).indices.tolist() == [column_of(text)]


def test_parts_that_do_not_fit_together_are_damage(tmp_path):
    letters = Letters.of(TEXTS)
    np.savez(tmp_path / "l.npz", data=letters.weights, indices=letters.columns[1:], indptr=[0], rarity=letters.rarity)
    with pytest.raises(DataError, match="do not fit together"):
        Letters.load(tmp_path / "l.npz")


def test_law_letters_sorted_by_column_say_the_same_to_the_bit():
    texts = ["a red dog", "the blue dog", "苹果和香蕉", "", "dogs, dogs and dogs"]
    letters, ready = Letters.of(texts), Letters.of(texts)
    assert len(ready.by_column[0]) == len(ready.weights)
    for words in ("dog", "苹果", "nothing like it: qqq", "", "red dogs"):
        np.testing.assert_array_equal(letters.similarities(words), ready.similarities(words))
