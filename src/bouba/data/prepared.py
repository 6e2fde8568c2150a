"""Prepared cells that do not fit into memory: kept on disk, memory-mapped, by what they were prepared of and how.

Several processes and workers share one copy, whose pages the system keeps in memory as far as there is any. What an
encoder gives is kept as it is, sequences padded to the longest, and so is which cells broke on the way.
"""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bouba.batch import Inputs
from bouba.data.disk import cache_folder, file_facts, kept, key_of
from bouba.data.mapped import MappedArray, OnDisk, Picked
from bouba.data.several import Several
from bouba.data.views import Column
from bouba.errors import StorageError

log = logging.getLogger("bouba")
VERSION = 1
SHARE = 0.5  # of the free disk that one view may take
LOST, SHAPES = "lost.json", "shapes.json"


def prepared_on_disk(
    name: str, column: Column, encoder: Any, size: int, chunks: Callable[[], Iterable[Inputs]]
) -> Inputs | None:
    """Every prepared row of a view, mapped; None where there is no room for it, or a network is run to prepare it.

    Args:
        name, column: of the view; cells that break are lost, see `Column.lose`. encoder: whose `prepare` it is.
        size: bytes that it will take, about. chunks: prepares all rows, some at a time, in their order.
    """
    settings = _settings_of(encoder)
    if settings is None:
        return None
    key = key_of("prepared", VERSION, settings, content_of(column))
    try:
        existing = cache_folder()
        existing.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(existing).free
        write = lambda folder: _write(folder, len(column), column, chunks())  # noqa: E731
        if size > SHARE * free:
            raise StorageError(f"{size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")
        folder = kept(key, write, size=size, what=f"what is prepared of {name!r}")
    except OSError as error:
        log.warning("prepared cells of %r are not kept, but made each time: %s", name, error)
        return None
    for row, reason in json.loads((folder / LOST).read_text(encoding="utf-8")).items():
        if column.present[int(row)]:
            column.lose(int(row), reason)
    shapes = json.loads((folder / SHAPES).read_text(encoding="utf-8"))
    return {part: _opened(folder / f"{number}.npy", shape) for number, (part, shape) in enumerate(shapes.items())}


def _opened(file: Path, shape: list[int]) -> Tensor:
    """The rows of a file, as far as they are filled."""
    array = np.load(file, mmap_mode="c", allow_pickle=False)  # nothing that is written reaches the file
    tensor = torch.from_numpy(array)
    return tensor if list(array.shape) == shape else tensor[:, : shape[1]]


def _write(folder: Path, n: int, column: Column, chunks: Iterable[Inputs]) -> None:
    """Fill a folder with a file a part, and with the cells that broke meanwhile."""
    before = set(column.faults)
    files: dict[str, _Growing] = {}
    done = 0
    for chunk in chunks:
        length = len(next(iter(chunk.values()), ()))
        for part, tensor in chunk.items():
            if part not in files:
                files[part] = _Growing(folder / f"{len(files)}.npy", n, tensor)
            files[part].put(done, tensor)
        done += length
    places = {int(place): row for row, place in enumerate(column.index.tolist())} if column.faults else {}
    lost = {places[p]: why for p, why in column.faults.items() if p in places and p not in before}
    (folder / LOST).write_text(json.dumps(lost), encoding="utf-8")
    shapes = {part: file.shape for part, file in files.items()}
    (folder / SHAPES).write_text(json.dumps(shapes), encoding="utf-8")


