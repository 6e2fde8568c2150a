"""Views behave like a frame whose cells are modalities: definition, laws of indexing, refusals."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from bouba.data import Column, Views
from bouba.data.views import as_array, is_missing
from bouba.errors import DataError, ModalityError


def made(n=6):
    return Views(
        {"left": np.arange(2.0 * n).reshape(n, 2), "say": [None if i == 2 else f"row {i}" for i in range(n)]},
        kinds={"say": "text"},
        y={"kind": ["a", "b"] * (n // 2)},
        domain=["here", "there"] * (n // 2),
        key=list(range(n)),
        meta={"tags": [[1, 2]] * n},
    )


def test_definition_of_columns_rows_and_presence():
    views = made()
    assert views.shape == (6, 2)
    assert views.modalities == {"left": "vector", "say": "text"}
    assert views.domains == ["here", "there"]
    assert views.present["say"].tolist() == [True, True, False, True, True, True]
    some = views[np.array([4, 2])]
    assert [len(some), some["say"][0], some.y["kind"].tolist(), some.rows.tolist()] == [2, "row 4", ["a", "a"], [4, 2]]
    assert some["left"][1].tolist() == [4.0, 5.0]
    assert views.meta["tags"].shape == (6,)  # lists of one length stay cells
    assert repr(views) == (
        "Views(6 rows, {left: vector, say: text (1 missing)}, y=['kind'], domains=['here', 'there'], key=...)"
    )


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), np.float32("nan"), "", " \t", np.datetime64("NaT"), pd.NA, pd.NaT],
)
def test_definition_of_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, 0.0, False, "0", np.zeros(2), np.array([np.nan]), b"", []])
def test_zero_is_not_missing(value):
    assert not is_missing(value)


@given(st.lists(st.integers(0, 5), max_size=9), st.data())
@settings(max_examples=30, deadline=None)
def test_law_rows_of_rows(first, data):
    views = made()
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=9)) if first else []
    twice, once = views[first][second], views[[first[i] for i in second]]
    assert twice.rows.tolist() == once.rows.tolist() == twice.key.tolist()
    assert list(twice["say"]) == list(once["say"])
    assert {k: v.tolist() for k, v in twice.present.items()} == {k: v.tolist() for k, v in once.present.items()}


def test_law_masks_slices_and_single_rows_agree():
    views = made()
    mask = np.arange(6) >= 4
    assert views[mask].rows.tolist() == views[4:].rows.tolist() == views[-2:, ...].rows.tolist() == [4, 5]
    assert views[3].rows.tolist() == [3]
    assert len(views[[]]) == 0


def test_law_without_masks_and_keeps():
    column = Column.of(["a", None, "c", "d"], "text").take([3, 1, 0])
    gone = column.without(np.array([True, False, False]))
    assert gone.present.tolist() == [False, False, True]
    assert gone[2] == "a"
    assert column.present.tolist() == [True, False, True]


def test_sklearn_splits_and_pickle_round_trip():
    views = made()
    train, test = train_test_split(views, test_size=2, random_state=0)
    assert sorted([*train.rows, *test.rows]) == list(range(6))
    assert isinstance(train, Views)
    again = pickle.loads(pickle.dumps(views))
    assert list(again["say"]) == list(views["say"])


def test_an_array_is_the_vectors_side_by_side():
    block = np.arange(6.0).reshape(3, 2)
    assert np.asarray(Views({"a": block, "b": block[:, :1]})).tolist() == np.hstack([block, block[:, :1]]).tolist()
    with pytest.raises(DataError, match="view 'say' is text; only vectors make an array"):
        np.asarray(made())


def test_as_array_keeps_numbers_and_objects():
    assert as_array([1, 2]).dtype.kind == "i"
    assert as_array(["a", None]).dtype == object
    assert as_array(np.array(["a", "b"])).dtype == object


def test_missing_vectors_are_masked_zeros(rows):
    full, gaps = rows
    views = Views({"full": full, "gaps": gaps}, kinds={"gaps": "vector"})
    assert views.present["gaps"].tolist() == [v is not None for v in gaps]
    assert views["gaps"][0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("columns", "keywords", "message"),
    [
        ({}, {}, "Views need one column of a modality or more, got none; name one"),
        ({"x": np.eye(3)}, {"key": [1, 2]}, "column 'key' has 2 rows, the others have 3; give every column all rows"),
        ({"x": np.eye(3)}, {"y": {"x": [1]}}, "column 'x' has 1 rows, the others have 3"),
        ({"x": ["a"]}, {}, "view 'x' is of kind None; say kinds="),
        ({"x": ["a"]}, {"kinds": {"x": "smell"}}, "view 'x' is of kind 'smell'"),
        ({"x": np.array([[1, 2], [3, np.nan]])}, {}, "view 'x' holds NaN or infinity in 1 of 2 rows, first in row 1"),
        ({"x": [[1, 2], None, [1]]}, {"kinds": {"x": "vector"}}, r"vectors of view 'x' have \[1, 2\] widths"),
        ({"x": [[1, 2], "red"]}, {"kinds": {"x": "vector"}}, "view 'x' holds no vector in row 1, but 'red'; give a"),
        ({"x": [1.5, 2]}, {"kinds": {"x": "vector"}}, "view 'x' holds no vector in row 0, but 1.5"),
    ],
)
def test_refusals(columns, keywords, message):
    with pytest.raises(DataError, match=message):
        Views(columns, **keywords)


def test_refusal_of_an_unknown_view_names_the_nearest():
    with pytest.raises(ModalityError, match="no view 'lefd'; did you mean 'left'"):
        made()["lefd"]
