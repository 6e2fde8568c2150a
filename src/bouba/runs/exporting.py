"""The rows of a run's index with their vectors and their places on its map, in files for programs without bouba."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba import durable
from bouba.data.characters import file_text
from bouba.errors import StorageError, UsageError
from bouba.runs.file_names import file_stem
from bouba.runs.hit_records import column_types, columns_in_file

if TYPE_CHECKING:
    import pyarrow as pa

    from bouba.runs.coordinates import Map

AT_ONCE = 4096  # rows that are in memory at a time
MISSING = {"nan": np.nan, "zeros": 0.0}
"""Name -> the number that stands in an array for each number of a cell that is not there."""
ATLAS = "embedding-atlas"


@dataclass(frozen=True)
class ExportedRows:
    """What was written.

    Args:
        path: the file, or the folder. rows: how many. vectors: view -> its column, or its file in the folder.
        dim: numbers in a vector. cells: view -> how many rows have it; the others are null in a Parquet file, and in an
            array what was chosen.
    """

    path: Path
    rows: int
    vectors: dict[str, str]
    dim: int
    cells: dict[str, int]


@dataclass(frozen=True)
class _Table:
    """The rows of a run's index, a block at a time."""

    run: Any
    map: Map

    @cached_property
    def vectors(self) -> dict[str, str]:
        """View -> the column of its vectors."""
        return {view: f"vector_{view}" for view in self.run.index.views}

    @cached_property
    def files(self) -> dict[str, str]:
        """View -> the column of its files, of views that are stored so."""
        from bouba.data.kinds import FILES

        return {view: f"path_{view}" for view, kind in self.run.schema.kinds.items() if kind in FILES}

    @cached_property
    def columns(self) -> dict[str, str]:
        """Column of the index -> its name here."""
        own = ["row", "x", "y", *self.vectors.values(), *self.files.values()]
        return columns_in_file(self.run, {*own, *(["id"] if self.run.naming.id else [])})

    def blocks(self) -> Iterator[tuple[np.ndarray, list[dict[str, Any]]]]:
        """Places of some rows, and a record each: all but the vectors."""
        rows = self.run.index.listing.rows
        for start in range(0, len(rows), AT_ONCE):
            places = np.arange(start, min(start + AT_ONCE, len(rows)))
            items = self.run.items(rows[places])
            yield places, [self._record(int(place), item) for place, item in zip(places, items, strict=True)]

    def _record(self, place: int, item: Any) -> dict[str, Any]:
        own = {"id": item.id} if self.run.naming.id else {}
        paths = {column: item.views[view].path if view in item.views else None for view, column in self.files.items()}
        return {
            "row": item.row,
            **own,
            **{name: item.columns[column] for column, name in self.columns.items()},
            **{column: path and file_text(path) for column, path in paths.items()},
            "x": float(self.map.x[place]),
            "y": float(self.map.y[place]),
        }

    def about(self) -> dict[str, Any]:
        """What to know of the vectors."""
        index = self.run.index
        return {"run": self.run.path.name, "version": index.version, "dim": index.dim, "compared_by": index.similarity}