class _Growing:
    """A file of rows, wide enough for the longest so far."""

    def __init__(self, path: Path, n: int, tensor: Tensor):
        self.path, self.n, self.widest = path, n, tensor.shape[1] if tensor.dim() == 2 else 0
        self.array = self._made(path, tensor.shape[1:], tensor.numpy().dtype)

    @property
    def shape(self) -> list[int]:
        """Of what is filled."""
        return [self.n, self.widest] if self.widest else list(self.array.shape)

    def put(self, start: int, tensor: Tensor) -> None:
        """Rows (m, ...) from `start` on; sequences are padded with 0 at the end."""
        rows = slice(start, start + len(tensor))
        if tensor.dim() != 2:
            self.array[rows] = tensor.numpy()
            return
        self.widest = max(self.widest, tensor.shape[1])
        if self.widest > self.array.shape[1]:
            self._widen(max(self.widest, self.array.shape[1] * 3 // 2), start)
        self.array[rows, : tensor.shape[1]] = tensor.numpy()

    def _made(self, path: Path, shape: Iterable[int], dtype: Any) -> np.ndarray:
        return np.lib.format.open_memmap(path, "w+", dtype, (self.n, *shape))

    def _widen(self, width: int, done: int) -> None:
        wider, narrow = self.path.with_suffix(".wider"), self.array
        self.array = self._made(wider, (width,), narrow.dtype)
        for at in range(0, done, 4096):
            rows = slice(at, min(at + 4096, done))
            self.array[rows, : narrow.shape[1]] = narrow[rows]
        wider.replace(self.path)


def content_of(column: Column) -> str:
    """A digest of the cells of a column: of files by size and time, of what lies on disk by where; else of all that
    the cells hold."""
    rows = (blake2b(part.tobytes()).hexdigest() for part in (column.index, column.present))
    return key_of(column.kind, *rows, _identity(column.values) or _digest(column))


def _identity(values: Any) -> Any:
    """What tells values on disk from what they were before, without reading them; None for what is in memory."""
    if isinstance(values, Picked):
        inner = _identity(values.cells)
        return inner and (inner, blake2b(np.asarray(values.rows).tobytes()).hexdigest())
    if isinstance(values, OnDisk):
        return values.identity()
    return values.filename if isinstance(values, MappedArray) and values.offset else None


def _digest(column: Column) -> str:
    hashed = blake2b(digest_size=16)
    for row in np.flatnonzero(column.present).tolist():
        part = _bytes_of(column[row])
        hashed.update(len(part).to_bytes(8, "little") + part)
    return hashed.hexdigest()


def _bytes_of(cell: Any) -> bytes:
    if isinstance(cell, Several):
        return b"".join(len(part).to_bytes(8, "little") + part for part in map(_bytes_of, cell))
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        return cell["bytes"]
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, np.ndarray):
        return repr((cell.dtype, cell.shape)).encode() + cell.tobytes()
    if hasattr(cell, "tobytes") and hasattr(cell, "size"):
        return repr((cell.size, getattr(cell, "mode", ""))).encode() + cell.tobytes()
    path = cell.get("path") if isinstance(cell, dict) else cell
    try:
        facts = file_facts([path]) if isinstance(path, str | Path) and len(str(path)) < 4096 else None
    except (OSError, ValueError):
        facts = None
    return repr((cell, facts)).encode("utf-8", "surrogatepass")


def _settings_of(encoder: Any) -> str | None:
    """A digest of all that an encoder prepares by; None where a network is run for it, or it cannot be told."""
    try:
        parts = list(_settings(encoder))
    except Exception:  # whatever pickling raises
        return None
    return None if any(part is None for part in parts) else key_of(parts)


def _settings(encoder: Any) -> Iterator[Any]:
    modules: Mapping[str, Any] = dict(encoder.named_modules()) if hasattr(encoder, "named_modules") else {"": encoder}
    for place, module in modules.items():
        if not hasattr(module, "prepare"):
            continue
        runs_network = getattr(module, "runs_network", hasattr(module, "inner"))  # whose weights would have to be told
        yield None if runs_network else (place, type(module).__module__, type(module).__qualname__)
        own = {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"}
        buffers = {name: value for name, value in getattr(module, "_buffers", {}).items() if value is not None}
        yield blake2b(pickle.dumps((own, {name: value.cpu().numpy() for name, value in buffers.items()}))).hexdigest()
