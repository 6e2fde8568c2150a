"""What arrays, tensors, series and frames hold, as NumPy arrays with the right values; or why they cannot be taken."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bouba.data.missing import is_missing
from bouba.errors import DataError, DataTypeError

SPARSE = "give its toarray(), or reduce it first, for example by sklearn.decomposition.TruncatedSVD"
ROUNDED, EXACT = 2**24, 2**53
"""Up to these float32 and float64 hold every whole number."""


def column_values(name: str, values: Any) -> Any:
    """A column as a person has it -> something with `len` and integer indexing.

    Lists stay lists, their tensors as arrays. Masked cells are missing: None, or NaN among floats. So is a vector or a
    picture of which a part is masked, which is warned of. Tensors lose their graph and device; half precision becomes
    float32. Times become text.

    Args:
        name: what messages call it.
        values: a list, array, tensor, series, frame of numbers, memoryview, or what NumPy makes an array of.

    Raises:
        DataError: a single value, text, a sparse matrix, complex numbers, records, a tensor without values.
    """
    if isinstance(values, list | tuple):
        return _cells(name, values)
    if isinstance(values, str | bytes) or hasattr(values, "cast_column") or _is_mapping(values):
        raise DataError(
            f"column {name!r} is a {type(values).__name__}; give an array or a list with one cell a row "
            "(for a list of records, a DataFrame; of several data sets, one)"
        )
    if not (is_array(values) or is_named(values) or (hasattr(values, "__len__") and hasattr(values, "__getitem__"))):
        raise DataError(f"column {name!r} is a {type(values).__name__}; give an array or a list with one cell a row")
    if type(values).__module__.split(".")[0] == "pandas" and not is_named(values):
        values = sys.modules["pandas"].Series(values)  # of an index, of categories
    if _count_nulls(values):
        return _listed(values)  # as an array of floats long numbers would be rounded
    if is_named(values):
        return _from_pandas(name, values)
    if is_array(values):
        return _checked(name, _as_numpy(name, values))
    return values


def is_array(values: Any) -> bool:
    """Whether NumPy can make an array of it, as of tensors, or it is a sparse matrix."""
    return (
        isinstance(values, memoryview)
        or any(hasattr(type(values), protocol) for protocol in ("__array__", "__dlpack__"))
        or is_sparse(values)
    )


def is_named(values: Any) -> bool:
    """Whether it is a series or a frame of pandas, whose rows have names."""
    return hasattr(values, "iloc") and hasattr(values, "to_numpy")


def complete(name: str, values: Any) -> Any:
    """One array of scikit-learn's form, tensors among them as arrays. DataError where a value is masked."""
    if values is None or is_sparse(values) or not is_array(values) or column_names(name, values):
        return values
    if np.ma.is_masked(values):
        raise DataError(f"{name} has masked values; fill them, or leave these rows out")
    if type(values) is np.ndarray and values.dtype.kind in "bfcOUS":
        return values  # scikit-learn has its own words
    return column_values(name, values)


def data_error(error: Exception, name: str = "") -> DataError:
    """What scikit-learn says of data, on one line, without the arrays that it prints."""
    text = re.sub(r"(array=|\n)\[.*?\]\.?(?=\n[A-Z]|$)", "", str(error), flags=re.DOTALL)
    kind = DataTypeError if isinstance(error, TypeError) else DataError
    return kind(" ".join([name, *text.split()] if name else text.split()))


def column_names(name: str, values: Any) -> tuple[str, ...]:
    """The names of a frame's columns as text; () for what has none.

    Raises:
        DataError: two columns of one name.
    """
    columns = getattr(values, "column_names", getattr(values, "columns", ()))
    return () if callable(columns) or len(getattr(values, "shape", ())) != 2 else unique_names(name, list(columns))


def unique_names(table: str, names: Sequence) -> tuple[str, ...]:
    """Names as text, those of several levels joined by "_". DataError where two are one, as 1 and "1" are."""
    text = [
        "_".join(str(level) for level in name if level != "") if isinstance(name, tuple) else str(name)
        for name in names
    ]
    twice = next((name for place, name in enumerate(text) if name in text[:place]), None) if _repeats(text) else None
    if twice is not None:
        raise DataError(f"{table} has two columns or more named {twice!r}; rename one")
    return tuple(text)


def float_values(values: np.ndarray) -> np.ndarray:
    """Numbers as floats: as they are, float32 where it holds them, float64 for whole numbers that it would round."""
    if values.dtype in (np.float32, np.float64):
        return values
    large = values.dtype.kind in "iu" and values.size and _largest(values) > ROUNDED
    return values.astype(np.float64 if large or values.dtype.itemsize > 8 else np.float32)