def export_parquet(run: Any, out: Path, *, overwrite: bool = False) -> ExportedRows:
    """See `Run.export_embeddings`."""
    import pyarrow as pa

    from bouba.runs.vectors import ABOUT, WRITERS

    if out.suffix != ".parquet":
        raise UsageError(f"embeddings are written to a file of Parquet, got {out}; name it so: {out.stem}.parquet")
    _refuse_existing(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    table, index = _Table(run, run.map()), run.index
    plain = pa.schema(
        [
            ("row", pa.int64()),
            *([("id", pa.string())] if run.naming.id else []),
            *column_types(run, table.columns).items(),
            *((column, pa.string()) for column in table.files.values()),
            ("x", pa.float32()),
            ("y", pa.float32()),
        ]
    )
    lists = pa.list_(pa.float32(), index.dim)
    schema = pa.schema([*plain, *((column, lists) for column in table.vectors.values())])
    schema = schema.with_metadata({ABOUT: json.dumps(table.about()).encode()})

    def batches() -> Iterator[pa.RecordBatch]:
        for places, records in table.blocks():
            block = pa.RecordBatch.from_pylist(records, schema=plain)
            vectors = [_lists(run, places, view) for view in table.vectors]
            yield pa.RecordBatch.from_arrays([*block.columns, *vectors], schema=schema)

    WRITERS[".parquet"](schema, batches(), out)
    return ExportedRows(out, index.rows, table.vectors, index.dim, index.listing.cells)


def _lists(run: Any, places: np.ndarray, view: str) -> pa.Array:
    """The vectors of some rows, null where a row has no cell of the view."""
    import pyarrow as pa

    listing, dim = run.index.listing, run.index.dim
    vectors = np.asarray(listing.vectors(places, view), np.float32)
    missing = pa.array(listing.positions(view)[places] < 0)
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim, mask=missing)


def export_arrays(run: Any, folder: Path, *, missing: str = "nan", overwrite: bool = False) -> ExportedRows:
    """See `Run.export_numpy`."""
    from bouba.data.formats.spreadsheet import as_csv

    if missing not in MISSING:
        raise UsageError(f"missing={missing!r} is none of {', '.join(MISSING)}")
    _refuse_existing(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    table, index = _Table(run, run.map()), run.index
    stems: dict[str, str] = {}
    for view in index.views:
        stems[view] = file_stem(view, set(stems.values()))
    names = {view: f"{stem}.npy" for view, stem in stems.items()}
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.mkdir()
        shape = (index.rows, index.dim)
        arrays = {
            view: np.lib.format.open_memmap(part / name, mode="w+", dtype=np.float32, shape=shape)
            for view, name in names.items()
        }
        with (part / "rows.csv").open("w", encoding="utf-8", newline="") as lines:
            for places, records in table.blocks():
                lines.write(as_csv(records, header=places[0] == 0))
                for view, array in arrays.items():
                    vectors = index.listing.vectors(places, view)
                    vectors[index.listing.positions(view)[places] < 0] = MISSING[missing]
                    array[places[0] : places[-1] + 1] = vectors
        for array in arrays.values():
            array.flush()
        about = table.about() | {"missing": missing, "vectors": names}
        durable.write_text(part / "about.json", json.dumps(about, ensure_ascii=False, indent=1))
        durable.replace_folder(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return ExportedRows(folder, index.rows, names, index.dim, index.listing.cells)


def _refuse_existing(out: Path, overwrite: bool) -> None:
    """UsageError for what would be lost."""
    if out.is_dir() and out.suffix == ".parquet":
        raise UsageError(f"{out} is a folder; choose another name")
    if out.exists() and not overwrite and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} exists; choose another name, or say --overwrite")


def atlas_program() -> str:
    """Where the program of embedding-atlas is. UsageError where it is not installed."""
    program = shutil.which(ATLAS)
    if program is None:
        raise UsageError(
            f"{ATLAS} is not installed, which shows the embeddings: pip install {ATLAS}, or uv tool install {ATLAS}"
        )
    return program


def open_atlas(
    run: Any, out: Path | None = None, *, overwrite: bool = False, say: Callable[[str], None] = lambda line: None
) -> None:
    """See `Run.open_atlas`."""
    program = atlas_program()
    with tempfile.TemporaryDirectory(prefix="bouba-atlas-") as folder:
        file = export_parquet(run, Path(folder) / "embeddings.parquet" if out is None else out, overwrite=overwrite)
        title = next((["--text", _Table(run, run.map()).columns[name]] for name in run.naming.titles), [])
        say(f"{file.rows:,} rows are opened by {program}; Ctrl-C ends it")
        ended = subprocess.run([program, str(file.path), "--x", "x", "--y", "y", *title], check=False)
    if ended.returncode:
        raise StorageError(f"{ATLAS} ended with {ended.returncode}; what it printed says why")
