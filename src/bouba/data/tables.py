"""Anything a person calls a table -> named columns, and the rows that could not be parsed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.arrays import column_names, column_values, is_array, is_named, unique_names
from bouba.data.decode.files import irregular
from bouba.data.disk import kept, key_of
from bouba.data.formats import annotated, arrow, csv, jsonl, lance, npy, parquet, tar
from bouba.data.formats.batches import Batches
from bouba.data.formats.folder import MANIFESTS, holds_media, pair_files, warn_of_unnamed
from bouba.data.formats.parts import Part, inside, is_far, is_pattern, parts_of
from bouba.data.pairing import pair
from bouba.data.table import Table
from bouba.errors import DataError

READERS = {
    ".csv": csv.read,
    ".tsv": csv.read,
    ".txt": csv.read,
    ".jsonl": jsonl.read,
    ".ndjson": jsonl.read,
    ".json": jsonl.read_array,
    ".parquet": parquet.read,
    ".arrow": arrow.read,
    ".feather": arrow.read,
    ".npy": npy.read,
    ".tar": tar.read,
    ".h5ad": annotated.read,
    ".h5mu": annotated.read,
}
"""Ending of a file -> what reads it."""
READERS_OF_PARTS: dict[str, Callable[[Sequence[Part]], Table | Batches]] = {
    ".parquet": parquet.read_parts,
    ".arrow": arrow.read_parts,
    ".feather": arrow.read_parts,
    ".tar": tar.read_parts,
}
"""Ending of files that may be the parts of one table -> what reads them."""
LANCE = ".lance"


def open_table(source) -> Table:
    """A path, pattern or address, a list of paths, a frame, `datasets.Dataset`, AnnData, MuData, mapping or list of
    arrays, as a Table.

    Raises:
        DataError: nothing there, a file of unknown type, columns of unequal lengths, an empty table.
    """
    if isinstance(source, str | os.PathLike):
        found = parts_of(os.fspath(source), tuple(READERS)) if is_far(source) or is_pattern(source) else None
        table = _open_path(Path(source)) if found is None else _open_parts(found)
    elif are_parts(source):
        table = _open_parts([Part(os.fspath(path)) for path in source])
    elif annotated.is_annotated(source):
        table = annotated.table_of(source)
    elif annotated.are_files(source):
        table = annotated.read_files(source)
    elif isinstance(source, Mapping) and not is_array(source):
        table = _from_columns(source)
    elif isinstance(source, list | tuple):
        table = _from_columns({f"view{i}": values for i, values in enumerate(source)})
    elif isinstance(source, np.ndarray) and source.dtype.names is not None:
        table = _from_columns({name: source[name] for name in source.dtype.names})
    elif hasattr(source, "features") and hasattr(source, "cast_column") and hasattr(source, "__len__"):
        table = _from_dataset(source)
    elif hasattr(source, "to_dict") and hasattr(source, "columns"):
        table = _from_frame(source)
    elif hasattr(source, "schema") and hasattr(source, "column"):  # of Arrow
        names = unique_names("the table", source.schema.names)
        table = _from_columns({name: source.column(place) for place, name in enumerate(names)})
    elif is_array(source) and not is_named(source):
        table = _from_columns({"view0": source})
    else:
        raise DataError(
            f"cannot read a {type(source).__name__}; give a path, a mapping of columns, a list of arrays, "
            "a DataFrame or a datasets.Dataset"
        )
    _refuse_misfit(table, source)
    return table


def _refuse_misfit(table: Table, source: Any) -> None:
    """DataError for an empty table, and for columns of unequal lengths."""
    if not table.columns or not len(next(iter(table.columns.values()))):
        where = f" {source}" if isinstance(source, str | os.PathLike) else ""
        first = f"; row {table.bad_rows[0]['row']}: {table.bad_rows[0]['reason']}" if table.bad_rows else ""
        raise DataError(f"the table{where} is empty: no row could be read; give it a header and a row or more{first}")
    lengths = {name: len(values) for name, values in table.columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(f"columns have unequal lengths: {listed}; give every column all rows")


def _from_columns(columns: Mapping[str, Any]) -> Table:
    """Columns by name, their rows paired by the index of those that have one."""
    columns = dict(zip(unique_names("the mapping", list(columns)), columns.values(), strict=True))
    pairing = pair(columns)
    cells = {name: pairing.cells(name, column_values(name, values)) for name, values in columns.items()}
    numbers = {name: names for name, values in columns.items() if (names := column_names(name, values))}
    return Table(cells, kinds=_declared(columns), numbers=numbers, row_names=pairing.names)


def _from_frame(frame) -> Table:
    """The columns of a frame, of pandas or not."""
    if not is_named(frame):
        names = unique_names("the frame", list(frame.columns))
        return Table({name: column_values(name, frame[name]) for name in names})
    names = unique_names("the frame", list(frame.columns))
    series = {name: frame.iloc[:, place] for place, name in enumerate(names)}
    columns = {name: column_values(name, values) for name, values in series.items()}
    return Table(columns, kinds=_declared(series), row_names=frame.index)


def _declared(series: Mapping[str, Any]) -> dict[str, str]:
    """Columns of numbers that pandas was told are categories: they are labels, no quantities."""
    dtypes: dict[str, Any] = {name: getattr(values, "dtype", None) for name, values in series.items()}
    categories = {name: t.categories.dtype for name, t in dtypes.items() if getattr(t, "name", "") == "category"}
    return {name: "label" for name, dtype in categories.items() if dtype.kind in "biuf"}


def refuse_absent(paths: Iterable[Any]) -> None:
    """DataError for the first path of this machine where nothing is; what is no path, and addresses, pass."""
    for path in paths:
        named = isinstance(path, str | os.PathLike) and not is_far(path) and not is_pattern(path)
        if named and not Path(path).exists():
            raise DataError(f"no such file or folder: {Path(path)}")


def _open_path(path: Path) -> Table:
    refuse_absent([path])
    if (other := irregular(path)) is not None:
        raise DataError(f"{path} is {other}; give a file or a folder")
    if path.is_dir() and path.suffix.lower() == LANCE:
        return lance.read(path)
    if path.is_dir():
        manifest = next((path / name for name in MANIFESTS if (path / name).exists()), None)
        if manifest is None:
            parts = [] if holds_media(path) else inside(path, tuple(READERS_OF_PARTS))
            return _open_parts(parts, path) if parts else pair_files(path)
        table = _open_path(manifest)
        warn_of_unnamed(path, manifest.name, table.columns)
        return table
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"cannot read {path.name}: {path.suffix or 'no'} ending; there is {', '.join(READERS)}, or a folder"
        )
    return reader(path)


def are_parts(source: Any) -> bool:
    """Whether a source is a list of paths that can only be the parts of one table: two or more of one format."""
    if not isinstance(source, list | tuple) or not source or not all(isinstance(p, str | os.PathLike) for p in source):
        return False
    endings = {Part(os.fspath(path)).ending for path in source}
    return len(endings) == 1 and endings <= READERS_OF_PARTS.keys()


def hold_numbers_alone(paths: Sequence[str | os.PathLike]) -> bool:
    """Whether files of one table's parts hold nothing but numbers, so that each may as well be a view of its own."""
    part = Part(os.fspath(paths[0]))
    if part.ending not in READERS_OF_PARTS or not os.path.isfile(part.address):
        return False
    batches = READERS_OF_PARTS[part.ending]([part])
    return isinstance(batches, Batches) and batches.is_one_view