def as_array(values) -> np.ndarray:
    """A 1-D array of cells, numbers staying numbers and everything else as objects."""
    if isinstance(values, list) and not all(isinstance(v, int | float | np.number) for v in values):
        array = np.empty(len(values), object)
        array[:] = values  # lists of equal length stay cells, they do not become a second dimension
        return array
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind in "US" else array


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _count_nulls(values: Any) -> int:
    """How many cells of a column of Arrow or Polars are null; 0 of any other."""
    count = getattr(values, "null_count", 0)
    count = count() if callable(count) else count
    return count if isinstance(count, int) else 0  # of a Polars frame it is a frame


def _listed(values: Any) -> list:
    return values.to_pylist() if hasattr(values, "to_pylist") else values.to_list()


def _is_mapping(values: Any) -> bool:
    return isinstance(values, Mapping) and not is_sparse(values)  # SciPy's dictionary of keys is a mapping


def is_sparse(values: Any) -> bool:
    """Whether it is a sparse matrix or array of SciPy, which need not be imported to tell."""
    scipy_sparse = sys.modules.get("scipy.sparse")
    return scipy_sparse is not None and scipy_sparse.issparse(values)


def _is_tensor(values: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def _as_numpy(name: str, values: Any) -> np.ndarray:
    """Any array as one of NumPy, masks kept. DataError where it gives none."""
    if isinstance(values, np.ndarray):
        return values
    if is_sparse(values):
        raise DataError(f"column {name!r} is a sparse {type(values).__name__}; {SPARSE}")
    try:
        if _is_tensor(values):
            return _from_tensor(values)
        dlpack = not isinstance(values, memoryview) and not hasattr(type(values), "__array__")
        return np.from_dlpack(values) if dlpack else np.asarray(values)
    except Exception as error:  # whatever another library raises
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"column {name!r} is a {type(values).__name__} that gives no array ({first})") from error


def _from_tensor(tensor: Any) -> np.ndarray:
    """The values of a torch tensor, wherever it lies. Other libraries' errors where it has none."""
    torch = sys.modules["torch"]
    if tensor.is_meta:
        raise ValueError("it is on the meta device and has no values")
    tensor = tensor.detach().cpu()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()  # NumPy has no bfloat16 and no float8
    return tensor.resolve_conj().resolve_neg().numpy()


def _checked(name: str, array: np.ndarray) -> Any:
    """An array of a kind that a column can hold; a list where some of its cells are missing."""
    if array.ndim == 0:
        raise DataError(f"column {name!r} is the single value {array!s:.40}; give one cell a row")
    if array.dtype.names is not None:
        fields = ", ".join(array.dtype.names)
        raise DataError(f"column {name!r} holds records of {fields}; give each field as a column of its own")
    if array.dtype.kind in "cV":
        raise DataError(f"column {name!r} holds {array.dtype} numbers; give real numbers, for example real and imag")
    if isinstance(array, np.ma.MaskedArray):
        array = _unmasked(name, array)
        if isinstance(array, list):
            return array
    array = np.asarray(array)  # of a matrix, a record array, any subclass
    if array.dtype.kind in "mM" and array.ndim > 1:
        raise DataError(f"column {name!r} holds rows of times; give numbers, for example seconds since the first")
    if array.dtype.kind in "mM":
        return _times(array)
    if array.ndim > 1 and array.dtype.kind in "iu":
        _refuse_rounded(name, array)
    if array.dtype.kind in "ST":  # NumPy's own text
        cells = array.astype(object)
        return cells if array.dtype.kind == "T" else _decoded(cells)
    if array.dtype.kind == "O" and array.ndim == 2:
        return _numbers_in(name, array)
    if array.dtype.itemsize > 8 and array.dtype.kind == "f":
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _refuse_rounded(name: str, array: np.ndarray) -> None:
    """DataError for whole numbers that no float holds, so that different ones would become one."""
    if array.dtype.itemsize < 8 or not array.size or _largest(array) <= EXACT:
        return
    if any(int(float(value)) != value for value in array.flat if abs(int(value)) > EXACT):
        raise DataError(
            f"column {name!r} holds whole numbers beyond 2**53, which floats would round; subtract what they share, or "
            "use them as names: key=..., label=..."
        )


def _largest(array: np.ndarray) -> int:
    return max(abs(int(array.min())), abs(int(array.max())))


def _unmasked(name: str, array: np.ma.MaskedArray) -> Any:
    """Without its mask: NaN or None where one cell is masked, None for a row of which a part is."""
    masked: np.ndarray = np.asarray(np.ma.getmaskarray(array))
    if not masked.any():
        return array.data
    if array.ndim == 1 and array.dtype.kind == "f":
        return array.filled(np.nan)
    rows = np.asarray(masked.reshape(len(array), -1).any(axis=1))
    if array.ndim > 1:
        _warn_of_masks(name, rows)
    return [None if gone else cell for cell, gone in zip(array.data, rows, strict=True)]


