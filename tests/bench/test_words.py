import numpy as np
import pytest

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


def test_chance_is_what_random_orders_give():
    random = np.random.default_rng(0)
    answers = random.random((30, 12)) < 0.2
    questions = Questions("keyword", "en", "success@3", ["w"] * 30, answers)
    drawn = [np.nanmean(questions.right(random.random((30, 12)))) for _ in range(2000)]
    assert questions.chance == pytest.approx(np.mean(drawn), abs=0.01)


def records(missed=()):
    """Two seeds of every kind of question; letters and meaning give half of what direct and fused do."""
    kinds = [("name", "known"), ("caption", "known"), ("name", "new"), ("caption", "new")]
    questions = [(f"{view} {kind}->image", part, "recall@10") for kind, part in kinds for view in words.LANGUAGES]
    questions += [
        (f"{view} everyday->image", part, "success@5")
        for part in (words.ALL, words.ALL_CAPTIONED)
        for view in words.LANGUAGES
    ]
    value = {"direct": 0.4, "letters": 0.2, "meaning": 0.2, "fused": 0.6}
    values = [
        Record(way, part, "openmoji", direction, metric, value[way] + seed / 10, None, None, 0.1, 30, seed)
        for seed in range(2)
        for direction, part, metric in questions
        for way in words.WAYS
    ]
    return Result(
        [
            *values,
            *(Record("fused", part, "openmoji", w, "missed", 1.0, None, None, None, 1, s) for w, part, s in missed),
        ]
    )


def test_tables_have_a_line_for_each_question_and_a_column_for_each_way(again):
    missed = [("dog", words.ALL, 0), ("dog", words.ALL, 1), ("train", words.ALL_CAPTIONED, 0)]
    tables = words.tables(records(missed))
    assert tables == words.tables(again(records(missed)))
    assert tables["questions"].header == ["percent", "drawings", "metric", "chance", *words.WAYS, "gain"]
    assert len(tables["questions"].lines) == 12
    [line] = [line for line in tables["questions"].lines if line[:2] == ["en name", "known"]]
    assert [cell.strip("*").partition(" ")[0] for cell in line[3:]] == ["10.0", "45.0", "25.0", "25.0", "65.0", "20.0"]
    assert [cell.startswith("**") for cell in line[4:]] == [False, False, False, True, True]
    assert [line[0] for line in tables["short"].lines] == list(words.SHORT)
    assert tables["missed"].lines == [["dog", "2", "0"], ["train", "0", "1"]]


def test_intervals_of_everyday_questions_are_over_questions_too():
    """The same number in every seed is no certainty: there are 60 questions."""
    missed = [(word, words.ALL, seed) for word in list(words.ANSWERS)[:20] for seed in range(2)]
    [line] = [line for line in words.tables(records(missed))["short"].lines if line[0].startswith("everyday")]
    value, low, high = (float(part.strip("[,]")) for part in line[4].strip("*").split())
    assert (value, line[3].strip("*").partition(" ")[0]) == (66.7, "100.0")
    assert low < 56 < 76 < high


def test_settings_are_tables_of_figures(again):
    figures = {"settings": [["0.02", "0.3", "(1, 1, 1)", 41.234], ["0.05", "0.3", "(1, 1, 1)", 40.0]]}
    assert words.tables(again(figures)) == words.tables(figures)
    assert words.tables(figures)["settings"].lines[0][-1] == "41.23"


def test_command_keeps_each_cut_once(monkeypatch, kept_by):
    cuts = []
    monkeypatch.setattr(words, "measured", lambda seed: cuts.append(seed) or records().where(seed=seed))
    first = kept_by(words, "--seeds", 1)
    assert {record.seed for record in first.measured} == {0}
    assert {record.seed for record in kept_by(words, "--seeds", 2).measured} == {0, 1}
    assert cuts == [0, 1]
