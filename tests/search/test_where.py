"""Conditions: every column that can be stored, every value literally, and no cost without bound."""

import math
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import UsageError
from bouba.search import Index, where

ONE = np.ones(2)
HOSTILE = [
    "", " ", "'", "''", "o'hara", '"', "`", "\\", "\\'", "%", "%%", "_", "a_b", "a%b", "a\nb", "a\rb", "a\tb",
    "a\x00b", "\x00", "\x1b[2J", "\x7f", "\x9b", ";", "--", "/* */", "' OR 1=1 --", "'); DROP TABLE x; --",
    "a'' OR ''='", "NULL", "None", "null", "nan", "NaN", "inf", "-inf", "1e400", "-1", "1", "01", "1.0", "+1",
    "0x10", "true", "True", "FALSE", "2020-01-02", "2020-01-02 00:00:00", "’", "‘x’", "“y”", "«z»", "名称", "名 称",
    "😀", "👩\u200d🔬", "👩🔬", "m²", "m2", "é", "e", "ß", "SS", "İ", "i", "ı", "I", "ﬁ", "fi", "Straße", "select",
    "SELECT *", "_rowid", "_distance", "vector", "{}", "{0}", "${x}", "$1", "?", ":a", "@x", "=1+1", "\u200b",
    "\u202e", "\ud83d", "\udcff", "x" * 100_000, "y" * 255, "[1, 2]", "a,b", "(", ")", "((", "a AND b",
    "IS NULL", "1 OR 1", "\\x00", "\\n", "<b>", "&amp;", "../..", "C:\\x", "#", "𝒜", "A", "\U000e0041", "한국",
    "می\u200cخواهم", "میخواهم", "…", "...", "a.b", "a..b", "~", "b.*", "^a$", "🇩🇪", "🇫🇷",
]  # fmt: skip


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> Index:
    rows = len(HOSTILE)
    return Index.create(
        tmp_path_factory.mktemp("values") / "i",
        {"v": np.ones((rows, 2))},
        columns={"text": HOSTILE, "number": list(range(rows)), "share": [i / 4 for i in range(rows)]},
    )


def rows_of(made: Index, **question) -> list[int]:
    return [hit.row for hit in made.search(ONE, k=10_000, **question)]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_any_text_is_found_exactly_where_it_stands(values):
    for row, text in enumerate(HOSTILE):
        stored = text.encode("utf-8", "backslashreplace").decode()
        assert rows_of(values, equals={"text": text}) == [row]
        assert rows_of(values, where=f"text = {literal(stored)}") == [row]
        assert rows_of(values, where=f"NOT (number <> {row} OR text IN ('a', {literal(stored)}))") == []


NAMES = [
    "Size", "size", "SIZE", "a b", "a.b", "a_b", "a..b", "a`b", 'a"b', "a'b", "", " ", "select", "order", "AND", "in",
    "not", "null", "true", "1", "1e5", "-", "名称", "名 称", "😀", "ünï", "_row", "_view", "_path", "_vector", "_rowid",
    "_distance", "_score", "vector", "row", "x_row", "x" * 3000, "a\nb", "a\x00b", "--", "; DROP", "count(*)", "*", "%",
    "m²", "m2", "kind form", "kind", "kind_form", "\\", "{}", "$x",
]  # fmt: skip


def test_any_column_can_be_filtered_by_its_name(tmp_path):
    made = Index.create(
        tmp_path / "i", {"v": np.ones((2, 2))}, columns={name: [f"{name}e\u0301", "b"] for name in NAMES}
    )
    made = Index.open(tmp_path / "i")
    for name in NAMES:
        left = "`" + name.replace("`", "``") + "`" if '"' in name else '"' + name + '"'
        assert rows_of(made, where=f"{left} = {literal(f'{name}é')}") == [0]
        assert rows_of(made, equals={name: f"{name}e\u0301"}) == [0]
        assert made.search(ONE)[0].columns[name] == f"{name}e\u0301", "shown as it was written"


@pytest.mark.parametrize(
    ("condition", "keep"),
    [
        ("number = 7", lambda n, s: n == 7),
        ("number = '7'", lambda n, s: n == 7),
        ("number = 7.0", lambda n, s: n == 7),
        ("number = 7.5", lambda n, s: False),
        ("number > 7.5", lambda n, s: n > 7.5),
        ("number > -1e400 AND number < 1e400", lambda n, s: True),
        ("share < -1", lambda n, s: False),
        ("number = 99999999999999999999", lambda n, s: False),
        ("3 > number", lambda n, s: n < 3),
        ("number BETWEEN 3 AND 5 OR number = 9", lambda n, s: n in (3, 4, 5, 9)),
        ("number NOT BETWEEN 3 AND 500", lambda n, s: n < 3),
        ("number IN (1, '2', 3.0)", lambda n, s: n in (1, 2, 3)),
        ("number NOT IN (0, 1) AND number < 4", lambda n, s: n in (2, 3)),
        ("NOT number >= 2", lambda n, s: n < 2),
        ("NOT NOT (number < 2)", lambda n, s: n < 2),
        ("share = number", lambda n, s: n == 0),
        ("`share` >= 2 and \"number\" == 9", lambda n, s: n == 9),
        ("_row = 3 AND _view = 'v' AND _path IS NULL", lambda n, s: n == 3),
        ("number IS NOT NULL and Number != 0 and number <= 1", lambda n, s: n == 1),
        ("number = 1 OR number = 2 AND number = 3", lambda n, s: n == 1),
    ],
)  # fmt: skip
def test_conditions_keep_what_python_keeps(values, condition, keep):
    assert rows_of(values, where=condition) == [n for n in range(len(HOSTILE)) if keep(n, n / 4)]


