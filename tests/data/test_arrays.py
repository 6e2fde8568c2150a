"""Whatever holds numbers: its values, to the right precision, or one sentence on why it cannot be taken."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

import bouba
from bouba import Views
from bouba.data.arrays import column_values, float_values, unique_names
from bouba.errors import DataError

X = np.arange(12.0).reshape(4, 3) / 8  # exact in half precision
TITLES = ["a red cat", "a blue dog", "a cow", "two hens"]


class Lends:
    """An array of another library, which shows it by one of NumPy's protocols."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


class Exports:
    """The same by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


TENSOR = torch.from_numpy(X)
EQUAL = {
    "bfloat16": TENSOR.bfloat16(),
    "half": TENSOR.half(),
    "attached to a graph": TENSOR.clone().requires_grad_(),
    "a parameter": torch.nn.Parameter(TENSOR.clone()),
    "sparse": TENSOR.to_sparse(),
    "lazily conjugated": torch.conj(torch.complex(TENSOR, -TENSOR)).imag,
    "transposed": TENSOR.T.contiguous().T,
    "big-endian": X.astype(">f8"),
    "half of NumPy": X.astype(np.float16),
    "long double": X.astype(np.longdouble),
    "Fortran order": np.asfortranarray(X),
    "a matrix": np.asmatrix(X),
    "objects": X.astype(object),
    "unmasked": np.ma.masked_array(X, mask=False),
    "a memoryview": memoryview(X),
    "by __array__": Lends(X),
    "by __dlpack__": Exports(X),
    "a frame": pd.DataFrame(X),
    "a frame of Float64": pd.DataFrame(X).astype("Float64"),
    "a frame of Arrow": pd.DataFrame(X).convert_dtypes(dtype_backend="pyarrow"),
    "a sparse frame": pd.DataFrame(X).astype(pd.SparseDtype(float)),
}
REFUSED = {
    "complex": (X + 1j, "complex128"),
    "complex tensor": (torch.complex(TENSOR, TENSOR), "complex128"),
    "meta": (torch.empty(4, 3, device="meta"), "meta device"),
    "sparse matrix": (sparse.csr_array(X), "sparse csr_array; give its toarray"),
    "dictionary of keys": (sparse.dok_matrix(X), "sparse dok_matrix"),
    "records": (np.zeros(4, [("a", float), ("b", int)]), "records of a, b"),
    "one value": (np.array(3.0), "the single value 3.0"),
    "text among numbers": (np.array([[1, "a"]] * 4, object), "'a' in row 0, column 1"),
    "rows of times": (np.zeros((4, 3), "M8[s]"), "rows of times"),
    "raw bytes": (np.zeros(4, "V8"), "V8"),
    "rounded by floats": (np.arange(12).reshape(4, 3) + 2**60, r"beyond 2\*\*53"),
}


@pytest.mark.parametrize("values", EQUAL.values(), ids=EQUAL)
def test_equal_values_come_from_everything_that_holds_them(values):
    np.testing.assert_array_equal(np.asarray(column_values("x", values), float), X)
    np.testing.assert_array_equal(np.stack(list(Views({"x": values})["x"])), X)
    views = bouba.read({"x": values, "title": TITLES}, text="title")
    np.testing.assert_array_equal(np.stack(list(views["x"])), X)


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED)
def test_what_holds_no_real_numbers_is_refused_by_name(values, message):
    for take in (lambda: Views({"heights": values}), lambda: bouba.read({"heights": values, "title": TITLES})):
        with pytest.raises(DataError, match=message) as refusal:
            take()
        assert "'heights'" in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_quantised_tensors_hold_what_they_stand_for():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to drop them
        quantised = torch.quantize_per_tensor(TENSOR.float(), 0.125, 0, torch.qint8)
    np.testing.assert_array_equal(column_values("x", quantised), X)


@pytest.mark.parametrize("cell", [torch.tensor([1.0, 2.0]).bfloat16(), torch.tensor([1.0, 2.0], requires_grad=True)])
def test_cells_may_be_tensors(cell):
    views = bouba.read({"x": [cell, None, cell], "title": TITLES[:3]}, text="title")
    assert views.modalities["x"] == "vector"
    assert views.present["x"].tolist() == [True, False, True]
    assert views["x"][0].tolist() == [1.0, 2.0]
    numbers = bouba.read({"n": list(torch.arange(3.0)), "title": TITLES[:3]}, text="title")
    assert np.stack(list(numbers["numbers"])).ravel().tolist() == [0, 1, 2]


def masked(values, row, nonsense=1e20):
    out = np.ma.masked_array(values.copy(), mask=np.zeros(values.shape, bool))
    out.data[row] = nonsense
    out.mask[row] = True
    return out


def test_rows_with_a_masked_number_are_missing_and_said():
    array = masked(X, (2, 0))
    with pytest.warns(UserWarning, match="1 of 4 rows of 'x' have masked values and count as missing, first row 2"):
        views = Views({"x": array, "y": X})
    assert views.present["x"].tolist() == [True, True, False, True]
    np.testing.assert_array_equal(np.stack(list(views["x"]))[[0, 1, 3]], X[[0, 1, 3]])
    with pytest.warns(UserWarning, match="masked"):
        views = bouba.read({"x": array, "title": TITLES}, text="title")
    assert views.present["x"].tolist() == [True, True, False, True]
    with pytest.warns(UserWarning, match="'photo' have masked"):
        photos = bouba.read({"photo": masked(np.zeros((4, 8, 8, 3)), (1, 0, 0, 0), 7), "title": TITLES}, text="title")
    assert photos.present["photo"].tolist() == [True, False, True, True]


@pytest.mark.parametrize("dtype", [float, int, np.float32, "datetime64[D]", "U5"])
def test_masked_cells_of_a_column_are_missing(dtype):
    column = np.ma.masked_array(np.arange(4).astype("M8[D]" if dtype == "datetime64[D]" else dtype), mask=[0, 1, 0, 0])
    cells = column_values("x", column)
    assert [bouba.data.views.is_missing(cells[i]) for i in range(4)] == [False, True, False, False]
    views = Views({"x": X}, y={"kind": column}, domain=column)
    assert bouba.data.views.is_missing(views.y["kind"][1])
    assert bouba.data.views.is_missing(views.domain[1])
    assert not bouba.data.views.is_missing(views.domain[2])


SERIES = {
    "long whole numbers with a gap": (
        pd.array([1234567890123456789, None, 1234567890123456790], dtype="Int64"),
        [1234567890123456789, None, 1234567890123456790],
    ),
    "truth values with a gap": (pd.array([True, None, False], dtype="boolean"), [True, None, False]),
    "text with a gap": (pd.array(["a", None, "c"], dtype="string"), ["a", None, "c"]),
    "categories": (pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"], ordered=True), ["b", None, "a"]),
    "numbers as categories": (pd.Categorical([3, None, 1]), [3, None, 1]),
    "times": (pd.to_datetime(["2020-01-02", None, "2021-03-04"]).astype("M8[s]"), None),
    "times in a zone": (pd.to_datetime(["2020-01-02", None, "2021-03-04"]).tz_localize("Asia/Tokyo"), None),
    "lasting times": (pd.to_timedelta([1, None, 3], unit="D"), ["1 days 00:00:00", None, "3 days 00:00:00"]),
    "periods": (pd.PeriodIndex(["2020-01", None, "2021-03"], freq="M"), ["2020-01", None, "2021-03"]),
    "whole numbers of Arrow": (
        pd.Series([2**60 + 1, None, 3], dtype="int64[pyarrow]"),
        [2**60 + 1, None, 3],
    ),
}


@pytest.mark.parametrize(("values", "expected"), SERIES.values(), ids=SERIES)
def test_series_of_every_type_keep_what_was_written(values, expected):
    cells = column_values("x", pd.Series(values))
    given = [None if bouba.data.views.is_missing(cells[i]) else cells[i] for i in range(3)]
    if expected is None:
        assert [str(value)[:10] if value else value for value in given] == ["2020-01-02", None, "2021-03-04"]
        assert all(value is None or isinstance(value, str) for value in given)
    else:
        assert given == expected


def test_categories_that_are_numbers_are_classes():
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0], "shelf": pd.Categorical([3, 1, 3])})
    views = bouba.read(frame)
    assert views.sources["numbers"] == ("size",)
    assert views.y["shelf"].tolist() == [3, 1, 3]


def test_a_table_of_arrow_keeps_its_names_and_long_numbers():
    table = pa.table({"id": [2**60 + 1, None, 3], "size": [1.0, 2.0, 3.0], "title": TITLES[:3]})
    views = bouba.read(table, key="id", text="title")
    assert views.key.tolist() == [2**60 + 1, None, 3]
    assert views.sources["numbers"] == ("size",)
    assert bouba.read({"id": table["id"], "title": TITLES[:3]}, key="id").key.tolist() == [2**60 + 1, None, 3]
    assert Views({"x": table.select(["size"])}).sources == {"x": ("size",)}
    with pytest.raises(DataError, match="two columns or more named 'a'"):
        bouba.read(pa.table([[1.0], [2.0]], names=["a", "a"]))


@pytest.mark.parametrize("values", [{1, 2}, {"a": 1}.values(), iter([1, 2]), b"ab", "ab", 3, None, {"a": 1}])
def test_what_has_no_rows_is_refused(values):
    with pytest.raises(DataError, match=r"column 'x' is a .*; give an array or a list with one cell a row"):
        column_values("x", values)


def test_records_are_a_table_by_themselves():
    records = np.array([(1.5, "a red cat"), (2.5, "a blue dog")], dtype=[("size", float), ("title", "U20")])
    views = bouba.read(records, text="title")
    assert views.sources["numbers"] == ("size",)
    assert list(views["title"]) == ["a red cat", "a blue dog"]


def test_whole_numbers_are_rounded_by_no_float():
    assert float_values(np.array([[1, 2]])).dtype == np.float32
    times = np.array([[1_700_000_001, 1_700_000_002]])
    assert float_values(times).tolist() == times.tolist()
    frame = pd.DataFrame({"when": [1_700_000_001, 1_700_000_002], "size": [0.5, 0.25]})
    views = bouba.read(frame, vector=["when", "size"])
    assert np.stack(list(views["numbers"])).tolist() == [[1_700_000_001, 0.5], [1_700_000_002, 0.25]]


@pytest.mark.parametrize("names", [["size", "age", "size"], [0, "0"], [("a", "b"), "a_b"]])
def test_two_columns_of_one_name_are_refused(names):
    with pytest.raises(DataError, match=r"two columns or more named '(size|0|a_b)'; rename one"):
        unique_names("the frame", names)
    if len(names) == 3:
        frame = pd.DataFrame([[1.0, 2.0, 3.0]] * 4, columns=names)
        for take in (bouba.read, lambda f: Views({"x": f}), lambda f: bouba.CCA(1).fit([f, X])):
            with pytest.raises(DataError, match="'size'"):
                take(frame)
    with pytest.raises(DataError, match="named '1'"):
        bouba.read({1: [1.0, 2.0], "1": [3.0, 4.0]})


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path):
    pq.write_table(pa.table([[1.0], [2.0]], names=["size", "size"]), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="two columns or more named 'size'"):
        bouba.read(tmp_path / "t.parquet")


def test_names_of_several_levels_are_joined():
    frame = pd.DataFrame([[1.0, 2.0]], columns=pd.MultiIndex.from_tuples([("left", "a"), ("left", "")]))
    assert bouba.read(frame).sources["numbers"] == ("left_a", "left")


def test_a_frame_of_text_among_views_is_refused_by_its_column():
    frame = pd.DataFrame({"size": [1.0] * 4, "title": TITLES})
    with pytest.raises(
        DataError, match="column 'title' of 'left' holds 'a red cat'; a frame among views is numbers alone"
    ):
        bouba.CCA(1).fit({"left": frame, "right": X})


def test_cells_of_complex_numbers_are_refused():
    with pytest.raises(DataError, match="view 'x' holds no vector in row 1"):
        Views({"x": [np.ones(2), np.ones(2) + 1j]}, kinds={"x": "vector"})
