"""Metadata of every kind goes in, comes back, and can be asked for."""

import datetime
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bouba.data.characters import one_form
from bouba.errors import UsageError
from bouba.search import Index
from bouba.search.columns import describe

ONE = np.ones(2)


def index_of(folder, /, **columns) -> Index:
    n = len(next(iter(columns.values())))
    return Index.create(folder, {"v": np.ones((n, 2))}, columns=columns)


def stored(made: Index, name: str) -> list[object]:
    return [hit.columns[name] for hit in made.search(ONE, k=1000)]


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        (["a", None, "b"], ["a", None, "b"]),
        ([1, 2, None], [1, 2, None]),
        ([1, 2.5, float("nan")], [1.0, 2.5, None]),
        ([True, False, None], [True, False, None]),
        ([None, None], [None, None]),
        ([1, "a", True], ["1", "a", "True"]),
        ([2**70, 1], [str(2**70), "1"]),
        (np.array([1, 2], dtype=np.int32), [1, 2]),
        (np.array(["x", "y"]), ["x", "y"]),
        (pd.Series(["x", np.nan, "z"], index=[9, 8, 7]), ["x", None, "z"]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (pd.to_datetime(["2020-01-02", None]), ["2020-01-02 00:00:00", None]),
        ([datetime.date(2020, 1, 2), Path("a/b")], ["2020-01-02", "a/b"]),
        (["\udcff.png", "b"], ["\\udcff.png", "b"]),
    ],
)
def test_values_come_back_as_plain_values(tmp_path, given_values, expected):
    made = index_of(tmp_path / "i", c=given_values)
    assert stored(made, "c") == expected
    assert [type(value) for value in stored(made, "c")] == [type(value) for value in expected]
    for value in given_values:
        rows = [hit.row for hit in made.search(ONE, k=99, equals={"c": value})]
        assert rows, value


NAMES = [
    "Label", "label", "a b", "a.b", "a_b", "a`b", "it's", 'say "x"', "ünï", "", "select", "count(*)", "1",
    "a\nb", "row", "view", "path", "vector", "_row", "_view", "_path", "_vector", "_distance", "_rowid",
    "_score", "x_row",
]  # fmt: skip


def test_any_column_name_can_be_stored_and_asked_for(tmp_path):
    made = index_of(tmp_path / "i", **{name: [f"{name}0", f"{name}1"] for name in NAMES})
    assert made.columns == tuple(NAMES)
    for name in NAMES:
        (hit,) = made.search(ONE, equals={name: f"{name}1"})
        assert hit.row == 1
        assert hit.columns[name] == f"{name}1"
    assert len({column.stored for column in describe({name: ["x"] for name in NAMES})}) == len(NAMES)


def test_paths_and_views_may_hold_quotes(tmp_path):
    made = Index.create(tmp_path / "it's #1 é%20", {"it's": np.eye(2)}, paths={"it's": [Path("o'x"), None]})
    assert [hit.path for hit in made.search(ONE, view="it's")] == ["o'x", None]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    values = [
        "a",
        "o'hara",
        "' OR 1=1 --",
        "''",
        "\\",
        "\\'",
        "%",
        "_",
        "a\nb",
        "",
        "é",
        "`",
        '"',
        ";",
        "--",
        "\x00",
    ]
    return values, index_of(tmp_path_factory.mktemp("texts") / "i", c=values)


def test_equals_takes_any_text_literally(texts):
    values, made = texts
    for row, value in enumerate(values):
        assert [hit.row for hit in made.search(ONE, k=99, equals={"c": value})] == [row]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("'\"\\;-` a=1\n%)(") | st.characters(), max_size=12))
def test_law_text_that_is_not_there_finds_nothing(texts, text):
    values, made = texts
    expected = [row for row, value in enumerate(values) if one_form(value) == one_form(text)]
    assert [hit.row for hit in made.search(ONE, k=99, equals={"c": text})] == expected


@settings(max_examples=60, deadline=None)
@example(value=-(2**63))
@example(value=math.inf)
@example(value=-math.inf)
@example(value=5e-324)
@given(value=st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False))
def test_law_numbers_are_found_exactly(tmp_path_factory, value):
    made = index_of(tmp_path_factory.mktemp("numbers") / "i", c=[value, value])
    assert len(made.search(ONE, equals={"c": value})) == 2


def test_equals_refuses_a_value_of_another_kind(tmp_path):
    made = index_of(tmp_path / "i", year=[1999, 2000], ok=[True, False], kind=["1", "b"])
    with pytest.raises(UsageError, match=r"column 'year' holds int, got 'abc' \(str\); give int or None"):
        made.search(ONE, equals={"year": "abc"})
    with pytest.raises(UsageError, match=r"column 'year' holds int, got 1999\.5"):
        made.search(ONE, equals={"year": 1999.5})
    with pytest.raises(UsageError, match="column 'ok' holds bool, got 1"):
        made.search(ONE, equals={"ok": 1})
    assert [hit.row for hit in made.search(ONE, equals={"kind": 1})] == [0]
    assert [hit.row for hit in made.search(ONE, equals={"year": 1999.0})] == [0]