def test_text_is_compared_in_one_form(tmp_path):
    kinds = ["cafe\u0301", "ｃａｆé", "caf\u200bé", "tea"]
    made = Index.create(tmp_path / "i", {"v": np.ones((4, 2))}, columns={"kind": kinds})
    made.add({"v": np.ones((1, 2))}, columns={"kind": ["Cafe\u0301"]})
    for one in ("café", *kinds[:3]):
        assert rows_of(made, equals={"kind": one}) == [0, 1, 2]
        assert rows_of(made, where=f"kind = '{one}'") == [0, 1, 2]
        assert rows_of(made, where=f"lower(kind) LIKE '{one[:2]}%é'") == [0, 1, 2, 4]
    assert [hit.columns["kind"] for hit in made.search(ONE)] == [*kinds, "Cafe\u0301"]


def test_an_index_of_before_is_found_as_it_was_written_and_in_one_form(tmp_path, monkeypatch):
    monkeypatch.setattr("bouba.search.columns.one_form", lambda text: text)
    Index.create(tmp_path / "i", {"v": np.ones((3, 2))}, columns={"kind": ["cafe\u0301", "é", "b"]})
    monkeypatch.undo()
    made = Index.open(tmp_path / "i")
    assert made._state.columns[0].form is None
    assert rows_of(made, equals={"kind": "cafe\u0301"}) == [0]
    assert rows_of(made, equals={"kind": "e\u0301"}) == [1]


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("text ~ 'b.*'", "begins nothing that a filter has"),
        ("regexp_match(text, 'b')", "regexp_match() is no function of filters; there is LOWER and UPPER"),
        ("number + 1 = 2", "begins nothing"),
        ("text = 'a' OR 1 = 1", "names no column"),
        ("1=1) OR (1=1", "names no column"),
        ("number = 1) OR (number = 2", "')' stands after its end"),
        ("number = 'x'", "column 'number' holds int, got 'x'"),
        ("number IS TRUE", "IS takes NULL"),
        ("number = ", "it breaks off"),
        ("number IN ()", "a value is expected"),
        ("number LIKE '1'", "LIKE compares a column of text"),
        ("text LIKE '" + "%a" * 17 + "'", "16 % at most"),
        ("text LIKE '" + "a" * 1001 + "'", "1,000 characters"),
        ("share = 'NaN'", "column 'share' holds float, got nan"),
        ("text = number", "'text' holds str, 'number' int"),
        ("EXISTS (SELECT 1)", "EXISTS() is no function"),
        ("(" * 10_000 + "number = 1" + ")" * 10_000, "nests deeper than 16"),
        ("NOT " * 10_000 + "number = 1", "nests deeper than 16"),
        (" OR ".join(["number = 1"] * 1001), "more than 1,000 comparisons"),
        ("number IN (" + ",".join(map(str, range(10_001))) + ")", "10,001 values; 10,000 are the most"),
        ("text = '" + "a" * (1 << 20) + "'", "1,048,576 are the most"),
    ],
)
def test_what_costs_without_bound_or_is_no_condition_is_refused_in_one_line(values, condition, sentence):
    begun = time.perf_counter()
    with pytest.raises(UsageError, match=re.escape(sentence)) as caught:
        values.search(ONE, where=condition)
    assert time.perf_counter() - begun < 2
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_the_deepest_and_the_longest_that_is_allowed_run(values):
    deep = "number = 1"
    for _ in range(where.DEEPEST - 1):
        deep = f"(number = 1 OR number = 2 AND {deep})"
    assert rows_of(values, where=deep) == [1]
    assert rows_of(values, where=" OR ".join(f"number = {n}" for n in range(where.COMPARISONS)))[:3] == [0, 1, 2]
    assert rows_of(values, where=f"text LIKE '{'%' * 5000}hara'") == [HOSTILE.index("o'hara")]


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "3", None, math.inf])
def test_k_is_a_whole_number(values, k):
    with pytest.raises(UsageError, match="k must be 1 or more"):
        values.search(ONE, k=k)


def test_a_huge_k_gives_the_whole_index(values):
    assert len(values.search(ONE, k=10**30)) == len(values)


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("'\"`\\();,-%=<> anortex1.") | st.characters(), max_size=40))
def test_law_no_text_is_anything_but_a_condition_or_refused(values, text):
    try:
        rows_of(values, where=text)
    except UsageError:
        return
