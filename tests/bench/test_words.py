import numpy as np

from bouba.bench import words
from bouba.bench.everyday import ANSWERS
from bouba.bench.words import Questions
from bouba.data import samples
from bouba.evaluation import Record, Result


def test_every_answer_is_an_emoji_that_is_there():
    names = set(samples.emoji(styles="openmoji").meta["name_en"])
    assert len(ANSWERS) == 60
    assert not {name for answers in ANSWERS.values() for name in answers} - names


def test_a_question_is_right_where_an_answer_is_among_the_first():
    random = np.random.default_rng(0)
    scores, answers = random.normal(size=(30, 12)), random.random((30, 12)) < 0.2
    right = Questions("keyword", "en", "success@3", ["w"] * 30, answers).right(scores)
    for row in range(30):
        first = sorted(range(12), key=lambda place: -scores[row, place])[:3]
        expected = any(answers[row, place] for place in first) if answers[row].any() else None
        assert np.isnan(right[row]) if expected is None else right[row] == expected


def test_ties_count_against_an_answer():
    own = np.eye(4, dtype=bool)
    assert not Questions("name", "en", "recall@3", ["w"] * 4, own).right(np.zeros((4, 4))).any()
    assert Questions("name", "en", "recall@4", ["w"] * 4, own).right(np.zeros((4, 4))).all()


def test_questions_of_rows_are_their_own_words():
    gallery = samples.emoji(styles="openmoji")[:40]
    found = {(q.name, q.view): q for q in words.of_rows(gallery, seed=0)}
    assert set(found) == {(n, v) for n in ("caption", "name", "keyword") for v in ("en", "zh")} | {("group", "en")}
    assert found["name", "en"].words[0] == "grinning face"
    keyword = found["keyword", "zh"]
    for word, row in zip(keyword.words, keyword.answers, strict=True):
        assert row.any()
        for place in np.flatnonzero(row):
            assert word in str(gallery["zh"][place]).partition("：")[2]
    assert words.keywords("red apple: apple | fruit, red", ": ") == {"apple", "fruit", "red"}


def test_the_page_has_a_line_for_each_question_and_a_column_for_each_way():
    records = [
        Record(way, "known", "openmoji", "en name->image", "recall@10", 0.5 + seed / 10, None, None, None, 9, seed)
        for way in words.WAYS
        for seed in range(2)
    ]
    lines = words.page(Result(records)).splitlines()
    assert lines[0].split() == ["percent", "drawings", "metric", *words.WAYS]
    assert "en name" in lines[1]
    assert lines[1].count("55.0") == len(words.WAYS)