def _warn_of_masks(name: str, rows: np.ndarray) -> None:
    warnings.warn(
        f"{int(rows.sum())} of {len(rows)} rows of {name!r} have masked values and count as missing, first row "
        f"{int(rows.argmax())}; fill them first to use the others in these rows",
        UserWarning,
        stacklevel=2,
    )


def _times(array: np.ndarray) -> np.ndarray:
    """Times as text, which NumPy would turn into whole nanoseconds; None where there is none."""
    out = array.astype(str).astype(object) if array.dtype.kind == "M" else np.array([str(v) for v in array], object)
    out[np.isnat(array)] = None
    return out


def _decoded(cells: np.ndarray) -> np.ndarray:
    out = np.empty(cells.shape, object)
    for place, cell in np.ndenumerate(cells):
        out[place] = cell.decode("utf-8", "replace")
    return out


def _numbers_in(name: str, array: np.ndarray) -> np.ndarray:
    """Objects (n, d) as numbers, NaN where one is missing. DataError for what is no number."""
    out = np.empty(array.shape, float)
    for place, value in np.ndenumerate(array):
        try:
            out[place] = np.nan if is_missing(value) else float(value)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"column {name!r} holds {value!r:.40} in row {place[0]}, column {place[1]}, where numbers are "
                "expected; give text as a column of its own"
            ) from error
    return out


def _from_pandas(name: str, values: Any) -> Any:
    """A series (n,) or a frame of numbers (n, d)."""
    if values.ndim == 2:
        column_names(name, values)
        return _frame_numbers(name, values)
    if _is_text_here(values.dtype):
        array = np.asarray([None if is_missing(v) else str(v) for v in values], object)
    elif values.dtype.kind in "biu" and not isinstance(values.dtype, np.dtype) and values.isna().any():
        array = values.to_numpy(dtype=object)  # as floats long numbers would be rounded
    else:
        array = np.asarray(values) if _is_packed(values.dtype) else values.to_numpy()
    array = _checked(name, array)
    return array if not isinstance(array, np.ndarray) or array.dtype.kind in "biuf" else array.astype(object)


def _is_packed(dtype: Any) -> bool:
    """Whether a dtype of pandas stands for values of another type: categories, sparse numbers."""
    return str(dtype) == "category" or str(dtype).startswith("Sparse")


def _is_text_here(dtype: Any) -> bool:
    """Whether a dtype of pandas is of times in a zone or of Arrow, of periods or of intervals."""
    if isinstance(dtype, np.dtype):
        return dtype.kind == "m"
    return dtype.kind in "mM" or str(dtype).startswith(("period", "interval"))


def _frame_numbers(name: str, frame: Any) -> np.ndarray:
    """A frame (n, d) as numbers, NaN where one is missing. DataError naming the first column that holds none."""
    array = frame.to_numpy()
    if array.dtype.kind in "biuf":
        return _checked(name, array)
    columns = [_from_pandas(column, frame.iloc[:, i]) for i, column in enumerate(column_names(name, frame))]
    for column, cells in zip(column_names(name, frame), columns):
        wrong = next((v for v in cells if isinstance(v, str) or not (is_missing(v) or np.isscalar(v))), None)
        if wrong is not None:
            raise DataError(
                f"column {column!r} of {name!r} holds {wrong!r:.40}; a frame among views is numbers alone: leave the "
                "column out, or give the whole frame to bouba.read"
            )
    return np.column_stack([[np.nan if is_missing(v) else float(v) for v in cells] for cells in columns])


def _cells(name: str, cells: Sequence) -> Sequence:
    """A list of cells, tensors among them as arrays, masked ones as None; the list itself where there is none."""
    torch = sys.modules.get("torch")
    kinds = (np.ma.MaskedArray,) if torch is None else (np.ma.MaskedArray, torch.Tensor)  # masked itself is an array
    if not any(isinstance(cell, kinds) for cell in cells):
        return cells
    taken = [_as_numpy(name, cell) if _is_tensor(cell) else cell for cell in cells]
    masked = np.array([isinstance(cell, np.ma.MaskedArray) and bool(np.ma.getmaskarray(cell).any()) for cell in taken])
    if any(gone and cell.ndim for cell, gone in zip(taken, masked, strict=True)):
        _warn_of_masks(name, masked)
    plain = [None if gone else _plain_cell(cell) for cell, gone in zip(taken, masked, strict=True)]
    return plain


def _plain_cell(cell: Any) -> Any:
    """An array of one value as that value; of masked ones without a mask the data."""
    if not isinstance(cell, np.ndarray):
        return cell
    cell = np.asarray(cell)
    return cell.item() if cell.ndim == 0 else cell