def _open_parts(parts: Sequence[Part], base: Path | None = None) -> Table:
    """The table that some files are, or the one file far away."""
    endings = {part.ending for part in parts}
    if len(endings) > 1:
        raise DataError(f"files of several formats are not one table: {', '.join(sorted(endings))}; name one of them")
    (ending,) = endings
    if ending in READERS_OF_PARTS:
        table = READERS_OF_PARTS[ending](parts)
        base = Path(parts[0].address).parent if base is None and parts[0].storage is None else base
        return table if isinstance(table, Table) else table.table(base)
    if len(parts) > 1 or ending not in READERS:
        several = f"{len(parts)} files of" if len(parts) > 1 else "a file with"
        raise DataError(
            f"cannot read {several} {ending or 'no'} ending as one table; there is {', '.join(READERS_OF_PARTS)}"
            + ("" if ending in READERS else f", and {', '.join(READERS)} as one file")
        )
    return READERS[ending](_fetched(parts[0])) if parts[0].storage is not None else _open_path(Path(parts[0].address))


def _fetched(part: Part) -> Path:
    """A copy here of a file far away."""

    def write(folder: Path) -> None:
        with part.opened() as source, (folder / part.name).open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)

    return kept(key_of("file", part.facts), write, size=part.size, what=part.address) / part.name


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
