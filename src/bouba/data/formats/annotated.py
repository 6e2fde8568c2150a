"""Annotated data of cells and samples: .h5ad and .h5mu files, and AnnData and MuData in memory.

A modality is a view, its variables (`var_names`) are the names of its numbers, and samples (`obs_names`) name the rows.
A sample that a modality lacks is a missing cell. Columns of `obs` say what rows are; arrays of `obsm` are read where
somebody names them: `vector="X_pca"`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data import scratch
from bouba.data.arrays import column_values, is_sparse, unique_names
from bouba.data.disk import file_facts, kept, key_of
from bouba.data.guess import ROLES, guess
from bouba.data.mapped import VectorCells, mapped_array
from bouba.data.sparse import SparseRows
from bouba.data.table import Table
from bouba.errors import DataError, require

EXTRA = "omics"
FEATURE_TYPES = {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "prot"}
"""What 10x calls kinds of variables of one AnnData -> the names of their views, as MuData has them."""
VERSION = 1  # of what copies hold
NUMBERS = "numbers.npy"


def read(path: Path) -> Table:
    """A .h5ad or .h5mu file. Large dense modalities are copied once and mapped, sparse ones are sparse in memory.

    Raises:
        MissingExtraError: anndata or mudata is not installed. DataError: the file is no such thing.
    """
    module, name = ("mudata", "read_h5mu") if path.suffix.lower() == ".h5mu" else ("anndata", "read_h5ad")
    library = require(module, EXTRA)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what mudata will pull from obs one day
            source = getattr(library, name)(path, backed="r")
    except Exception as error:  # whatever h5py and the library raise
        raise DataError(
            f"{path} is not a file that {module} reads: {(str(error) or type(error).__name__).splitlines()[0][:200]}"
        ) from error
    try:
        return table_of(source)
    finally:
        source.file.close()


def are_files(source: Any) -> bool:
    """Whether a source is a list of two .h5ad files or more, each of one modality."""
    paths = isinstance(source, list | tuple) and all(isinstance(path, str | os.PathLike) for path in source)
    return paths and len(source) > 1 and all(os.fspath(path).lower().endswith(".h5ad") for path in source)


def read_files(paths: Sequence[str | os.PathLike]) -> Table:
    """Files of one modality each, named as the file, their rows paired by the names of the samples."""
    files = [Path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise DataError(f"no such file or folder: {file}")
    library = require("anndata", EXTRA)
    sources = dict(zip(unique_names("the list of files", [file.stem for file in files]), files, strict=True))
    opened = {name: library.read_h5ad(file, backed="r") for name, file in sources.items()}
    try:
        return table_of(opened)
    finally:
        for source in opened.values():
            source.file.close()


def is_annotated(source: Any) -> bool:
    """Whether it is AnnData, MuData, or a mapping of AnnData; neither library is imported to tell."""
    if isinstance(source, Mapping):
        return bool(source) and all(_class_of(value) == "AnnData" for value in source.values())
    return _class_of(source) in ("AnnData", "MuData")


def _class_of(source: Any) -> str:
    ours = ("anndata", "mudata")
    return next((cls.__name__ for cls in type(source).__mro__ if cls.__module__.partition(".")[0] in ours), "")


@dataclass(frozen=True)
class _Modality:
    """A part of the variables of one AnnData.

    Args:
        name: of the view. data: the AnnData. chosen: which of its variables; None for all.
    """

    name: str
    data: Any
    chosen: np.ndarray | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        names = self.data.var_names if self.chosen is None else self.data.var_names[self.chosen]
        try:
            return unique_names(f"modality {self.name!r}", list(names))
        except DataError as error:
            raise DataError(f"{error}, or call var_names_make_unique()") from error


def table_of(source: Any) -> Table:
    """AnnData, MuData, or a mapping of AnnData as a table.

    Raises:
        DataError: names of samples or variables that occur twice, MuData that shares variables and not samples.
    """
    of_modality, obs, names = _parts(source)
    _refuse_repeated(names, "the samples")
    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    numbers: dict[str, tuple[str, ...]] = {}
    for one in _modalities(of_modality):
        rows = _rows_of(one, names)
        columns[one.name], kinds[one.name] = _cells(one.name, one.data.X, one.chosen, rows, len(names)), "vector"
        numbers[one.name] = one.variables
    for name, values, rows in _arrays(source, of_modality, names):
        columns[name], kinds[name] = _cells(name, values, None, rows, len(names)), "ignore"
        if hasattr(values, "columns"):
            numbers[name] = unique_names(name, list(values.columns))
    about = {"obs_names": np.array([str(name) for name in names], object)} | obs
    for name, values in about.items():
        name = f"{name} (obs)" if name in columns else name
        columns[name] = values
        role = guess(name, values, {"obs_names": "meta"})
        kinds[name] = role if role in ROLES else "meta"
    return Table(columns, kinds=kinds, numbers=numbers, row_names=names)


def _parts(source: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """name -> AnnData, column of obs -> values, and the names of the samples."""
    if _class_of(source) == "AnnData":
        return {"": source}, _obs(source.obs, source.obs_names), source.obs_names
    if isinstance(source, Mapping):
        of_modality, names = dict(source), next(iter(source.values())).obs_names
        for name, data in of_modality.items():
            _refuse_repeated(data.obs_names, f"modality {name!r}")
            names = names.append(data.obs_names[~data.obs_names.isin(names)])
        obs: dict[str, Any] = {}
    else:
        if getattr(source, "axis", 0) != 0:
            raise DataError("this MuData shares variables, not samples (axis 1); views are of the same samples")
        of_modality, names = dict(source.mod), source.obs_names
        obs = _obs(source.obs, names)
    for name, data in of_modality.items():
        obs |= {f"{name}:{c}": v for c, v in _obs(data.obs, names).items() if f"{name}:{c}" not in obs}
    return of_modality, obs, names


def _obs(frame: Any, names: Any) -> dict[str, Any]:
    """Columns of a frame about samples, for all samples; categories as text, None where there is none."""
    frame = frame if frame.index.equals(names) else frame.reindex(names)
    columns = {}
    for name in frame.columns:
        series = frame[name]
        series = series.astype(object) if str(series.dtype) == "category" else series
        columns[str(name)] = column_values(str(name), series)
    return columns


def _modalities(of_modality: Mapping[str, Any]) -> list[_Modality]:
    """The views: one an AnnData, or one a type of its variables where it has several."""
    found = []
    for name, data in of_modality.items():
        if data.X is None or not data.n_vars:
            continue
        types = np.asarray(data.var["feature_types"].astype(str)) if "feature_types" in data.var else np.zeros(0, str)
        different = list(dict.fromkeys(types.tolist()))
        if name or len(different) < 2:
            found.append(_Modality(name or "X", data))
            continue
        found += [_Modality(FEATURE_TYPES.get(kind, kind), data, np.flatnonzero(types == kind)) for kind in different]
    return found


def _rows_of(one: _Modality, names: Any) -> np.ndarray:
    """int (m,), at which of the samples each row of a modality stands."""
    own = one.data.obs_names
    if own.equals(names):
        return np.arange(len(names))
    _refuse_repeated(own, f"modality {one.name!r}")
    return names.get_indexer(own)


def _refuse_repeated(names: Any, of: str) -> None:
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise DataError(f"sample {twice!r} occurs twice or more in {of}; call obs_names_make_unique()")


def _arrays(source: Any, of_modality: Mapping[str, Any], names: Any) -> list[tuple[str, Any, np.ndarray]]:
    """(name, numbers (m, d), at which of the samples each row stands) of what lies in obsm."""
    found = []
    for prefix, data in [] if "" in of_modality else [("", source)] if hasattr(source, "obsm") else []:
        found += [(f"{prefix}{key}", data.obsm[key], np.arange(len(names))) for key in data.obsm]
    for name, data in of_modality.items():
        rows = _rows_of(_Modality(name, data), names)
        found += [(f"{name}:{key}" if name else key, data.obsm[key], rows) for key in data.obsm]
    wide = [(name, values, rows) for name, values, rows in found if len(getattr(values, "shape", ())) == 2]
    return [(name, values, rows) for name, values, rows in wide if values.shape[1] and name not in of_modality]


def _cells(name: str, values: Any, chosen: np.ndarray | None, rows: np.ndarray, n: int) -> Any:
    """The numbers of a modality as a column of n rows."""
    values = values.to_memory() if hasattr(values, "to_memory") else values  # sparse, in a file
    if is_sparse(values):
        matrix = values if chosen is None else values[:, chosen]
        sparse = SparseRows.of(matrix)
        whole = len(rows) == n and bool((rows == np.arange(n)).all())
        return sparse if whole else sparse.placed(rows, n)
    numbers = _in_file(values, rows, n) if hasattr(values, "id") else _in_memory(name, values, rows, n)
    numbers = numbers if chosen is None else numbers[:, chosen]
    present = np.isin(np.arange(n), rows)
    if numbers.dtype.kind == "f":  # a row of nothing but NaN is how many say that the sample was not measured
        present &= ~scratch.row_by_row(numbers, lambda part: np.isnan(part).all(axis=1))
    return numbers if present.all() else VectorCells(numbers, present)


def _in_memory(name: str, values: Any, rows: np.ndarray, n: int) -> np.ndarray:
    numbers = np.asarray(column_values(name, values))
    whole = len(rows) == n and bool((rows == np.arange(n)).all())
    return numbers if whole else scratch.placed(numbers, rows, n)


def _in_file(values: Any, rows: np.ndarray, n: int) -> np.ndarray:
    """A dense array of an open file (m, d), its rows placed; read once, and mapped where it is large."""
    shape, size = (n, values.shape[1]), n * values.shape[1] * values.dtype.itemsize

    def copy(out: np.ndarray) -> None:
        for at in scratch.blocks(len(rows), values.shape[1] * values.dtype.itemsize):
            out[rows[at]] = values[at]

    if size < scratch.LARGE:
        numbers = np.zeros(shape, values.dtype)
        copy(numbers)
        return numbers

    def write(folder: Path) -> None:
        copy(np.lib.format.open_memmap(folder / NUMBERS, "w+", values.dtype, shape))

    facts = file_facts([values.file.filename]), values.name, rows.tobytes(), n
    return mapped_array(kept(key_of("annotated", VERSION, *facts), write, size=size, what=values.name) / NUMBERS)
