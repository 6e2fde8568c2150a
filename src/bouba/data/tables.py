"""Anything a person calls a table -> named columns, and the rows that could not be parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import file_text
from bouba.data.formats import csv, jsonl, npy, parquet
from bouba.data.guess import first_moves
from bouba.data.kinds import FILES
from bouba.data.table import Table
from bouba.data.video import ANIMATED
from bouba.errors import DataError

READERS = {
    ".csv": csv.read,
    ".tsv": csv.read,
    ".txt": csv.read,
    ".jsonl": jsonl.read,
    ".ndjson": jsonl.read,
    ".parquet": parquet.read,
    ".npy": npy.read,
}
"""Ending of a file -> what reads it."""
MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def open_table(source) -> Table:
    """A path, frame, `datasets.Dataset`, mapping or list of arrays, as a Table.

    Raises:
        DataError: nothing there, a file of unknown type, columns of unequal lengths, an empty table.
    """
    if isinstance(source, str | os.PathLike):
        table = _open_path(Path(source))
    elif isinstance(source, Mapping):
        table = Table({str(name): _plain(name, values) for name, values in source.items()})
    elif isinstance(source, np.ndarray):
        table = Table({"view0": source})
    elif isinstance(source, list | tuple):
        table = Table({f"view{i}": _plain(f"view{i}", values) for i, values in enumerate(source)})
    elif hasattr(source, "features") and hasattr(source, "cast_column") and hasattr(source, "__len__"):
        table = _from_dataset(source)
    elif hasattr(source, "to_dict") and hasattr(source, "columns"):
        table = Table({str(name): _numpy(source[name]) for name in source.columns})
    else:
        raise DataError(
            f"cannot read a {type(source).__name__}; give a path, a mapping of columns, a list of arrays, "
            "a DataFrame or a datasets.Dataset"
        )
    if not table.columns or not len(next(iter(table.columns.values()))):
        where = f" {source}" if isinstance(source, str | os.PathLike) else ""
        first = f"; row {table.bad_rows[0]['row']}: {table.bad_rows[0]['reason']}" if table.bad_rows else ""
        raise DataError(f"the table{where} is empty: no row could be read; give it a header and a row or more{first}")
    lengths = {name: len(values) for name, values in table.columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(f"columns have unequal lengths: {listed}; give every column all rows")
    return table


def _plain(name: str, values) -> Any:
    """A column a person wrote down -> something with `len` and integer indexing."""
    if isinstance(values, str | bytes | Mapping) or hasattr(values, "cast_column") or not hasattr(values, "__len__"):
        raise DataError(
            f"column {name!r} is a {type(values).__name__}; give an array or a list with one cell a row "
            "(for a list of records, a DataFrame; of several data sets, one)"
        )
    if hasattr(values, "to_numpy"):
        return _numpy(values)
    return values if isinstance(values, np.ndarray) or not hasattr(values, "__array__") else np.asarray(values)


def _numpy(series) -> np.ndarray:
    values = series.to_numpy()
    if values.dtype.kind in "mM":  # as text: NumPy would turn nanoseconds into integers
        values = values.astype(str)
    return values if values.dtype.kind in "biuf" else values.astype(object)


def _open_path(path: Path) -> Table:
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    if path.is_dir():
        return _from_folder(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"cannot read {path.name}: {path.suffix or 'no'} ending; there is {', '.join(READERS)}, or a folder"
        )
    return reader(path)


@dataclass(frozen=True)
class _HubColumn:
    """A column of a datasets.Dataset, one row at a time."""

    dataset: Any
    name: str

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int):
        return self.dataset[row][self.name]


def _from_dataset(dataset) -> Table:
    """Pictures and sounds stay encoded until they are needed (datasets decodes Audio only with torchcodec)."""
    kinds = {}
    dataset = dataset.with_format(None)
    names = {name: getattr(feature, "names", None) for name, feature in dataset.features.items()}
    for name, feature in dataset.features.items():
        kind = type(feature).__name__
        if kind in ("Image", "Audio", "Video"):
            kinds[name] = kind.lower()
            dataset = dataset.cast_column(name, type(feature)(decode=False))
        elif kind == "ClassLabel":
            kinds[name] = "label"
    columns: dict[str, Any] = {name: _HubColumn(dataset.select_columns([name]), name) for name in dataset.features}
    for name, classes in names.items():
        if classes:
            columns[name] = [None if code is None or code < 0 else classes[code] for code in dataset[name]]
    return Table(columns, kinds=kinds)


def _from_folder(folder: Path) -> Table:
    """metadata.csv / .jsonl / .parquet if there is one, else all pictures, sounds and clips below, labelled by folder.

    Files of different kinds that differ in nothing but their ending are one row: cat.png, cat.wav and the words about
    them in cat.txt.
    """
    for name in MANIFESTS:
        if (folder / name).exists():
            return _open_path(folder / name)
    rows = _paired(folder)
    if not rows:
        raise DataError(
            f"no picture, sound or clip and no {MANIFESTS[0]} in {folder}; give a table that names the files"
        )
    columns: dict[str, Any] = {}
    for kind in FILES:
        if any(kind in row for row in rows):
            columns[kind] = [str(row[kind].relative_to(folder)) if kind in row else None for row in rows]
    kinds = {kind: kind for kind in columns}
    captions = [first.with_suffix(".txt") for first in (next(iter(row.values())) for row in rows)]
    if any(file.exists() for file in captions):
        written = [
            file.read_bytes().decode("utf-8-sig", "replace").strip() if file.exists() else None for file in captions
        ]
        columns["text"] = written
        kinds |= {"text": "text", "name": "meta"}
    columns["name"] = [file_text(file.stem).replace("_", " ").replace("-", " ") for file in captions]
    if len({re.sub(r"\d+", "", name) for name in columns["name"]}) <= max(1, len(captions) // 20):
        kinds["name"] = "meta"  # img001, img002, ...: numbered, not named
    labels = [file_text(str(file.parent.relative_to(folder))) for file in captions]
    if len(set(labels)) > 1:
        columns["label"] = labels
    return Table(columns, folder, kinds)


def _paired(folder: Path) -> list[dict[str, Path]]:
    """kind -> file, for each name in each folder; a second file of one kind is a row of its own."""
    kind_of = {ending: kind for kind, endings in FILES.items() for ending in endings}
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in kind_of]
    if first_moves(file for file in files if file.suffix.lower() in ANIMATED):
        kind_of |= dict.fromkeys(ANIMATED, "video")
    rows: dict[tuple[Path, int], dict[str, Path]] = {}
    for file in files:
        kind, number = kind_of[file.suffix.lower()], 0
        while kind in rows.get((file.with_suffix(""), number), {}):
            number += 1
        rows.setdefault((file.with_suffix(""), number), {})[kind] = file
    return list(rows.values())
