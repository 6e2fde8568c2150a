"""Anything a person calls a table -> named columns, and the rows that could not be parsed."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.guess import ENDINGS, first_moves
from bouba.data.video import ANIMATED
from bouba.errors import DataError

log = logging.getLogger("bouba")
WHOLE = re.compile(r"-?(0|[1-9]\d{0,14})")
CODE = re.compile(r"-?(0\d+|\d{16,})")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
SHORT = re.compile(r"\d{1,6}(\.\d{1,2})?")
MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass
class Table:
    """Named columns of equal length; each has `len` and integer indexing.

    Args:
        columns: name -> cells.
        base: folder that relative paths in cells are relative to.
        kinds: what the source itself says of a column: name -> kind, or "label".
        rows: row numbers in the source; rows that could not be parsed are left out.
        bad_rows: dicts with "row", "column", "value", "reason".
    """

    columns: dict[str, Any]
    base: Path | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    rows: np.ndarray | None = None
    bad_rows: list[dict] = field(default_factory=list)


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
        raise DataError(f"the table{where} is empty: no row could be read; give it a header and a row or more")
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
    readers = {
        ".csv": _from_csv,
        ".tsv": _from_csv,
        ".txt": _from_csv,
        ".jsonl": _from_jsonl,
        ".ndjson": _from_jsonl,
    }
    readers |= {".parquet": _from_parquet, ".npy": _from_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"cannot read {path.name}: {path.suffix or 'no'} ending; there is {', '.join(readers)}, or a folder"
        )
    return reader(path)


def _from_csv(path: Path) -> Table:
    """Separator sniffed among , ; TAB |. A row with too many cells is listed; one with too few is filled with gaps."""
    text = _utf8(path)
    separator = _separator(text[: 1 << 16], "\t" if path.suffix.lower() == ".tsv" else ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    lines = _records(reader, path)
    header = [name.strip() for name in next(lines, [])]
    if _is_a_row(header):
        lines = itertools.chain([header], lines)
        header = [f"column{i}" for i in range(len(header))]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"{path.name} has two columns or more named {sorted(twice)[0]!r}; rename one")
    records, rows, bad = [], [], []
    for number, record in enumerate(lines):
        if len(record) > len(header):
            reason = f"{len(record)} cells where the header has {len(header)} (line {reader.line_num})"
            bad.append({"row": number, "column": None, "value": separator.join(record)[:200], "reason": reason})
            continue
        records.append(record + [""] * (len(header) - len(record)))
        rows.append(number)
    columns = {name: _numbers(list(cells)) for name, cells in zip(header, zip(*records, strict=True))}
    index = columns.get("")
    if isinstance(index, np.ndarray) and len(columns) > 1 and np.array_equal(index, np.arange(len(index))):
        del columns[""]  # the row numbers that pandas writes unasked
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)


def _is_a_row(header: list[str]) -> bool:
    """Whether a first line is no header: numbers only, unless they are short and rise, as 0, 1, 2 and 400, 402.5."""
    if len(header) < 2 or not all(NUMBER.fullmatch(name) for name in header):
        return False
    rise = all(float(a) < float(b) for a, b in itertools.pairwise(header))
    names = rise and all(SHORT.fullmatch(name) for name in header)
    log.info("the first line holds numbers and is taken for %s", "the header" if names else "a row: there is no header")
    return not names


def _separator(text: str, default: str) -> str:
    """The one that cuts most of the first 20 rows into as many cells as the header, two or more."""
    best, found = (0.0, 1), default
    for separator in sorted(",;\t|", key=lambda s: s != default):
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        with contextlib.suppress(csv.Error):
            widths = [len(record) for record in itertools.islice(reader, 20) if record]
            score = (sum(w == widths[0] for w in widths) / len(widths), widths[0]) if widths else best
            if score > best and score[1] > 1:
                best, found = score, separator
    return found


def _records(reader, path: Path) -> Iterator[list[str]]:
    """Rows that are not blank."""
    try:
        yield from (record for record in reader if record)
    except csv.Error as error:
        raise DataError(f"{path.name} breaks off in line {reader.line_num}: {error}; a quote may be open") from error


def _utf8(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _numbers(cells: list[str]) -> Any:
    """Text cells -> numbers (blank = NaN) when every cell that is not blank is one; codes like 007 stay text."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    try:
        values = np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return cells
    if not filled or any(CODE.fullmatch(cell) for cell in filled):
        return cells
    whole = len(filled) == len(cells) and all(WHOLE.fullmatch(cell) for cell in filled)
    return values.astype(np.int64) if whole else values


def _from_jsonl(path: Path) -> Table:
    records, rows, bad = [], [], []
    for number, line in enumerate(line for line in _utf8(path).split("\n") if line.strip()):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError as error:
            bad.append({"row": number, "column": None, "value": line[:200], "reason": f"not JSON: {error}"})
            continue
        records.append(record)
        rows.append(number)
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(columns, path.parent, rows=np.array(rows), bad_rows=bad)


@dataclass(frozen=True)
class _Arrow:
    """A memory-mapped Arrow column that gives Python values."""

    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int):
        return self.values[row].as_py()


def _from_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file: {error}") from error
    numeric = lambda t: pa.types.is_floating(t) or pa.types.is_integer(t)  # noqa: E731
    return Table(
        {f.name: table[f.name].to_numpy() if numeric(f.type) else _Arrow(table[f.name]) for f in table.schema},
        path.parent,
    )


def _from_npy(path: Path) -> Table:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not an array of numbers as numpy.save writes it: {error}") from error
    if array.ndim != 2:
        raise DataError(f"{path.name} holds an array of shape {array.shape}; a view is (rows, numbers)")
    return Table({path.stem: array}, path.parent)


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
    for kind in ENDINGS:
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
    columns["name"] = [file.stem.replace("_", " ").replace("-", " ") for file in captions]
    if len({re.sub(r"\d+", "", name) for name in columns["name"]}) <= max(1, len(captions) // 20):
        kinds["name"] = "meta"  # img001, img002, ...: numbered, not named
    labels = [str(file.parent.relative_to(folder)) for file in captions]
    if len(set(labels)) > 1:
        columns["label"] = labels
    return Table(columns, folder, kinds)


def _paired(folder: Path) -> list[dict[str, Path]]:
    """kind -> file, for each name in each folder; a second file of one kind is a row of its own."""
    kind_of = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}
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
