"""Rows paired by their names, never by place where both have names; what cannot be paired is refused by name."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bouba
from bouba import Views
from bouba.data.pairing import is_default, pair, row_values
from bouba.errors import DataError


def series(labels, values=None):
    return pd.Series(list(labels) if values is None else values, index=list(labels))


def paired(**columns):
    """column -> its cells in the order of the pairing."""
    pairing = pair(columns)
    cells = {name: pairing.cells(name, v.to_numpy() if hasattr(v, "iloc") else v) for name, v in columns.items()}
    return {name: list(values) for name, values in cells.items()}


@given(st.permutations("abcdef"), st.permutations("abcdef"))
@settings(max_examples=30, deadline=None)
def test_law_equal_names_stand_beside_each_other_in_the_order_of_the_first(first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired(a=series(first), b=series(second)) == {"a": first, "b": first}


@given(st.sets(st.sampled_from("abcdefgh"), min_size=3), st.sets(st.sampled_from("abcdefgh"), min_size=6))
@settings(max_examples=30, deadline=None)
def test_law_every_row_of_either_is_there_once(first, second):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = paired(a=series(first), b=series(second))
    for name, labels in {"a": first, "b": second}.items():
        assert sorted(v for v in rows[name] if v is not None) == sorted(labels)
    assert len(rows["a"]) == len(first | second)
    assert all(a == b for a, b in zip(rows["a"], rows["b"], strict=True) if None not in (a, b))
    assert bool(caught) == (first != second)


def test_what_one_side_lacks_is_counted_and_named():
    with pytest.warns(UserWarning, match="'a' lacks 1 of 4 rows, first 's'; 'b' lacks 2 of 4 rows, first 'q'"):
        rows = paired(a=series("pqr"), b=series("sp"))
    assert rows == {"a": ["p", "q", "r", None], "b": ["p", None, None, "s"]}


def test_names_of_several_levels_and_of_three_columns():
    labels = pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)])
    a = pd.Series([1, 2, 3], labels)
    assert paired(a=a, b=a[::-1], c=a.iloc[[1, 0, 2]]) == {"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3]}


def test_numbers_of_rows_are_names_once_they_are_shuffled():
    a = pd.Series([10, 11, 12, 13])
    shuffled = a.iloc[[2, 0, 3, 1]]
    assert paired(a=a, b=shuffled) == {"a": [10, 11, 12, 13], "b": [10, 11, 12, 13]}
    assert is_default(a.index)
    assert not is_default(shuffled.index)


@pytest.mark.parametrize("first", [True, False])
def test_rows_without_names_go_by_place_and_it_is_said(first):
    columns = {"a": series("pqr"), "b": pd.Series([1, 2, 3])}
    columns = columns if first else dict(reversed(columns.items()))
    with pytest.warns(UserWarning, match=r"'b' has no names of rows .* is paired with 'a' by place"):
        assert paired(**columns)["b"] == [1, 2, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired(a=series("pqr"), b=[1, 2, 3])["b"] == [1, 2, 3]


REFUSED = {
    "none shared": ({"a": series("pq"), "b": series("xy")}, r"no row of 'a' \('p', 'q'\) is one of 'b' \('x', 'y'\)"),
    "twice": ({"a": series("pq"), "b": series("pqp")}, "row 'p' occurs twice or more in the index of 'b'"),
    "an array beside two orders": (
        {"a": series("pq"), "b": series("qp"), "c": [1, 2]},
        "'a', 'b' name their rows in different orders, and 'c' have no names",
    ),
    "numbers beside two orders": (
        {"a": series("pq"), "b": series("qp"), "c": pd.Series([1, 2])},
        "'c' have no names to find theirs by; give all of them an index",
    ),
}


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_paired_is_refused_by_name(columns, message):
    with pytest.raises(DataError, match=message):
        pair(columns)


def test_the_same_names_twice_in_the_same_order_need_no_pairing():
    assert paired(a=series("ppq", [1, 2, 3]), b=series("ppq", [4, 5, 6])) == {"a": [1, 2, 3], "b": [4, 5, 6]}


def test_values_about_rows_are_found_by_name():
    names = pd.Index(list("pqr"))
    assert row_values("y", series("rpq", [3, 1, 2]), names).tolist() == [1, 2, 3]
    assert row_values("y", series("rpq", [3, 1, 2]).to_frame(), names).tolist() == [1, 2, 3]
    assert row_values("y", series("rpq").to_frame(), names).tolist() == ["p", "q", "r"]
    assert row_values("y", [3, 1, 2], names).tolist() == [3, 1, 2]
    assert row_values("y", np.array([[3], [1], [2]]), names).tolist() == [3, 1, 2]
    assert row_values("y", series("rpq", [3, 1, 2])).tolist() == [3, 1, 2]
    with pytest.warns(UserWarning, match="'y' has no names of rows .* is paired with 'X' by place"):
        assert row_values("y", pd.Series([3, 1, 2]), names).tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (series("pq"), "y lacks 1 of 3 rows, 'r'; give it the index of the rows"),
        (series("pqrs"), "y has 1 that are none of them, 's'"),
        (series("pqs"), "y lacks 1 of 3 rows, 'r' and has 1 that are none of them, 's'"),
        (series("pqrp"), "row 'p' occurs twice"),
        (series("xyz"), r"no row of 'y' \('x', 'y', 'z'\) is one of 'X'"),
        (pd.concat([series("pqr")] * 2, axis=1), "y has 2 columns; give one value a row"),
        (np.zeros((3, 2)), r"y has shape \(3, 2\)"),
    ],
)
def test_values_about_other_rows_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        row_values("y", values, pd.Index(list("pqr")))


def frames(n=6):
    labels = [f"s{i}" for i in range(n)]
    x = pd.DataFrame(np.arange(2.0 * n).reshape(n, 2), index=labels, columns=["u", "v"])
    return x, -x.rename(columns={"u": "k", "v": "l"}).sample(frac=1, random_state=0)


def test_views_of_frames_are_paired_and_keep_the_names_of_rows_and_columns():
    x, y = frames()
    kind = pd.Series([f"kind {name}" for name in y.index], y.index)
    views = Views({"a": x, "b": y}, y={"kind": kind}, domain=kind, key=kind, group=kind, meta={"note": kind})
    np.testing.assert_array_equal(np.stack(list(views["b"])), -np.stack(list(views["a"])))
    for values in (views.y["kind"], views.domain, views.key, views.group, views.meta["note"]):
        assert values.tolist() == [f"kind {name}" for name in x.index]
    assert views.sources == {"a": ("u", "v"), "b": ("k", "l")}
    assert views[[4, 1]].row_names.tolist() == ["s4", "s1"]
    assert views.select("a").row_names.equals(x.index)


@pytest.mark.parametrize("make", [lambda x, y: [x, y], lambda x, y: {"view0": x, "view1": y}])
def test_reading_frames_pairs_them(make):
    x, y = frames()
    views = bouba.read(make(x, y))
    np.testing.assert_array_equal(np.stack(list(views["view1"])), -np.stack(list(views["view0"])))
    with pytest.warns(UserWarning, match="'view1' lacks 2 of 6 rows"):
        views = bouba.read(make(x, y.drop(index=["s1", "s4"])))
    assert views.present["view1"].tolist() == [True, False, True, True, False, True]
    np.testing.assert_array_equal(views["view1"][5], -views["view0"][5])
    captions = pd.Series([f"a thing named {name}" for name in y.index], y.index)
    views = bouba.read({"size": x.u, "caption": captions}, text="caption")
    assert list(views["caption"]) == [f"a thing named s{i}" for i in range(6)]


def test_views_of_two_frames_are_refused_where_labels_lack_a_row():
    x, y = frames()
    with pytest.raises(DataError, match="kind lacks 2 of 6 rows, 's4', 's5'"):
        Views({"a": x, "b": y}, y={"kind": pd.Series(range(4), x.index[:4])})


NAMES = list("pqrs")
TYPES = {
    "several levels beside one": (pd.MultiIndex.from_tuples([(n, 1) for n in NAMES]), NAMES, False),
    "other numbers of levels": (pd.MultiIndex.from_tuples([(n, 1) for n in NAMES]), [(n, 1, 1) for n in NAMES], False),
    "times beside text": (pd.date_range("2020", periods=4), ["2020-01-01", "2020-01-02", "2020-01-03", "x"], False),
    "categories beside text": (pd.CategoricalIndex(NAMES), NAMES, True),
    "text of Arrow beside objects": (pd.Index(NAMES, dtype="string[pyarrow]"), pd.Index(NAMES, dtype=object), True),
    "floats beside whole numbers": (pd.Index([5.0, 6.0, 7.0, 8.0]), [5, 6, 7, 8], True),
    "times": (pd.date_range("2020", periods=4), pd.date_range("2020", periods=4), True),
}


@pytest.mark.parametrize(("first", "second", "match"), TYPES.values(), ids=TYPES)
def test_indexes_of_different_types(first, second, match):
    index = pd.MultiIndex.from_tuples(second) if isinstance(second[0], tuple) else pd.Index(second)
    a, b = pd.Series([1, 2, 3, 4], first), pd.Series([1, 2, 3, 4], index)[::-1]
    if match:
        assert paired(a=a, b=b) == {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}
        assert row_values("y", b, a.index).tolist() == [1, 2, 3, 4]
        return
    with pytest.raises(DataError, match="no row of 'a'"):
        pair({"a": a, "b": b})
    with pytest.raises(DataError, match="no row of 'y'"):
        row_values("y", b, a.index)


def test_a_mask_that_is_a_series_finds_its_rows_by_name():
    x, y = frames()
    views = Views({"a": x})
    chosen = views[(y.k < -5)]  # in the order of y
    assert chosen.row_names.tolist() == x.index[x.u > 5].tolist()
    assert views[pd.Series([4, 1])].row_names.tolist() == ["s4", "s1"]
    with pytest.raises(DataError, match="the choice of rows lacks 2 of 6 rows"):
        views[(x.u > 5)[:4]]


def test_columns_that_are_called_by_a_number_are_named_by_it():
    frame = pd.DataFrame({0: [1.0, 2.0], 1: ["a red cat", "a blue dog"], 7: ["cat", "dog"]})
    views = bouba.read(frame, vector=0, text=[1], label=7)
    assert (views.modalities, list(views.y)) == ({"1": "text", "numbers": "vector"}, ["7"])
